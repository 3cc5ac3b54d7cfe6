//! `GET /api/health`: what works, and what each outage looks like from any instance.

use std::time::Duration;

use human_oversight_client::types::Deliverable;
use serde_json::Value;

use crate::azurite::{Table, azurite};
use crate::backing_store;
use crate::check::assert_line;
use crate::harness::{ALICE, Log, TestGate};
use crate::process::run;

/// The status code and the body.
async fn health(gate: &TestGate) -> (u16, Value) {
    let answer = gate.get(&format!("{}/api/health", gate.url)).await;
    assert_eq!(answer.header("content-type"), "application/json");
    (answer.status.as_u16(), answer.json())
}

fn check<'a>(health: &'a Value, name: &str) -> (&'a str, &'a str) {
    let found = &health["checks"][name];
    (
        found["status"].as_str().unwrap(),
        found["detail"].as_str().unwrap(),
    )
}

#[tokio::test]
async fn it_says_what_works_with_the_version_and_the_sweeps() {
    let gate = TestGate::start().await;
    gate.ask().await;
    let (status, before) = health(&gate).await;
    assert_eq!(
        (status, &before["status"]),
        (200, &"warning".into()),
        "{before}"
    );
    assert_eq!(check(&before, "sweep").1, "no sweep has ended yet");
    assert_eq!(before["lastSweep"], Value::Null);
    gate.sweep().await;
    let stored = gate.stored().await;
    let (status, after) = health(&gate).await;
    assert_eq!((status, &after["status"]), (200, &"ok".into()), "{after}");
    let version = after["version"].as_str().unwrap();
    assert!(version.starts_with(env!("CARGO_PKG_VERSION")), "{version}");
    assert_eq!(after["lastSweep"]["complete"], true);
    assert_eq!(after["lastSweep"]["ended"], after["lastSweep"]["completed"]);
    // The schedule is that of each minute.
    let next = after["nextSweep"].as_str().unwrap();
    assert!(next.ends_with(":00.000Z"), "{next}");
    assert!(
        check(&after, "mail")
            .1
            .contains("file: an email was accepted at 2")
    );
    assert_eq!(gate.stored().await, stored, "nothing is written");
}

