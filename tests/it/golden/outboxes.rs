//! Golden standing rows with an outbox: of a grant that took the place of another, and of a pause, which no channel got.

use std::time::Duration;

use human_oversight::store::StandingKind;
use serde_json::{Value, json};

use super::owned::VERSION;
use super::standing::{put, rows, settings};
use super::{Backend, folder, read, write_once};
use crate::azurite::Azurite;
use crate::backing_store;
use crate::deadline::eventually;
use crate::grants::{approve_with_grant, given, submit};
use crate::harness::{BOB, TestGate};
use crate::operate::operate;
use crate::outbox::receiver::{Received, Receiver, SECRET};
use crate::outbox::standing::POLICY;

fn file() -> std::path::PathBuf {
    folder(VERSION).join("outboxes.json")
}

async fn start(store: &[(&'static str, String)], url: &str) -> TestGate {
    let channel = [
        ("HO_POLICY", POLICY),
        ("HO_CHANNELS_ALLOW_PRIVATE", "1"),
        ("HO_CHANNEL_LEDGER", url),
        ("HO_CHANNEL_LEDGER_SECRET", SECRET),
    ];
    let settings = [&backing_store::borrowed(store)[..], &channel].concat();
    TestGate::at(tempfile::tempdir().unwrap(), &settings).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_golden_outboxes_have_is_sent_and_a_grant_whose_time_is_over_ends() {
    let azurite = Azurite::start(&[]);
    for backend in [Backend::Embedded, Backend::Tables(azurite.port)] {
        let dir = tempfile::tempdir().unwrap();
        let golden = read(&file())[backend.name()].clone();
        let rows = golden["standing"].as_array().unwrap();
        put(VERSION, backend, rows, &dir).await;
        if let Backend::Embedded = backend {
            // The request that made the file: the sweep would end it.
            let connection = rusqlite::Connection::open(dir.path().join("approvals.db")).unwrap();
            assert_eq!(connection.execute("DELETE FROM approvals", []), Ok(1));
        }
        let receiver = Receiver::start().await;
        let gate = start(&settings(VERSION, backend, &dir), &receiver.url).await;
        gate.sweep().await;
        receiver.until(5).await;
        assert_eq!(
            receiver.kinds(),
            [
                "grant.ended",
                "grant.ended",
                "grant.given",
                "grant.given",
                "pause.started"
            ]
        );
        let ids: Vec<String> = receiver.received().iter().map(id).collect();
        for id in golden["ids"].as_array().unwrap() {
            assert!(ids.contains(&id.as_str().unwrap().to_owned()), "{ids:?}");
        }
        operate(&gate, json!({"command": "resume", "agent": "OtherAgent"})).await;
        receiver.until(6).await;
    }
}

fn id(received: &Received) -> String {
    received.header("webhook-id")
}

#[ignore = "HO_GOLDEN=v2owned writes the file, once"]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn golden_outboxes_are_written() {
    write_once(VERSION, &file(), async |backend, dir, store| {
        let receiver = Receiver::start().await;
        receiver.answer_always(Some(503));
        let gate = start(store, &receiver.url).await;
        // Whenever it is read, the time of the grants is over.
        gate.back(Duration::from_secs(86_400));
        let first = submit(&gate).await;
        given(&gate, "5").await;
        let answer = approve_with_grant(&gate, &first, BOB, ["900", "1"]).await;
        assert_eq!(answer.status, 303);
        let pause = json!({"command": "pause", "agent": "OtherAgent", "because": "a rehearsal"});
        operate(&gate, pause).await;
        let settled = async || {
            let mut states = Vec::new();
            for kind in [StandingKind::Grant, StandingKind::PauseLog] {
                for row in gate.store.standing_of(kind).await.unwrap() {
                    let outbox: Value = serde_json::from_str(&row.columns["Outbox"]).unwrap();
                    states.extend(outbox["deliveries"].as_array().unwrap().clone());
                }
            }
            let is_tried = |it: &Value| it["state"] == "Queued" && it["attempts"] == 1;
            (states.len() == 4 && states.iter().all(is_tried)).then_some(())
        };
        eventually(settled).await;
        let received = receiver.received();
        let standing = received
            .iter()
            .filter(|it| !it.kind().starts_with("request."));
        json!({
            "standing": rows(VERSION, backend, dir).await,
            "ids": standing.map(id).collect::<Vec<_>>(),
        })
    })
    .await;
}
