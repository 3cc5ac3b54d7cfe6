//! `human-oversight verify`, as an auditor runs it: the real program over a table that others wrote.

use std::time::Duration;

use human_oversight_client::types::{Approval, Withdrawal};
use serde_json::{Value, json};

use crate::azurite::{Table, azurite};
use crate::claim::claim;
use crate::harness::{ALICE, BOB, TestGate};
use crate::kept;
use crate::outcome::report;
use crate::process::binary;

/// What it printed, on both streams, and its exit code.
async fn verify(gate: &TestGate, more: &[&str], settings: &[(&str, &str)]) -> (String, i32) {
    let of_store = kept::settings(gate.dir.path());
    let output = binary()
        .arg("verify")
        .args(more)
        .envs(of_store.iter().map(|(name, value)| (name, value)))
        .envs(settings.iter().copied())
        .output()
        .await
        .unwrap();
    let text = [output.stdout, output.stderr].concat();
    (
        String::from_utf8(text).unwrap(),
        output.status.code().unwrap(),
    )
}

/// A request of each fate.
async fn lives(gate: &TestGate) -> Vec<Approval> {
    let mut all = Vec::new();
    for fate in 0..7 {
        let approval = gate.ask().await;
        match fate {
            0 => {}
            1 => gate.reject(&approval, BOB, "no").await,
            2 => {
                let withdrawal = Withdrawal::default();
                gate.client
                    .withdraw(&approval.id, &withdrawal)
                    .await
                    .unwrap();
            }
            _ => gate.approve(&approval, ALICE).await,
        }
        if fate > 3 {
            let claim = claim("0123456789abcdef");
            gate.client.claim(&approval.id, &claim).await.unwrap();
        }
        if fate > 4 {
            let error = (fate > 5).then(|| "it broke".to_owned());
            let report = report(error.as_deref());
            gate.client.outcome(&approval.id, &report).await.unwrap();
        }
        all.push(approval);
    }
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_that_only_the_gate_wrote_is_sound() {
    let gate = TestGate::start().await;
    lives(&gate).await;
    gate.pass(Duration::from_secs(90_000));
    gate.sweep().await;
    let (said, code) = verify(&gate, &[], &[]).await;
    let summary = "7 rows: 5 decisions with their receipts, 0 rows of the predecessor, which prove \
                   nothing, 0 problems.\n";
    assert_eq!((said.as_str(), code), (summary, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_row_that_somebody_changed_is_named() {
    let gate = TestGate::start().await;
    let all = lives(&gate).await;
    let [
        pending,
        rejected,
        withdrawn,
        approved,
        claimed,
        executed,
        failed,
    ] = all.try_into().ok().unwrap();
    let foreign = gate.entity(&rejected.id).await["Receipt"].clone();
    type Change<'a> = (&'a Approval, Vec<(&'static str, Value)>, &'static str);
    let changes: Vec<Change<'_>> = vec![
        (
            &pending,
            vec![("Reason", json!("Legal agreed."))],
            "its seal",
        ),
        (
            &pending,
            vec![("ActionDescription", json!("Read"))],
            "its seal",
        ),
        (
            &pending,
            vec![("DeadlineTimestamp", json!("2099-01-01T00:00:00.000Z"))],
            "its seal",
        ),
        (
            &pending,
            vec![("Status", json!("Cancelled"))],
            "damaged: Status",
        ),
        (
            &withdrawn,
            vec![
                ("Status", json!("Pending")),
                ("ResponseTimestamp", Value::Null),
            ],
            "damaged: History",
        ),
        (
            &withdrawn,
            vec![("ResponseTimestamp", json!("2026-01-01T00:00:00.000Z"))],
            "damaged: History",
        ),
        (
            &rejected,
            vec![
                ("Status", json!("Approved")),
                ("RunBy", json!("2099-01-01T00:00:00.000Z")),
            ],
            "damaged: History",
        ),
        (&rejected, vec![("Comment", json!("yes"))], "its receipt"),
        (&approved, vec![("Receipt", foreign)], "its receipt"),
        (
            &approved,
            vec![("Approver", json!(BOB))],
            "damaged: History",
        ),
        (
            &approved,
            vec![("RunBy", json!("2099-01-01T00:00:00.000Z"))],
            "its receipt",
        ),
        (
            &approved,
            vec![("Assurance", json!("Entra"))],
            "damaged: Assurance",
        ),
        (
            &claimed,
            vec![
                ("ExecutionStatus", Value::Null),
                ("ExecutionTimestamp", Value::Null),
                ("ClaimNonce", Value::Null),
            ],
            "damaged: History",
        ),
        (
            &executed,
            vec![("ExecutionStatus", json!("Executing"))],
            "damaged: History",
        ),
        (
            &failed,
            vec![("ExecutionStatus", json!("Executed"))],
            "damaged: History",
        ),
        (&failed, vec![("History", json!("[]"))], "damaged: History"),
    ];
    for (approval, columns, found) in changes {
        let before = gate.entity(&approval.id).await;
        gate.tamper(&approval.id, None, |row| {
            for (column, value) in &columns {
                row[*column] = value.clone();
            }
        })
        .await;
        let (said, code) = verify(&gate, &[], &[]).await;
        assert_eq!(code, 1, "{columns:?}: {said}");
        let line = said.lines().next().unwrap();
        let correlation = approval.correlation_id.as_str();
        assert!(
            line.contains(correlation) && line.contains(found),
            "{columns:?}: {said}"
        );
        assert!(said.contains(" 1 problems."), "{columns:?}: {said}");
        let status = format!("{}/api/status/{}", gate.url, approval.id);
        assert_eq!(gate.get(&status).await.status, 500, "{columns:?}");
        gate.tamper(&approval.id, None, |row| *row = before).await;
    }
    let (said, code) = verify(&gate, &[], &[]).await;
    assert_eq!(code, 0, "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_auditor_needs_the_public_keys_and_nothing_else() {
    let gate = TestGate::start().await;
    lives(&gate).await;
    let published = gate.get(&format!("{}/api/keys", gate.url)).await;
    let file = gate.dir.path().join("published.json");
    std::fs::write(&file, &published.body).unwrap();
    let keys = ["--keys", file.to_str().unwrap()];
    let others = human_oversight::keyring::fresh_link_key();
    let without = [("HO_LINK_KEYS", others.as_str())];
    let (said, code) = verify(&gate, &keys, &without).await;
    assert_eq!(code, 0, "{said}");
    assert!(
        said.contains("The seals of 7 rows could not be checked"),
        "{said}"
    );

    // Another gate's keys show every decision to be none of its own.
    let other = TestGate::start().await;
    let foreign = other.get(&format!("{}/api/keys", other.url)).await;
    std::fs::write(&file, &foreign.body).unwrap();
    let (said, code) = verify(&gate, &keys, &without).await;
    assert_eq!(code, 1);
    assert!(said.contains(" 5 problems."), "{said}");

    // Whoever could not look does not say that all is well.
    for (contents, said_of_it) in [("{}", "is no JWK set"), ("<html>", "is no JWK set")] {
        std::fs::write(&file, contents).unwrap();
        let (said, code) = verify(&gate, &keys, &[]).await;
        assert_eq!(code, 2, "{said}");
        assert!(said.contains(said_of_it), "{said}");
    }
    let (said, code) = verify(&gate, &["--keys", "/nowhere"], &[]).await;
    assert_eq!(
        (code, said.contains("/nowhere cannot be read")),
        (2, true),
        "{said}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_predecessors_rows_are_counted_apart() {
    let settings = kept::tables(azurite().port);
    let gate = TestGate::with(&kept::borrowed(&settings)).await;
    gate.ask().await;
    let table = Table::of(azurite().port, &settings[2].1);
    let theirs = json!({
        "PartitionKey": "UserManagerAgent", "RowKey": "their-request",
        "AgentName": "UserManagerAgent", "ActionDescription": "Delete User Account",
        "Parameters": "{}", "ApproverEmails": ALICE, "Approver": ALICE, "Status": "Approved",
        "RequestTimestamp": "2025-01-01T00:00:00Z", "ResponseTimestamp": "2025-01-01T00:01:00Z",
    });
    table.put(&theirs).await;
    let (said, code) = verify(&gate, &[], &kept::borrowed(&settings)).await;
    assert_eq!(code, 0, "{said}");
    assert!(said.starts_with("2 rows: 0 decisions with their receipts, 1 rows of the predecessor"));
}