#[tokio::test]
async fn a_sweep_that_does_not_come_is_a_failure_after_two_minutes_and_a_half() {
    let gate = TestGate::start().await;
    gate.sweep().await;
    gate.pass(Duration::from_secs(120));
    assert_eq!(health(&gate).await.0, 200);
    gate.pass(Duration::from_secs(120));
    let log = Log::default();
    let collecting = log.collect();
    let (status, found) = health(&gate).await;
    drop(collecting);
    assert_eq!(
        (status, check(&found, "sweep").0),
        (503, "failed"),
        "{found}"
    );
    assert!(check(&found, "sweep").1.starts_with("overdue: "), "{found}");
    assert_eq!(log.count("answered status=503 id=\"\" ms="), 1);
    assert_eq!(
        log.count("cause=\"sweep: overdue: the last one ended at "),
        1
    );
    gate.sweep().await;
    assert_eq!(health(&gate).await.0, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outage_of_the_store_is_a_failure_of_what_depends_on_it() {
    let (gate, proxy) = backing_store::behind_a_proxy(&[]).await;
    gate.sweep().await;
    let (status, found) = health(&gate).await;
    assert_eq!(status, 200, "{found}");
    assert!(
        check(&found, "clock").1.contains("the store's clock"),
        "{found}"
    );
    proxy.down(true);
    let (status, found) = health(&gate).await;
    assert_eq!(status, 503, "{found}");
    for name in ["store", "index", "sweep"] {
        let (status, detail) = check(&found, name);
        assert_eq!(status, "failed", "{found}");
        assert!(!detail.contains("127.0.0.1"), "{detail}");
    }
    // Whether the gate is up is another question.
    assert_eq!(gate.get(&gate.direct("/")).await.status, 200);
    proxy.down(false);
    assert_eq!(health(&gate).await.0, 200);
}

#[tokio::test]
async fn any_instance_knows_of_the_sweeps_and_the_email_of_the_others() {
    let settings = backing_store::tables(azurite().port);
    let settings = backing_store::borrowed(&settings);
    let (one, other) = (
        TestGate::with(&settings).await,
        TestGate::with(&settings).await,
    );
    // A file prevents the creation of the mail folder.
    std::fs::write(one.mail_folder(), "in the way").unwrap();
    let approval = one.ask().await;
    assert_eq!(approval.deliverable, Deliverable::None);
    one.sweep().await;
    let (status, found) = health(&other).await;
    assert_eq!(
        (status, check(&found, "mail").0),
        (200, "warning"),
        "{found}"
    );
    let log = Log::default();
    let collecting = log.collect();
    for gate in [&one, &other] {
        gate.pass(Duration::from_secs(301));
    }
    // The other instance fails later than the first one, and tells the time of the first failure.
    std::fs::write(other.mail_folder(), "in the way").unwrap();
    other.ask().await;
    // A quiet gate: nothing is attempted in most of its sweeps.
    one.sweep().await;
    one.sweep().await;
    let (status, found) = health(&other).await;
    assert_eq!(
        (status, check(&found, "mail").0),
        (503, "failed"),
        "{found}"
    );
    assert!(
        check(&found, "mail").1.contains("file: failing since 2"),
        "{found}"
    );
    assert_eq!(log.count("email keeps failing"), 2);
    // The command's clock is still within the five minutes.
    let (said, _) = run(&settings, &["check"]).await;
    assert_line(&said, "warning", "mail", "file: failing since 2");

    for gate in [&one, &other] {
        std::fs::remove_file(gate.mail_folder()).unwrap();
    }
    one.pass(Duration::from_secs(120));
    one.sweep().await;
    one.sweep().await;
    // The other instance has sent nothing since its own failure, and knows of the success all the same.
    other.pass(Duration::from_secs(120));
    other.sweep().await;
    drop(collecting);
    assert_eq!(log.count("email works again"), 1);
    assert_eq!(log.count("email keeps failing"), 2);
    assert_eq!(check(&health(&other).await.1, "mail").0, "ok");
}

#[tokio::test]
async fn a_lost_index_is_noticed_and_the_next_sweep_rebuilds_it() {
    let settings = backing_store::tables(azurite().port);
    let settings = backing_store::borrowed(&settings);
    let gate = TestGate::with(&settings).await;
    let (open, decided) = (gate.ask().await, gate.ask().await);
    gate.reject(&decided, ALICE, "no").await;
    gate.sweep().await;
    let index = Table::of(azurite().port, &format!("open{}", settings[2].1));
    let before = index.rows().await;
    index.drop_table().await;
    let (status, found) = health(&gate).await;
    assert_eq!(
        (status, check(&found, "index").0),
        (200, "warning"),
        "{found}"
    );
    // A submit makes the table anew before the sweep can miss it.
    let log = Log::default();
    let collecting = log.collect();
    let later = gate.ask().await;
    gate.sweep().await;
    drop(collecting);
    let lost = format!(
        "a table was lost: it has been created anew, without its rows table=\"{}\"",
        index.name()
    );
    assert_eq!(log.count(&lost), 1, "{:#?}", log.lines());
    assert_eq!(log.count("a table was lost"), 1);
    assert_eq!(log.count("the due index was lost: it is being rebuilt"), 1);
    assert_eq!(log.count("the due index was rebuilt entries=2"), 1);
    let keys = |rows: &[Value]| -> Vec<String> {
        let keys = rows.iter().map(|row| row["RowKey"].to_string());
        let mut keys: Vec<String> = keys.collect();
        keys.sort();
        keys
    };
    let mut after = index.rows().await;
    after.retain(|row| row["Id"] != later.id);
    assert_eq!(keys(&after), keys(&before));
    assert_eq!(check(&health(&gate).await.1, "index").0, "ok");
    // The reminders come as if nothing had been lost.
    let mails = gate.mails().len();
    gate.pass(Duration::from_secs(1_900));
    gate.sweep().await;
    assert_eq!(gate.mails().len(), mails + 4, "two for each open request");
    let of_first = |mail: &&crate::harness::Mail| mail.text.contains(&open.id);
    assert_eq!(gate.mails().iter().filter(of_first).count(), 4);
}
