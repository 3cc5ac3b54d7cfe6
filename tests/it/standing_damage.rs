//! Rows of the standing table without which calls are refused: one that was changed is in the log as every row that was, in
//! `check` and in the lists, and the operator can remove it alone.

use std::path::Path;

use human_oversight::keys::keyring;
use reqwest::StatusCode;
use rusqlite::Connection;
use serde_json::json;

use crate::backing_store;
use crate::claim::{NONCE, claim};
use crate::harness::{ALICE, Log, TestGate, request};
use crate::host::MASTER_KEY;
use crate::operate::operate;
use crate::process::run;

/// The settings of a gate with a file in this folder.
fn settings(dir: &Path) -> Vec<(&'static str, String)> {
    let budget = ("HO_OWNER_BUDGET", "200/1200".to_owned());
    backing_store::embedded(dir)
        .into_iter()
        .chain([budget])
        .collect()
}

/// A gate with a file, and its settings.
async fn gate() -> (TestGate, Vec<(&'static str, String)>) {
    let dir = tempfile::tempdir().unwrap();
    let settings = settings(dir.path());
    let gate = TestGate::at(dir, &backing_store::borrowed(&settings)).await;
    (gate, settings)
}

/// A submit is refused, and the log says why.
async fn assert_stopped(gate: &TestGate, cause: &str) {
    let log = Log::default();
    let collecting = log.collect();
    let body = serde_json::to_string(&request()).unwrap();
    let refused = gate.post("/api/submit", body).await;
    assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE);
    drop(collecting);
    assert_logged(&log, cause);
}

fn file(gate: &TestGate) -> Connection {
    Connection::open(gate.dir.path().join("approvals.db")).unwrap()
}

/// Changes the rows of a kind, as a party with write access would.
fn spoil(gate: &TestGate, kind: &str, from: &str, to: &str) {
    let spoil = "UPDATE standingapprovals SET Entity = replace(Entity, ?2, ?3), ETag = ETag + 1
         WHERE PartitionKey = ?1 AND Entity LIKE '%' || ?2 || '%'";
    assert_eq!(file(gate).execute(spoil, [kind, from, to]).unwrap(), 1);
}

/// The row is named everywhere, and only it is deleted.
async fn assert_named_and_purged(gate: &TestGate, settings: &[(&str, &str)], kind: &str) {
    let named = "standing rows cannot be trusted: 1 ";
    let (said, _) = run(settings, &["check"]).await;
    assert!(said.contains(&format!("tables    {named}")), "{said}");
    let row = format!("standing row {kind}/");
    let (said, code) = run(settings, &["list", "--damaged"]).await;
    assert!(code == 1 && said.starts_with(&row), "{said}");
    let purge = ["purge", "--damaged"];
    let (said, code) = run(settings, &purge).await;
    let counted = "1 standing rows that cannot be trusted would be deleted. Nothing was";
    assert!(
        code == 0 && said.starts_with(&row) && said.contains(counted),
        "{said}"
    );
    let before = gate.stored().await;
    let (said, code) = run(settings, &[&purge[..], &["--delete"]].concat()).await;
    let deleted = "1 standing rows that cannot be trusted were deleted; 0 of them";
    assert!(code == 0 && said.contains(deleted), "{said}");
    assert_eq!(gate.stored().await, before, "no request was deleted");
    let (said, code) = run(settings, &["list", "--damaged"]).await;
    assert!(code == 0, "{said}");
}

fn assert_logged(log: &Log, cause: &str) {
    assert_eq!(
        log.count("integrity problem status=503"),
        1,
        "{:?}",
        log.lines()
    );
    assert_eq!(log.count(cause), 1, "{:?}", log.lines());
}

#[tokio::test]
async fn damaged_budgets_stop_their_owner_until_they_are_purged() {
    let (gate, settings) = gate().await;
    let settings = backing_store::borrowed(&settings);
    let ended = gate.ask().await;
    gate.reject(&ended, ALICE, "no").await;
    gate.sweep().await;
    spoil(&gate, "budget", "OwnerFull", "OwnerFulm");
    assert_stopped(&gate, "the budgets: the row is damaged").await;
    assert_named_and_purged(&gate, &settings, "budget").await;
    gate.ask().await;
}

