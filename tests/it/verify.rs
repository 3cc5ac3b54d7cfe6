//! `human-oversight verify` as a process, on rows that were stored by the gate or changed outside it.

mod missed;
mod votes;

use std::time::Duration;

use human_oversight::keys::keyring;
use human_oversight_client::types::{Approval, Withdrawal};
use serde_json::{Value, json};

use crate::azurite::{Table, azurite};
use crate::backing_store;
use crate::claim::{NONCE, claim};
use crate::deadline::within;
use crate::harness::{ALICE, BOB, TestGate};
use crate::outcome::report;
use crate::process::binary;

/// Who runs the program: the operator, with the gate's keys, or an auditor without them.
#[derive(Clone, Copy, PartialEq)]
enum Who {
    Operator,
    Auditor,
}

/// Runs the program. Returns its output, of both streams, and its exit code.
async fn verify(gate: &TestGate, who: Who, more: &[&str]) -> (String, i32) {
    let settings = backing_store::settings(gate.dir.path());
    verify_with(gate, who, more, &backing_store::borrowed(&settings)).await
}

async fn verify_with(
    gate: &TestGate,
    who: Who,
    more: &[&str],
    settings: &[(&str, &str)],
) -> (String, i32) {
    let mut command = binary();
    command
        .arg("verify")
        .args(more)
        .envs(settings.iter().copied());
    let copy = tempfile::tempdir().unwrap();
    if who == Who::Auditor {
        let published = gate.get(&format!("{}/api/keys", gate.url)).await;
        let keys = copy.path().join("published.json");
        std::fs::write(&keys, &published.body).unwrap();
        command
            .env_remove("HO_LINK_KEYS")
            .env_remove("HO_RECEIPT_KEYS");
        if more.is_empty() {
            command.arg("--keys").arg(&keys);
        }
        // Local development stores the keys beside the file, so the file is copied without them.
        for file in ["approvals.db", "approvals.db-wal"] {
            let from = gate.dir.path().join(file);
            if from.exists() {
                std::fs::copy(from, copy.path().join(file)).unwrap();
                command.env("HO_STORE", format!("embedded:{}", copy.path().display()));
            }
        }
    }
    let output = within(command.output()).await.unwrap();
    let text = [output.stdout, output.stderr].concat();
    (
        String::from_utf8(text).unwrap(),
        output.status.code().unwrap(),
    )
}

