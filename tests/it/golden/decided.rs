//! Golden kept decisions: one that was approved, and one that was rejected.

use human_oversight::values::Timestamp;
use rusqlite::Connection;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::owned::VERSION;
use super::standing::{put, rows, rows_of, settings};
use super::{Backend, Player, folder, key, read, table_name, write_once};
use crate::azurite::{Azurite, Table};
use crate::golden::cases::{Step, by_link, escaped_id};
use crate::harness::{AGENT, ALICE, BOB, question};

const ACTION: &str = "Pay Supplier Invoice";
const DECIDED_AT: &str = "2026-11-22T09:00:00.000Z";

fn request(correlation: &str, parameters: &Value) -> Value {
    json!({
        "agentName": AGENT, "actionDescription": ACTION, "correlationId": correlation,
        "parameters": parameters, "approverEmails": [ALICE, BOB],
    })
}

fn parameters(amount: f64, iban: &str) -> Value {
    json!({"amount": amount, "to": {"iban": iban}, "tags": ["ünï", true, null], "pin": 4711})
}

fn file() -> std::path::PathBuf {
    folder(VERSION).join("decided.json")
}

async fn start(store: &[(&'static str, String)], correlation: &str) -> Player {
    let dir = tempfile::tempdir().unwrap();
    let id = escaped_id(AGENT, correlation);
    let player = Player::start(dir, store, &[], key(VERSION), &id).await;
    player.set_clock(Timestamp::parse(DECIDED_AT).unwrap());
    player
}

/// Puts the rows into the store, with the gate's id.
async fn put_decided(backend: Backend, golden: &Value, dir: &TempDir) {
    let list = |name: &str| golden[name].as_array().unwrap().clone();
    put(VERSION, backend, &list("standing"), dir).await;
    match backend {
        Backend::Embedded => {
            let file = Connection::open(dir.path().join("approvals.db")).unwrap();
            let schema =
                "CREATE TABLE decidedapprovals (PartitionKey TEXT NOT NULL, RowKey TEXT NOT NULL,
                          ETag INTEGER NOT NULL, Due INTEGER, Entity TEXT NOT NULL,
                          PRIMARY KEY (PartitionKey, RowKey)) STRICT";
            file.execute(schema, []).unwrap();
            for row in list("decided") {
                let text = |name: &str| row[name].as_str().unwrap().to_owned();
                let values = (text("PartitionKey"), text("RowKey"), text("Entity"));
                let insert = "INSERT INTO decidedapprovals (PartitionKey, RowKey, ETag, Entity)
                              VALUES (?1, ?2, 1, ?3)";
                assert_eq!(file.execute(insert, values), Ok(1));
            }
        }
        Backend::Tables(port) => {
            let table = Table::of(port, &format!("decided{}", table_name(VERSION)));
            for row in list("decided") {
                table.put(&row).await;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn golden_decisions_are_precedent_for_later_requests() {
    let azurite = Azurite::start(&[]);
    for backend in [Backend::Embedded, Backend::Tables(azurite.port)] {
        let dir = tempfile::tempdir().unwrap();
        put_decided(backend, &read(&file())[backend.name()], &dir).await;
        let player = start(&settings(VERSION, backend, &dir), "later").await;
        let body = request("later", &parameters(9400.75, "DE3"));
        let answer = player.post("/api/submit", &body).await;
        assert_eq!(answer.status, 202, "{}", answer.body);
        let id = escaped_id(AGENT, "later");
        let mail = question(&player.gate.mails(), &id, BOB);
        let (_, k) = mail.link.split_once("?k=").unwrap();
        let page = player.get(&format!("/api/decision/{id}?k={k}")).await.body;
        for words in [
            "9,400.75, larger than in the last approval (at most 9,400.5)",
            "<code><bdi translate=\"no\">/to/iban</bdi></code>: a value not in the last approval",
            "The last 2 decisions of people: 1 approved, 1 rejected",
        ] {
            assert!(page.contains(words), "{words}: {page}");
        }
        assert!(!page.contains(">/tags</bdi>"), "{page}");
    }
}

#[ignore = "HO_GOLDEN=v2owned writes the file, once"]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn golden_decisions_are_written() {
    write_once(VERSION, &file(), async |backend, dir, store| {
        for (correlation, parameters, form) in [
            (
                "approved",
                parameters(9400.5, "DE1"),
                "decision=approve&code=CODE",
            ),
            ("rejected", parameters(180.0, "DE2"), "decision=reject"),
        ] {
            let player = start(store, correlation).await;
            let body = request(correlation, &parameters);
            let answer = player.post("/api/submit", &body).await;
            assert_eq!(answer.status, 202, "{}", answer.body);
            player.play(&[by_link(ALICE, form, 303), Step::Sweep]).await;
        }
        let mut standing = rows(VERSION, backend, dir).await;
        standing.retain(|row| row["PartitionKey"] == "gate");
        let decided = rows_of("decided", VERSION, backend, dir).await;
        json!({"standing": standing, "decided": decided})
    })
    .await;
}