#[tokio::test]
async fn damaged_counts_of_wrong_codes_stop_a_persons_codes_until_they_are_purged() {
    let (gate, settings) = gate().await;
    let settings = backing_store::borrowed(&settings);
    let approval = gate.ask().await;
    let question = gate.question(&approval, ALICE);
    let wrong = [("decision", "approve"), ("code", question.wrong_code())];
    gate.decide(&question, &wrong).await;
    spoil(
        &gate,
        "code",
        "\"WrongCodes\":\"1\"",
        "\"WrongCodes\":\"0\"",
    );
    let log = Log::default();
    let collecting = log.collect();
    let right = [("decision", "approve"), ("code", &*question.code)];
    let refused = gate.decide(&question, &right).await;
    assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE);
    drop(collecting);
    assert_logged(&log, "the wrong codes of a person: the row is damaged");
    assert_named_and_purged(&gate, &settings, "code").await;
    gate.approve(&approval, ALICE).await;
}

#[tokio::test]
async fn a_claim_of_what_was_rejected_is_refused_for_that_also_while_a_pause_cannot_be_trusted() {
    let (gate, _) = gate().await;
    let (approved, rejected) = (gate.ask().await, gate.ask().await);
    gate.approve(&approved, ALICE).await;
    gate.reject(&rejected, ALICE, "Not this one.").await;
    let pause = json!({"command": "pause", "because": "a break-in", "agent": "Spoilt"});
    operate(&gate, pause).await;
    spoil(&gate, "pause", "\"Spoilt\"", "\"Spoilt\",\"New\":\"1\"");
    for (approval, status) in [
        (&rejected, StatusCode::CONFLICT),
        (&approved, StatusCode::SERVICE_UNAVAILABLE),
    ] {
        let body = serde_json::to_string(&claim(NONCE)).unwrap();
        let path = format!("/api/claim/{}", approval.id);
        assert_eq!(gate.post(&path, body).await.status, status);
    }
}

#[tokio::test]
async fn what_is_paused_and_runs_is_listed_beside_pauses_that_cannot_be_trusted() {
    let (gate, settings) = gate().await;
    let settings = backing_store::borrowed(&settings);
    let approval = gate.ask().await;
    gate.approve(&approval, ALICE).await;
    gate.client
        .claim(&approval.id, &claim(NONCE))
        .await
        .unwrap();
    for agent in ["Sound", "Spoilt"] {
        let pause = json!({"command": "pause", "because": "a break-in", "agent": agent});
        operate(&gate, pause).await;
    }
    spoil(&gate, "pause", "\"Spoilt\"", "\"Spoilt\",\"New\":\"1\"");
    let insert = "INSERT INTO standingapprovals VALUES ('pause', 'zz', 1, NULL, '{}')";
    file(&gate).execute(insert, []).unwrap();
    assert_stopped(&gate, "the pauses: the row is damaged").await;
    let health = gate.get(&format!("{}/api/health", gate.url)).await;
    assert_eq!(health.status, StatusCode::SERVICE_UNAVAILABLE);

    let master = [("HO_MASTER_KEY", MASTER_KEY)];
    for (settings, url) in [(&settings[..], &[][..]), (&master, &["--url", &gate.url])] {
        let (said, code) = run(settings, &[&["executing"], url].concat()).await;
        assert_eq!(code, 2, "{said}");
        for line in [
            "Paused: the agent Sound, since ",
            &format!("  {}  ", approval.id),
            "It names the agent Spoilt: `pause` or `resume` with that scope replaces or removes it.",
            "The standing row pause/zz stops everything, and is none of the pauses: the row is damaged",
            "It does not say what it pauses: `purge --damaged` removes it.",
        ] {
            assert!(said.contains(line), "{line}: {said}");
        }
        let (said, code) = run(settings, &[&["resume", "--agent", "Another"], url].concat()).await;
        assert!(
            code == 2 && said.starts_with("There was no pause with this scope"),
            "{said}"
        );
        assert!(!said.contains("done"), "{said}");
    }
    // What says what it pauses is for `resume` alone.
    let (said, code) = run(&settings, &["purge", "--damaged", "--delete"]).await;
    assert!(
        code == 0 && said.starts_with("standing row pause/zz: "),
        "{said}"
    );
    assert!(
        said.contains("\n1 standing rows") && said.contains("\n1 others stay: "),
        "{said}"
    );
    let (said, code) = run(&settings, &["resume", "--agent", "spoilt"]).await;
    assert!(
        code == 0 && said.starts_with("Resumed: the agent spoilt."),
        "{said}"
    );
    let (said, code) = run(&settings, &["executing"]).await;
    assert!(
        code == 0 && said.starts_with("Paused: the agent Sound"),
        "{said}"
    );
    gate.ask().await;
}

