//! The standing table, or the gate's id in it, is lost: no one takes what is not in it for "not paused", and only a gate
//! that starts while everything is paused creates it again.

use std::path::Path;
use std::time::Duration;

use human_oversight::store::{OpenedBy, RowSettings, Store, StoreError};
use human_oversight_client::Error;
use human_oversight_client::types::Approval;

use crate::azurite::{Table, azurite};
use crate::backing_store;
use crate::claim::claim;
use crate::harness::{ALICE, Log, TestGate, request};
use crate::process::run;
use crate::store::{OPEN_LIMIT, keys};

const PAUSE: [&str; 5] = ["pause", "--because", "a break-in", "--again-after", "0"];

/// What commands say that need the table.
const LOST: &str = "the standing table or its row gate/id is lost";

/// The commands that read, and those that write, which need the table.
fn commands<'a>(id: &'a str, copy: &'a str) -> (Vec<Vec<&'a str>>, Vec<Vec<&'a str>>) {
    let reading = [
        vec!["executing"],
        vec!["grants"],
        vec!["webhooks"],
        vec!["list", "--open"],
        vec!["list", "--damaged"],
        vec!["index", "rebuild"],
        vec!["index", "rebuild-lists"],
    ];
    let writing = [
        PAUSE.to_vec(),
        vec!["pause", "--agent", "Another", "--because", "x"],
        vec!["resume"],
        vec!["revoke", id],
        vec!["allow", id],
        vec!["resend", id],
        vec!["grants", "revoke", "5f0c2a9e41d7b386"],
        vec!["webhooks", "enable", "ledger"],
        vec!["restore", copy],
        vec!["purge", "--older-than", "0", "--damaged", "--delete"],
    ];
    (reading.to_vec(), writing.to_vec())
}

async fn try_claim(gate: &TestGate, approval: &Approval) -> Result<Approval, Error> {
    let nonce = claim("0123456789abcdef");
    gate.client.claim(&approval.id, &nonce).await
}

async fn assert_unknown(gate: &TestGate, approval: &Approval) {
    let refused = try_claim(gate, approval).await;
    let is_unavailable = matches!(refused, Err(Error::Unavailable { status: 503, .. }));
    assert!(is_unavailable, "{refused:?}");
    let health = gate.get(&format!("{}/api/health", gate.url)).await;
    assert_eq!(health.status, 503);
}

/// Every command refuses, and names what is lost.
async fn assert_refused(settings: &[(&str, &str)], id: &str, copy: &Path) {
    let copy = copy.to_str().unwrap();
    let (reading, writing) = commands(id, copy);
    for command in [reading, writing].concat() {
        let (said, code) = run(settings, &command).await;
        assert!(code == 2 && said.contains(LOST), "{command:?}: {said}");
        assert!(!said.contains("it was done"), "{command:?}: {said}");
    }
    let (said, code) = run(settings, &["check"]).await;
    assert_eq!(code, 2, "{said}");
    let is_line = |line: &str| line.starts_with("failed   pauses    unknown: the standing table");
    assert!(said.lines().any(is_line), "{said}");
    assert!(!said.contains("none stands"), "{said}");
    assert!(!said.contains("the gate creates it"), "{said}");
    // No action is said to lack an approval that cannot be read, and no row to be damaged.
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (actions, policy, evidence) =
        (path("actions.jsonl"), path("policy.toml"), path("evidence"));
    std::fs::write(&actions, "{}\n").unwrap();
    std::fs::write(&policy, "version = 1\n").unwrap();
    for command in [
        vec!["reconcile", "--actions", &actions, "--since", "2026-01-01"],
        vec![
            "evidence",
            "--since",
            "2026-01-01",
            "--until",
            "2026-01-02",
            "--output",
            &evidence,
        ],
        vec!["policy", "rehearse", &policy],
        vec!["verify"],
    ] {
        let (said, code) = run(settings, &command).await;
        assert!(code == 2 && said.contains(LOST), "{command:?}: {said}");
    }
    // What is left can be kept, also by those without keys.
    for with_keys in [true, false] {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("left.jsonl");
        let mut settings = settings.to_vec();
        settings.retain(|(name, _)| with_keys || !name.ends_with("_KEYS"));
        let (said, code) = run(&settings, &["backup", file.to_str().unwrap()]).await;
        assert!(code == 1 && said.contains(" rows were copied."), "{said}");
        assert!(said.contains(LOST), "{said}");
    }
}

