//! Golden rows of a standing grant: the standing row after one use, and the request that it approved.

use human_oversight::values::Timestamp;
use rusqlite::Connection;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::owned::VERSION;
use super::standing::{put, rows, settings};
use super::{Backend, Player, columns, folder, key, put_into_tables, read, table_name, write_once};
use crate::azurite::{Azurite, Table};
use crate::golden::cases::{Step, by_link, escaped_id};
use crate::grants::POLICY;
use crate::harness::{AGENT, ALICE};

/// When the grant was given.
const GIVEN_AT: &str = "2026-11-22T09:00:00.000Z";

fn request(correlation: &str) -> Value {
    json!({
        "agentName": AGENT, "actionDescription": "Restart a „service“", "correlationId": correlation,
        "parameters": {"service": "billing", "zone": 1}, "onBehalfOf": "carol@example.com",
    })
}

fn file() -> std::path::PathBuf {
    folder(VERSION).join("grants.json")
}

async fn start(store: &[(&'static str, String)], correlation: &str) -> Player {
    let dir = tempfile::tempdir().unwrap();
    let id = escaped_id(AGENT, correlation);
    let policy = [("HO_POLICY", POLICY)];
    let player = Player::start(dir, store, &policy, key(VERSION), &id).await;
    player.set_clock(Timestamp::parse(GIVEN_AT).unwrap());
    player
}

fn connection(dir: &TempDir) -> Connection {
    Connection::open(dir.path().join("approvals.db")).unwrap()
}

/// The stored row of the request that the grant approved.
async fn use_row(backend: Backend, dir: &TempDir) -> Value {
    match backend {
        Backend::Embedded => {
            let select = "SELECT PartitionKey, RowKey, ETag, Due, Entity FROM approvals WHERE RowKey = 'use'";
            let row = connection(dir).query_row(select, [], |row| {
                let text = |at| row.get::<_, String>(at);
                let (etag, due): (i64, Option<i64>) = (row.get(2)?, row.get(3)?);
                Ok(json!({
                    "PartitionKey": text(0)?, "RowKey": text(1)?, "ETag": etag, "Due": due, "Entity": text(4)?,
                }))
            });
            json!({"row": row.unwrap()})
        }
        Backend::Tables(port) => {
            let find = async |table: &str| {
                let rows = Table::of(port, table).rows().await;
                let row = rows.iter().find(|row| row.to_string().contains("use"));
                row.map(columns)
            };
            let table = table_name(VERSION);
            json!({"row": find(&table).await, "entry": find(&format!("open{table}")).await})
        }
    }
}

async fn put_use(backend: Backend, golden: &Value, dir: &TempDir) {
    match backend {
        Backend::Embedded => {
            let row = &golden["row"];
            let text = |name: &str| row[name].as_str().unwrap();
            let insert = "INSERT INTO approvals (PartitionKey, RowKey, ETag, Due, Entity) VALUES (?1, ?2, ?3, ?4, ?5)";
            let values = (
                text("PartitionKey"),
                text("RowKey"),
                row["ETag"].as_i64().unwrap(),
                row["Due"].as_i64(),
                text("Entity"),
            );
            assert_eq!(connection(dir).execute(insert, values), Ok(1));
        }
        Backend::Tables(port) => put_into_tables(VERSION, golden, port).await,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_golden_grant_goes_on_approving_and_its_use_is_claimed() {
    let azurite = Azurite::start(&[]);
    for backend in [Backend::Embedded, Backend::Tables(azurite.port)] {
        let dir = tempfile::tempdir().unwrap();
        let golden = read(&file())[backend.name()].clone();
        put(
            VERSION,
            backend,
            golden["standing"].as_array().unwrap(),
            &dir,
        )
        .await;
        put_use(backend, &golden["use"], &dir).await;
        let player = start(&settings(VERSION, backend, &dir), "use").await;
        assert_eq!(player.status().await.json(), golden["answer"]);
        let again = player.post("/api/submit", &request("use")).await;
        assert_eq!(again.json()["id"], golden["answer"]["id"], "{}", again.body);
        let claim = json!({"nonce": "0123456789abcdef"});
        let claimed = player
            .post(&format!("/api/claim/{}", player.id), &claim)
            .await;
        assert_eq!(claimed.status, 200, "{}", claimed.body);
        // Two of three uses are left.
        for (correlation, status) in [
            ("second", "Approved"),
            ("third", "Approved"),
            ("fourth", "Pending"),
        ] {
            let answer = player.post("/api/submit", &request(correlation)).await;
            assert_eq!(answer.json()["status"], status, "{}", answer.body);
        }
    }
}

#[ignore = "HO_GOLDEN=v2owned writes the file, once"]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn golden_grants_are_written() {
    write_once(VERSION, &file(), async |backend, dir, store| {
        let asked = start(store, "asked").await;
        let answer = asked.post("/api/submit", &request("asked")).await;
        assert_eq!(answer.status, 202, "{}", answer.body);
        let form = "decision=approve&code=CODE&grant=28800&uses=3";
        asked.play(&[by_link(ALICE, form, 303), Step::Sweep]).await;
        let used = start(store, "use").await;
        let answer = used.post("/api/submit", &request("use")).await;
        assert_eq!(answer.json()["decider"], "grant", "{}", answer.body);
        json!({
            "standing": rows(VERSION, backend, dir).await,
            "use": use_row(backend, dir).await,
            "answer": used.status().await.json(),
        })
    })
    .await;
}