/// What has no rows proves nothing.
#[tokio::test]
async fn a_file_without_the_table_of_requests_is_lost_until_a_gate_starts() {
    let (gate, settings) = gate().await;
    let settings = backing_store::borrowed(&settings);
    gate.ask().await;
    let copy = gate.dir.path().join("copy.jsonl");
    let copy = copy.to_str().unwrap();
    let (said, code) = run(&settings, &["backup", copy]).await;
    assert_eq!(code, 0, "{said}");
    file(&gate).execute_batch("DROP TABLE approvals").unwrap();
    let evidence = gate.dir.path().join("evidence");
    let evidence = [
        "evidence",
        "--since",
        "2026-01-01",
        "--until",
        "2026-01-02",
        "--output",
        evidence.to_str().unwrap(),
    ];
    let reading: [&[&str]; 4] = [&["verify"], &evidence, &["list", "--open"], &["executing"]];
    for arguments in reading {
        let (said, code) = run(&settings, arguments).await;
        let lost = "the table approvals of its file is lost";
        assert!(code == 2 && said.contains(lost), "{arguments:?}: {said}");
    }
    let (said, code) = run(&settings, &["check"]).await;
    assert!(code == 2 && said.contains("failed   tables"), "{said}");
    let body = serde_json::to_string(&request()).unwrap();
    let refused = gate.post("/api/submit", body).await;
    assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE);

    let log = Log::default();
    let collecting = log.collect();
    let started = TestGate::with(&settings).await;
    drop(collecting);
    let line = "a table was lost: it has been created anew, without its rows table=\"approvals\"";
    assert_eq!(log.count(line), 1, "{:?}", log.lines());
    let (said, code) = run(&settings, &["restore", copy]).await;
    assert!(
        code == 0 && said.starts_with("1 rows were put back"),
        "{said}"
    );
    for running in [&gate, &started] {
        running.ask().await;
    }
}

/// A key that was lost, or is another gate's, is no reason to delete.
#[tokio::test]
async fn with_the_keys_of_another_gate_nothing_is_purged() {
    let (gate, settings) = gate().await;
    gate.ask().await;
    let mut settings = backing_store::borrowed(&settings);
    let other = keyring::generate_link_key();
    settings.retain(|(name, _)| *name != "HO_LINK_KEYS");
    settings.push(("HO_LINK_KEYS", &other));
    let (said, code) = run(&settings, &["purge", "--damaged", "--delete"]).await;
    assert!(
        code == 2 && said.contains("nothing was counted or deleted"),
        "{said}"
    );
}

/// The gate has both keys; the settings of the command have the new one alone.
#[tokio::test]
async fn rows_of_a_key_that_a_command_lacks_are_not_purged_as_damaged() {
    let (gate, mut settings) = gate().await;
    gate.ask().await;
    let new = keyring::generate_link_key();
    let link_keys = settings.iter_mut().find(|it| it.0 == "HO_LINK_KEYS");
    let (_, link_keys) = link_keys.unwrap();
    let both = format!("{new},{link_keys}");
    *link_keys = new;
    let alone = backing_store::borrowed(&settings);
    let mut both = vec![("HO_LINK_KEYS", both.as_str())];
    both.extend(alone.iter().filter(|it| it.0 != "HO_LINK_KEYS"));
    let gate = TestGate::at(gate.dir, &both).await;
    let (said, code) = run(&alone, &["purge", "--damaged", "--delete"]).await;
    let kept = "0 standing rows that cannot be trusted were deleted; 0 of them";
    assert!(code == 0 && said.starts_with(kept), "{said}");
    assert!(
        said.contains("rows of keys that are not in the settings"),
        "{said}"
    );
    let (said, code) = run(&both, &["list", "--damaged"]).await;
    assert_eq!(code, 0, "{said}");
    gate.ask().await;
}