/// A gate with a pause and an approved request, and a copy of its rows.
async fn paused(settings: &[(&str, &str)]) -> (TestGate, Approval) {
    let gate = TestGate::with(settings).await;
    let approval = gate.ask().await;
    gate.approve(&approval, ALICE).await;
    let copy = gate.dir.path().join("copy.jsonl");
    let (said, code) = run(settings, &["backup", copy.to_str().unwrap()]).await;
    assert_eq!(code, 0, "{said}");
    let (said, code) = run(settings, &PAUSE).await;
    assert_eq!(code, 0, "{said}");
    let refused = try_claim(&gate, &approval).await.unwrap_err();
    assert!(refused.to_string().contains("paused"), "{refused}");
    (gate, approval)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_command_ends_a_pause_by_creating_the_lost_table() {
    let settings = backing_store::tables(azurite().port);
    let borrowed = backing_store::borrowed(&settings);
    let (gate, approval) = paused(&borrowed).await;
    let copy = gate.dir.path().join("copy.jsonl");
    let standing = Table::of(azurite().port, &format!("standing{}", settings[2].1));
    standing.drop_table().await;
    assert_unknown(&gate, &approval).await;
    for named in [&[][..], &[("HO_GATE_ID", "local")]] {
        let settings = [&borrowed[..], named].concat();
        assert_refused(&settings, &approval.id, &copy).await;
        assert!(!standing.exists().await, "{named:?}");
    }
    assert_unknown(&gate, &approval).await;
    gate.sweep().await;
    // Nor is what the gate writes enough: it writes no table.
    gate.client.submit(&request()).await.ok();
    assert!(!standing.exists().await);

    // A table that someone made by hand means nothing, either.
    standing.create().await;
    assert_unknown(&gate, &approval).await;
    for named in [&[][..], &[("HO_GATE_ID", "local")]] {
        let settings = [&borrowed[..], named].concat();
        assert_refused(&settings, &approval.id, &copy).await;
        assert_eq!(standing.rows().await.len(), 0, "{named:?}");
    }
    assert_unknown(&gate, &approval).await;

    // Nor does an instance that starts, such as one of a scale-out.
    let started = TestGate::with(&borrowed).await;
    assert_unknown(&started, &approval).await;
    assert_eq!(standing.rows().await.len(), 0);

    let held = [&borrowed[..], &[("HO_PAUSED", "1")]].concat();
    let log = Log::default();
    let collecting = log.collect();
    let paused = TestGate::with(&held).await;
    drop(collecting);
    assert_eq!(log.count("ERROR"), 1, "{:?}", log.lines());
    assert_eq!(log.count("the gate's id was lost: it is stored anew"), 1);
    let refused = try_claim(&paused, &approval).await.unwrap_err();
    assert!(refused.to_string().contains("paused"), "{refused}");
    // The instances that run meanwhile are not paused, and do not know what was.
    for running in [&gate, &started] {
        assert_unknown(running, &approval).await;
    }
    // What was lost is now in the hands of the operator.
    let (said, code) = run(&borrowed, &["restore", copy.to_str().unwrap()]).await;
    assert_eq!(code, 0, "{said}");
    for running in [&gate, &started] {
        assert_unknown(running, &approval).await;
    }
    let restarted = TestGate::with(&borrowed).await;
    try_claim(&restarted, &approval).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_command_and_no_later_call_creates_the_table_that_a_file_has_lost() {
    let dir = tempfile::tempdir().unwrap();
    let settings = backing_store::embedded(dir.path());
    let settings = backing_store::borrowed(&settings);
    let (gate, approval) = paused(&settings).await;
    let file = rusqlite::Connection::open(dir.path().join("approvals.db")).unwrap();
    file.execute_batch("DROP TABLE standingapprovals").unwrap();
    let exists = || -> bool {
        let found = "SELECT count(*) FROM sqlite_master WHERE name = 'standingapprovals'";
        file.query_row(found, [], |row| row.get(0)).unwrap()
    };
    let copy = gate.dir.path().join("copy.jsonl");
    for _ in 0..2 {
        assert_unknown(&gate, &approval).await;
        let named = [&settings[..], &[("HO_GATE_ID", "local")]].concat();
        assert_refused(&named, &approval.id, &copy).await;
        assert!(!exists());
    }
    drop(gate);
    for version in ["1", "2"] {
        let settings = [&settings[..], &[("HO_ROWS", version)]].concat();
        let started = TestGate::with(&settings).await;
        assert_unknown(&started, &approval).await;
        assert!(!exists(), "{version}");
    }
    let held = [&settings[..], &[("HO_PAUSED", "1")]].concat();
    let started = TestGate::with(&held).await;
    assert!(exists());
    let refused = try_claim(&started, &approval).await.unwrap_err();
    assert!(refused.to_string().contains("paused"), "{refused}");
    drop(started);
    let started = TestGate::with(&settings).await;
    try_claim(&started, &approval).await.unwrap();
}

/// One changed column of one row must not cost all the others.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_id_of_the_gate_is_named_and_nothing_is_purged_for_it() {
    let dir = tempfile::tempdir().unwrap();
    let settings = backing_store::embedded(dir.path());
    let settings = backing_store::borrowed(&settings);
    let gate = TestGate::with(&settings).await;
    for _ in 0..3 {
        gate.ask().await;
    }
    drop(gate);
    let file = rusqlite::Connection::open(dir.path().join("approvals.db")).unwrap();
    let changed = file.execute(
        "UPDATE standingapprovals SET Entity = json_set(Entity, '$.OperationId', '00') WHERE PartitionKey = 'gate'",
        [],
    );
    assert_eq!(changed.unwrap(), 1);
    let why = "the row gate/id of the standing table is damaged";
    for (command, named) in [
        (&["list", "--damaged"][..], "standing row gate/id: "),
        (&["verify"], "standing row gate/id: "),
        (
            &["check"],
            "failed   tables    the gate's id cannot be trusted",
        ),
        (&["executing"], ""),
    ] {
        let (said, code) = run(&settings, command).await;
        assert_ne!(code, 0, "{command:?}: {said}");
        let is_named = |line: &str| line.contains(named) && line.contains(why);
        assert!(said.lines().any(is_named), "{command:?}: {said}");
    }
    let count = || -> i64 {
        let count = "SELECT count(*) FROM approvals";
        file.query_row(count, [], |row| row.get(0)).unwrap()
    };
    for purge in [
        &["purge", "--older-than", "0", "--damaged", "--delete"][..],
        &["purge", "--older-than", "0", "--damaged"],
    ] {
        let (said, code) = run(&settings, purge).await;
        assert!(code == 2 && said.contains(why), "{said}");
    }
    assert_eq!(count(), 3);

    // The cure of docs/operations.md.
    let cure = "DELETE FROM standingapprovals WHERE PartitionKey = 'gate'";
    assert_eq!(file.execute(cure, []).unwrap(), 1);
    let held = [&settings[..], &[("HO_PAUSED", "1")]].concat();
    let gate = TestGate::with(&held).await;
    let health = gate.get(&format!("{}/api/health", gate.url)).await;
    assert_eq!(health.status, 200);
    drop(gate);
    let gate = TestGate::with(&settings).await;
    gate.ask().await;
    let (said, code) = run(&settings, &["verify"]).await;
    assert!(code == 0 && said.starts_with("4 rows: "), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_that_a_damaged_pause_prevents_says_nothing_of_what_was_done() {
    let dir = tempfile::tempdir().unwrap();
    let settings = backing_store::embedded(dir.path());
    let settings = backing_store::borrowed(&settings);
    let gate = TestGate::at(dir, &settings).await;
    gate.ask().await;
    let (said, code) = run(&settings, &PAUSE).await;
    assert_eq!(code, 0, "{said}");
    let file = rusqlite::Connection::open(gate.dir.path().join("approvals.db")).unwrap();
    let spoil = "UPDATE standingapprovals SET Entity = replace(Entity, 'break-in', 'joke') WHERE PartitionKey = 'pause'";
    assert_eq!(file.execute(spoil, []).unwrap(), 1);
    let (said, code) = run(&settings, &["executing"]).await;
    assert!(
        code == 2 && said.contains("the pauses: the row is damaged"),
        "{said}"
    );
    assert!(!said.contains("done"), "{said}");
}

/// A gate that no one called meanwhile finds it out, too.
#[tokio::test(start_paused = true)]
async fn the_id_is_looked_for_once_a_minute() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::embedded(dir.path(), OPEN_LIMIT, keys());
    store.try_reading().await.unwrap();
    store.prepare().await.unwrap();
    let file = rusqlite::Connection::open(dir.path().join("approvals.db")).unwrap();
    let lose = "DELETE FROM standingapprovals WHERE PartitionKey = 'gate'";
    assert_eq!(file.execute(lose, []).unwrap(), 1);
    tokio::time::advance(Duration::from_secs(59)).await;
    store.ensure_standing_is_whole().await.unwrap();
    tokio::time::advance(Duration::from_secs(1)).await;
    for _ in 0..2 {
        let checked = store.ensure_standing_is_whole().await;
        assert!(
            matches!(checked, Err(StoreError::StandingLost)),
            "{checked:?}"
        );
    }
    // Another instance has started, whose pause this one does not have.
    let paused = RowSettings {
        opened_by: OpenedBy::Gate { is_paused: true },
        ..RowSettings::default()
    };
    let other = Store::embedded(dir.path(), OPEN_LIMIT, keys()).with_rows(paused);
    other.prepare().await.unwrap();
    let checked = store.ensure_standing_is_whole().await;
    assert!(
        matches!(checked, Err(StoreError::StandingLost)),
        "{checked:?}"
    );
}
