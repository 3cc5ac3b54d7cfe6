//! `human-oversight purge` as a process, on rows that a gate wrote.

use std::time::Duration;

use serde_json::json;

use crate::azurite::{Table, azurite};
use crate::backing_store;
use crate::harness::{ALICE, TestGate, request};
use crate::process::run;

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