/// Creates one request in each of seven states.
async fn create_requests(gate: &TestGate) -> Vec<Approval> {
    let mut all = Vec::new();
    for kind in 0..7 {
        let approval = gate.ask().await;
        match kind {
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
        if kind > 3 {
            let claim = claim("0123456789abcdef");
            gate.client.claim(&approval.id, &claim).await.unwrap();
        }
        if kind > 4 {
            let error = (kind > 5).then(|| "it broke".to_owned());
            let report = report(error.as_deref());
            gate.client.outcome(&approval.id, &report).await.unwrap();
        }
        all.push(approval);
    }
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_written_only_by_the_gate_has_no_problems() {
    let gate = TestGate::start().await;
    create_requests(&gate).await;
    gate.pass(Duration::from_secs(90_000));
    gate.sweep().await;
    for (who, seals) in [
        (Who::Operator, "All row MACs were verified."),
        (Who::Auditor, "Row MACs were not verified"),
    ] {
        let (said, code) = verify(&gate, who, &[]).await;
        let summary = "7 rows: 5 decisions proved by their receipts, 0 rows of the legacy Logic App, \
                       which prove nothing, 0 problems.\n3 claims proved by their permits.\n";
        assert!(said.starts_with(summary) && code == 0, "{said}");
        assert!(said.contains(seals), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_changed_row_is_named() {
    let gate = TestGate::start().await;
    let all = create_requests(&gate).await;
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
    let other_permit = gate.entity(&executed.id).await["ClaimPermit"].clone();
    /// The changed columns, and the problem that an auditor finds (none if empty).
    type Change<'a> = (&'a Approval, Vec<(&'static str, Value)>, &'static str);
    let changes: Vec<Change<'_>> = vec![
        (&pending, vec![("Reason", json!("Legal agreed."))], ""),
        (&pending, vec![("ActionDescription", json!("Read"))], ""),
        (
            &pending,
            vec![("DeadlineTimestamp", json!("2099-01-01T00:00:00.000Z"))],
            "",
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
            &claimed,
            vec![("ClaimPermit", json!("not a permit at all"))],
            "its permit is not signed by a key of the gate",
        ),
        (
            &claimed,
            vec![("ClaimPermit", other_permit)],
            "the stored claim contradicts its permit",
        ),
        (
            &failed,
            vec![("ClaimNonce", json!("fedcba9876543210"))],
            "the stored claim contradicts its permit",
        ),
        // Only the row MAC proves the claim of a row that an earlier version wrote.
        (&executed, vec![("ClaimPermit", Value::Null)], ""),
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
        for (who, found) in [
            (Who::Operator, "does not match its row MAC"),
            (Who::Auditor, found),
        ] {
            let (said, code) = verify(&gate, who, &[]).await;
            if found.is_empty() {
                assert_eq!(code, 0, "{columns:?}: {said}");
                continue;
            }
            assert_eq!(code, 1, "{columns:?}: {said}");
            let line = said.lines().next().unwrap();
            let correlation = approval.correlation_id.as_str();
            assert!(
                line.contains(correlation) && line.contains(found),
                "{columns:?}: {said}"
            );
            assert!(said.contains(" 1 problems."), "{columns:?}: {said}");
        }
        let status = format!("{}/api/status/{}", gate.url, approval.id);
        assert_eq!(gate.get(&status).await.status, 500, "{columns:?}");
        gate.tamper(&approval.id, None, |row| *row = before).await;
    }
    let (said, code) = verify(&gate, Who::Operator, &[]).await;
    assert_eq!(code, 0, "{said}");
}

/// A row MAC proves a claim whose permit is of a key that is gone; without it nothing does.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_claim_is_proved_by_the_row_mac_or_by_its_permit() {
    let [old, new] = [(); 2].map(|()| keyring::generate_receipt_key());
    let both = format!("{new},{old}");
    let gate = TestGate::with(&[("HO_RECEIPT_KEYS", &*old)]).await;
    let approval = gate.ask().await;
    gate.approve(&approval, ALICE).await;
    let published = gate.get(&format!("{}/api/keys", gate.url)).await;
    let gate = TestGate::at(gate.dir, &[("HO_RECEIPT_KEYS", &*both)]).await;
    let claimed = gate.client.claim(&approval.id, &claim(NONCE)).await;
    claimed.unwrap();
    let file = gate.dir.path().join("old.json");
    std::fs::write(&file, &published.body).unwrap();
    let keys = ["--keys", file.to_str().unwrap()];
    let (said, code) = verify(&gate, Who::Operator, &keys).await;
    assert!(code == 0 && !said.contains("claims proved"), "{said}");
    let (said, code) = verify(&gate, Who::Auditor, &keys).await;
    let problem = "its permit is not signed by a key of the gate";
    assert!(code == 1 && said.contains(problem), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_of_another_gate_prove_nothing_and_unusable_keys_are_reported() {
    let gate = TestGate::start().await;
    create_requests(&gate).await;
    let other = TestGate::start().await;
    let foreign = other.get(&format!("{}/api/keys", other.url)).await;
    let file = gate.dir.path().join("keys.json");
    let keys = ["--keys", file.to_str().unwrap()];
    std::fs::write(&file, &foreign.body).unwrap();
    let (said, code) = verify(&gate, Who::Auditor, &keys).await;
    assert_eq!(code, 1);
    assert!(
        said.contains("7 rows: 0 decisions") && said.contains(" 5 problems."),
        "{said}"
    );

    // Unusable keys are an error, not a success.
    for (contents, words) in [
        ("{}", "is no JWK set"),
        ("<html>", "is no JWK set"),
        (r#"{"keys":[]}"#, "has no receipt keys"),
    ] {
        std::fs::write(&file, contents).unwrap();
        let (said, code) = verify(&gate, Who::Auditor, &keys).await;
        assert_eq!((code, said.contains(words)), (2, true), "{said}");
    }
    let (said, code) = verify(&gate, Who::Operator, &["--keys", "/nowhere"]).await;
    assert_eq!(
        (code, said.contains("/nowhere cannot be read")),
        (2, true),
        "{said}"
    );

    // A row MAC of a key that was removed is a problem: of seven requests, a rejection and five kept decisions.
    gate.until_kept(5).await;
    let mut settings = backing_store::settings(gate.dir.path());
    settings.retain(|(name, _)| *name != "HO_LINK_KEYS");
    settings.push(("HO_LINK_KEYS", keyring::generate_link_key()));
    let settings = backing_store::borrowed(&settings);
    let (said, code) = verify_with(&gate, Who::Operator, &[], &settings).await;
    assert_eq!(code, 1);
    assert!(
        said.contains("a key that is not in HO_LINK_KEYS") && said.contains(" 13 problems."),
        "{said}"
    );
    let nowhere = [("HO_STORE", "embedded:/nowhere")];
    let (said, code) = verify_with(&gate, Who::Operator, &[], &nowhere).await;
    assert_eq!(
        (code, said.contains("there is no store in /nowhere")),
        (2, true),
        "{said}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_of_the_legacy_logic_app_are_counted_separately() {
    let settings = backing_store::tables(azurite().port);
    let gate = TestGate::with(&backing_store::borrowed(&settings)).await;
    gate.ask().await;
    let table = Table::of(azurite().port, &settings[2].1);
    let legacy = backing_store::legacy_row();
    table.put(&legacy).await;
    let (said, code) = verify_with(
        &gate,
        Who::Operator,
        &[],
        &backing_store::borrowed(&settings),
    )
    .await;
    assert_eq!(code, 0, "{said}");
    assert!(said.starts_with("2 rows: 0 decisions proved by their receipts, 1 rows of the legacy"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn times_that_run_backwards_are_found() {
    let gate = TestGate::start().await;
    let (near, far) = (gate.ask().await, gate.ask().await);
    gate.back(Duration::from_secs(590));
    gate.approve(&near, ALICE).await;
    let (said, code) = verify(&gate, Who::Operator, &[]).await;
    assert_eq!(code, 0, "{said}");
    gate.back(Duration::from_secs(20));
    gate.approve(&far, ALICE).await;
    let (said, code) = verify(&gate, Who::Operator, &[]).await;
    assert_eq!(code, 1, "{said}");
    assert!(
        said.contains("its times run backwards: Approved at "),
        "{said}"
    );
    assert!(said.contains(" 1 problems."), "{said}");
}
