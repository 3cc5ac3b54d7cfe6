//! The queries that operators are given: they are Kusto, and find what the gate logs.

use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Duration;

use human_oversight_client::types::NewApproval;

use crate::deadline::blocking_within;
use crate::harness::{repository, request};
use crate::host::tick;
use crate::life;

/// What a host hears of a gate's life: an approval, a mail that is refused, a sweep, a failure.
async fn lines() -> String {
    let dir = tempfile::tempdir().unwrap();
    let host = life::host(dir.path(), None, &[]).await;
    life::approved(&life::gate(&host), &host, dir.path()).await;
    let nobody = NewApproval {
        approver_emails: vec!["gone@example.invalid".to_owned()],
        ..request()
    };
    life::client(&host).submit(&nobody).await.unwrap();
    tick(host.handler, "sweep").await;
    for file in ["approvals.db", "approvals.db-wal", "approvals.db-shm"] {
        std::fs::remove_file(dir.path().join(file)).ok();
    }
    std::fs::create_dir(dir.path().join("approvals.db")).unwrap();
    let broken = life::host(dir.path(), None, &[]).await;
    life::client(&broken)
        .status("YQ.b", Duration::ZERO)
        .await
        .unwrap_err();
    let logs = [host.log(), broken.log()].concat();
    logs.into_iter().map(|(_, line)| line + "\n").collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_query_is_kusto_and_finds_what_is_logged() {
    let lines = lines().await;
    for event in [
        "Submitted",
        "Approved",
        "Claimed",
        "Executed",
        "Undeliverable",
    ] {
        let told = format!(": stored event=\"{event}\" id=\"");
        assert_eq!(
            lines.matches(&told).count(),
            if event == "Submitted" { 2 } else { 1 },
            "{lines}"
        );
    }
    let mut parser = Command::new("node")
        .arg(repository().join("tests/kusto/check.js"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("scripts/test installs what this needs");
    let mut input = parser.stdin.take().unwrap();
    input.write_all(lines.as_bytes()).unwrap();
    drop(input);
    let parsed = blocking_within(|| parser.wait_with_output()).unwrap();
    assert!(parsed.status.success());
    assert_eq!(String::from_utf8(parsed.stdout).unwrap(), "", "in {lines}");
}
