//! `human-oversight purge` as a process, on rows that a gate wrote.

use std::collections::BTreeMap;
use std::time::Duration;

use human_oversight::keys::keyring;
use human_oversight::store::{StandingKind, StandingRow};
use human_oversight_client::types::{Decider, NewApproval};
use serde_json::json;

use crate::azurite::{Table, azurite};
use crate::backing_store;
use crate::grants;
use crate::harness::{ALICE, TestGate, object, request};
use crate::operate::operate;
use crate::process::{Process, run};

async fn purge(settings: &[(&str, &str)], arguments: &[&str]) -> (String, i32) {
    run(settings, &[&["purge"], arguments].concat()).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_old_finished_requests_are_deleted() {
    let gate = TestGate::start().await;
    let settings = backing_store::settings(gate.dir.path());
    let settings = backing_store::borrowed(&settings);
    let submit = async |name: &str| {
        let mut new = request();
        new.correlation_id = Some(name.to_owned());
        new.timeout_seconds = Some(2_592_000);
        gate.client.submit(&new).await.unwrap()
    };
    // The program uses the clock of the machine, so old requests are submitted with the gate's clock set back.
    gate.back(Duration::from_secs(40 * 86_400));
    let old = submit("old").await;
    gate.reject(&old, ALICE, "no").await;
    let tampered = submit("tampered").await;
    gate.reject(&tampered, ALICE, "no").await;
    let claimed = submit("claimed").await;
    gate.approve(&claimed, ALICE).await;
    gate.sweep().await;
    gate.pass(Duration::from_secs(86_400));
    gate.sweep().await;
    gate.tamper(&tampered.id, None, |row| row["Comment"] = json!("yes"))
        .await;
    gate.pass(Duration::from_secs(39 * 86_400));
    let young = submit("young").await;
    gate.reject(&young, ALICE, "no").await;
    gate.sweep().await;

    let before = gate.stored().await;
    let older = ["--older-than", "30"];
    let (said, code) = purge(&settings, &older).await;
    assert_eq!(code, 0, "{said}");
    assert!(
        said.starts_with("2 requests that ended, and 0 rows of the legacy Logic App"),
        "{said}"
    );
    assert!(said.contains("would be deleted. Nothing was"), "{said}");
    assert!(
        said.contains("4 rows in all; 0 that are still due for something and 1 that cannot"),
        "{said}"
    );
    assert_eq!(gate.stored().await, before);

    let (said, code) = purge(&settings, &[&older[..], &["--delete"]].concat()).await;
    assert_eq!(
        (code, said.contains("were deleted; 0 of them")),
        (0, true),
        "{said}"
    );
    let left: Vec<String> = gate
        .stored()
        .await
        .into_iter()
        .map(|(key, ..)| key)
        .collect();
    assert_eq!(left, ["tampered", "young"]);

    for wrong in [&["--older-than"][..], &["--older-than", "x"], &["--delete"]] {
        let (said, code) = purge(&settings, wrong).await;
        assert_eq!(code, 2, "{said}");
    }
    assert_eq!(gate.stored().await.len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_of_the_legacy_logic_app_are_deleted_by_their_write_time() {
    let settings = backing_store::tables(azurite().port);
    let settings = backing_store::borrowed(&settings);
    let gate = TestGate::with(&settings).await;
    gate.ask().await;
    let table = Table::of(azurite().port, settings[2].1);
    table.put(&backing_store::legacy_row()).await;
    let (said, _) = purge(&settings, &["--older-than", "1", "--delete"]).await;
    assert!(
        said.starts_with("0 requests that ended, and 0 rows"),
        "{said}"
    );
    let (said, _) = purge(&settings, &["--older-than", "0", "--delete"]).await;
    assert!(
        said.starts_with("0 requests that ended, and 1 rows"),
        "{said}"
    );
    assert!(
        said.contains("1 that are still due for something"),
        "{said}"
    );
    assert_eq!(table.rows().await.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn standing_rows_unused_for_30_days_are_deleted_but_never_a_pause() {
    let gate = TestGate::start().await;
    let settings = backing_store::settings(gate.dir.path());
    let settings = backing_store::borrowed(&settings);
    gate.ask().await;
    let put = async |kind, name, days: u64| {
        gate.back(Duration::from_secs(days * 86_400));
        let row = StandingRow::new(kind, name, BTreeMap::new());
        gate.store.put_standing(row, gate.now()).await.unwrap();
        gate.pass(Duration::from_secs(days * 86_400));
    };
    for kind in [
        StandingKind::Budget,
        StandingKind::Rejection,
        StandingKind::Delivery,
    ] {
        put(kind, "old", 31).await;
        put(kind, "young", 29).await;
    }
    gate.back(Duration::from_secs(400 * 86_400));
    operate(&gate, json!({"command": "pause", "because": "x"})).await;
    gate.pass(Duration::from_secs(400 * 86_400));

    let names = async || {
        let mut names = Vec::new();
        for kind in [
            StandingKind::Budget,
            StandingKind::Rejection,
            StandingKind::Delivery,
            StandingKind::Pause,
        ] {
            let rows = gate.store.standing_of(kind).await.unwrap();
            names.extend(rows.into_iter().map(|row| row.name));
        }
        names
    };
    let (said, _) = purge(&settings, &["--older-than", "1"]).await;
    assert!(
        said.contains("and 3 standing rows unused for 30 days, would be deleted"),
        "{said}"
    );
    assert_eq!(names().await.len(), 7);
    let (said, code) = purge(&settings, &["--older-than", "1", "--delete"]).await;
    assert!(
        code == 0 && said.contains("were deleted; 0 of them"),
        "{said}"
    );
    assert_eq!(names().await, ["young", "young", "young", "all"]);
    let (said, code) = run(&settings, &["verify"]).await;
    assert_eq!(code, 0, "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_sealed_with_a_leaked_key_is_deleted_on_request() {
    let settings = backing_store::tables(azurite().port);
    let gate = TestGate::with(&backing_store::borrowed(&settings)).await;
    let (open, rejected) = (gate.ask().await, gate.ask().await);
    gate.reject(&rejected, ALICE, "no").await;
    gate.sweep().await;
    gate.until_kept(1).await;
    // The leak drill: a new key in the place of the old one.
    let settings = settings.map(|(name, value)| match name {
        "HO_LINK_KEYS" => (name, keyring::generate_link_key()),
        _ => (name, value),
    });
    let settings = backing_store::borrowed(&settings);
    let after = TestGate::with(&settings).await;
    let kept = after.ask().await;
    let (said, code) = purge(&settings, &["--older-than", "0", "--delete"]).await;
    assert!(
        code == 0 && said.starts_with("0 requests that ended"),
        "{said}"
    );
    let (said, code) = purge(&settings, &["--older-than", "1", "--damaged", "--delete"]).await;
    assert!(
        code == 0 && !said.contains("rows that cannot be trusted,"),
        "{said}"
    );
    let damaged = ["--older-than", "0", "--damaged"];
    let (said, code) = purge(&settings, &damaged).await;
    assert!(
        code == 0 && said.contains("rows that cannot be trusted, would be deleted"),
        "{said}"
    );
    let (said, code) = purge(&settings, &[&damaged[..], &["--delete"]].concat()).await;
    assert!(
        code == 0 && said.contains("rows that cannot be trusted, were deleted"),
        "{said}"
    );
    let (said, code) = run(&settings, &["list", "--damaged"]).await;
    assert_eq!((said.as_str(), code), ("0 cannot be trusted.\n", 0));
    assert_eq!(after.status(&kept.id).await.id, kept.id);
    for gone in [&open, &rejected] {
        let status = format!("{}/api/status/{}", after.url, gone.id);
        assert_eq!(after.get(&status).await.status, 404);
    }
    // What was due for the rows that are gone leaves the index by itself.
    after.pass(Duration::from_secs(3_700));
    let swept = after.sweep().await;
    assert!(swept.contains("0 set aside, complete: true"), "{swept}");
    let index = Table::of(azurite().port, &format!("open{}", settings[2].1));
    let due = index.rows().await;
    assert!(
        due.iter().all(|row| row["Id"] != open.id.as_str()),
        "{due:?}"
    );
}

/// A key that has leaked, or was dropped: what it signed approves nothing and never ends.
/// The receipt keys after the old one was revoked, or dropped.
fn without(old: &str, new: &str, is_revoked: bool) -> String {
    match old.split_once(':') {
        Some((kid, bytes)) if is_revoked => format!("{new},{kid};revoked:{bytes}"),
        _ => new.to_owned(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_revoked_or_dropped_key_has_signed_is_deleted_on_request_alone() {
    for revoked in [true, false] {
        let [old, new] = [(); 2].map(|()| keyring::generate_receipt_key());
        let gate = TestGate::with(&[("HO_RECEIPT_KEYS", &old)]).await;
        let (open, ended) = (gate.ask().await, gate.ask().await);
        gate.approve(&open, ALICE).await;
        gate.reject(&ended, ALICE, "no").await;
        gate.sweep().await;
        gate.until_kept(2).await;
        let keys = without(&old, &new, revoked);
        let settings = backing_store::settings(gate.dir.path());
        let settings = backing_store::borrowed(&settings);
        let settings = [&settings[..], &[("HO_RECEIPT_KEYS", keys.as_str())]].concat();
        let (said, code) = run(&settings, &["list", "--open"]).await;
        assert!(
            code == 1 && said.starts_with("0 open.\n1 requests cannot be read or trusted"),
            "{code} {said}"
        );
        let (said, code) = run(&settings, &["index", "rebuild"]).await;
        assert!(
            code == 1 && said.contains("2 rows that cannot be trusted"),
            "{code} {said}"
        );
        let (said, code) = purge(&settings, &["--older-than", "0", "--delete"]).await;
        assert!(
            code == 0
                && said.starts_with("0 requests that ended")
                && said.contains("2 that cannot be trusted stay"),
            "{code} {said}"
        );
        let damaged = ["--older-than", "0", "--damaged", "--delete"];
        let (said, code) = purge(&settings, &damaged).await;
        assert!(
            code == 0 && said.contains("2 rows that cannot be trusted, were deleted"),
            "{code} {said}"
        );
        assert_eq!(gate.stored().await, []);
        assert_eq!(gate.until_kept(0).await.len(), 0);
    }
}

/// `verify`, the list and `purge` hold all rows against the same keys, and what is proved stays.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_verify_names_is_listed_and_deleted_on_request_also_of_standing_grants() {
    for revoked in [true, false] {
        let [old, new] = [(); 2].map(|()| keyring::generate_receipt_key());
        let policy = ("HO_POLICY", grants::POLICY);
        let gate = TestGate::with(&[policy, ("HO_RECEIPT_KEYS", &old)]).await;
        grants::given(&gate, "10").await;
        // What reads the same is in the same row.
        let same = || NewApproval {
            parameters: object(json!({"service": "Billing", "zone": 1})),
            ..grants::restart()
        };
        let both = format!("{new},{old}");
        let gate = TestGate::at(gate.dir, &[policy, ("HO_RECEIPT_KEYS", &both)]).await;
        let asked = gate.client.submit(&same()).await.unwrap();
        grants::approve_with_grant(&gate, &asked, ALICE, ["3600", "10"]).await;
        gate.until_kept(2).await;

        let keys = without(&old, &new, revoked);
        let settings = backing_store::settings(gate.dir.path());
        let settings = backing_store::borrowed(&settings);
        let settings = [&settings[..], &[("HO_RECEIPT_KEYS", keys.as_str())]].concat();
        let (said, code) = run(&settings, &["verify"]).await;
        assert!(code == 1 && said.contains("2 problems"), "{said}");
        let problem = said
            .lines()
            .find(|it| it.starts_with("standing row grant/"));
        let problem = problem.unwrap_or_else(|| panic!("{said}"));
        let (said, code) = run(&settings, &["list", "--damaged"]).await;
        assert!(
            code == 1 && said.contains(problem) && said.ends_with("\n2 cannot be trusted.\n"),
            "{said}"
        );
        let damaged = ["--older-than", "0", "--damaged"];
        let (said, code) = purge(&settings, &damaged).await;
        let counted = "and 2 rows that cannot be trusted, would be deleted";
        assert!(code == 0 && said.contains(counted), "{said}");
        let (said, code) = purge(&settings, &[&damaged[..], &["--delete"]].concat()).await;
        assert!(code == 0 && said.contains("and 2 rows that"), "{said}");
        let (said, code) = run(&settings, &["verify"]).await;
        assert!(code == 0 && said.contains("0 problems"), "{said}");
        let (said, code) = run(&settings, &["list", "--damaged"]).await;
        assert_eq!((said.as_str(), code), ("0 cannot be trusted.\n", 0));
        // The grant of the new key approves on.
        let gate = TestGate::at(gate.dir, &[policy, ("HO_RECEIPT_KEYS", &keys)]).await;
        let used = gate.client.submit(&same()).await.unwrap();
        assert_eq!(used.decider, Some(Decider::Grant));
    }
}

/// A channel that is off stays off, and a limit counts for up to 31 days.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_still_holds_is_not_purged() {
    let gate = TestGate::start().await;
    let settings = backing_store::settings(gate.dir.path());
    let settings = backing_store::borrowed(&settings);
    gate.ask().await;
    for (kind, name, days) in [
        (StandingKind::Channel, "ledger", 400),
        (StandingKind::Limit, "counts", 31),
        (StandingKind::Limit, "over", 33),
    ] {
        let ago = Duration::from_secs(days * 86_400);
        gate.back(ago);
        let columns = match kind {
            StandingKind::Channel => {
                BTreeMap::from([("OffSince".to_owned(), gate.now().to_string())])
            }
            _ => BTreeMap::new(),
        };
        let row = StandingRow::new(kind, name, columns);
        gate.store.put_standing(row, gate.now()).await.unwrap();
        gate.pass(ago);
    }
    let (said, code) = purge(&settings, &["--older-than", "400", "--delete"]).await;
    assert!(
        code == 0 && said.contains("and 1 standing rows unused for 30 days, were deleted"),
        "{said}"
    );
    let limits = gate.store.standing_of(StandingKind::Limit).await.unwrap();
    let limits: Vec<_> = limits.iter().map(|row| row.name.as_str()).collect();
    assert_eq!(limits, ["counts"]);
    let (said, _) = run(&settings, &["webhooks"]).await;
    assert!(said.starts_with("ledger is switched off since"), "{said}");
}

/// A file keeps no times of writes: only "older than 0 days", which is everything, covers what has no time of its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_damaged_in_a_file_has_no_age_and_is_deleted_with_everything() {
    let dir = tempfile::tempdir().unwrap();
    let store = format!("embedded:{}", dir.path().display());
    let settings = [("HO_STORE", store.as_str())];
    let gate = Process::start(dir.path(), &[]).await;
    let sound = gate.client().submit(&request()).await.unwrap();
    let damaged = gate.client().submit(&request()).await.unwrap();
    gate.kill().await;
    let file = rusqlite::Connection::open(dir.path().join("approvals.db")).unwrap();
    let spoilt = file.execute(
        "UPDATE approvals SET Entity = replace(Entity, 'Pending', 'Approved') WHERE RowKey = ?1",
        [&damaged.correlation_id],
    );
    assert_eq!(spoilt.unwrap(), 1);
    drop(file);

    let old = ["--older-than", "1", "--damaged", "--delete"];
    let (said, code) = purge(&settings, &old).await;
    assert!(
        code == 0 && said.contains("1 that cannot be trusted stay"),
        "{said}"
    );
    let everything = ["--older-than", "0", "--damaged"];
    let (said, _) = purge(&settings, &everything).await;
    let counted = "and 1 rows that cannot be trusted, would be deleted";
    assert!(said.contains(counted), "{said}");
    let (said, code) = purge(&settings, &[&everything[..], &["--delete"]].concat()).await;
    let done = "and 1 rows that cannot be trusted, were deleted; 0 of them";
    assert!(code == 0 && said.contains(done), "{said}");
    let (said, _) = run(&settings, &["list", "--damaged"]).await;
    assert_eq!(said, "0 cannot be trusted.\n");
    let (said, _) = run(&settings, &["list", "--open"]).await;
    assert!(
        said.contains(&sound.id) && said.ends_with("1 open.\n"),
        "{said}"
    );
}

#[tokio::test]
async fn a_store_that_is_not_there_is_not_made_to_delete_from_it() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("none");
    let store = format!("embedded:{}", folder.display());
    let link_key = keyring::generate_link_key();
    let settings = [("HO_STORE", store.as_str()), ("HO_LINK_KEYS", &link_key)];
    let (said, code) = purge(&settings, &["--older-than", "1", "--delete"]).await;
    assert!(code == 2 && said.contains("there is no store in"), "{said}");
    assert!(!folder.exists());
}
