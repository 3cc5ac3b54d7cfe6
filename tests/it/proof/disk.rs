//! A full disk: the gate responds 503, loses and damages nothing, and recovers once space is free.

use std::path::Path;
use std::time::Duration;

use human_oversight_client::Error;
use human_oversight_client::types::{NewApproval, Status};
use serde_json::json;
use tokio::process::Command;

use super::{cases, record};
use crate::harness::{ALICE, object, request};
use crate::process::Process;

/// Consecutive refusals before space is freed.
const REFUSALS: u64 = 5;

#[tokio::test]
async fn a_full_disk_causes_503_loses_nothing_and_recovers_with_free_space() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().display();
    // A small tmpfs in a separate mount namespace; half of it is in use.
    let mount = format!(
        "mount -t tmpfs -o size=1200k tmpfs {path} && head -c 600k /dev/zero > {path}/in-use"
    );
    let mut probe = Command::new("unshare");
    probe.args(["-rm", "sh", "-c", &mount]);
    if !probe.status().await.is_ok_and(|status| status.success()) {
        assert!(
            std::env::var_os("CI").is_none(),
            "CI must run the full-disk test"
        );
        eprintln!(
            "\n!! SKIPPED, because this machine cannot mount a separate disk: the full disk\n"
        );
        return;
    }
    let mut command = Command::new("unshare");
    let script = format!("{mount} && exec \"$0\"");
    let binary = env!("CARGO_BIN_EXE_human-oversight");
    command.args(["-rm", "sh", "-c", &script, binary]);
    command
        .env_clear()
        .env("PATH", "/usr/bin:/bin:/usr/sbin:/sbin")
        .kill_on_drop(true);
    let gate = Process::spawn(command, dir.path(), &[]).await;
    // The tmpfs, through the mount namespace of the gate.
    let disk = format!("/proc/{}/root{path}", gate.id());
    let disk = Path::new(&disk);

    let client = gate.client();
    let (mut accepted, mut refused, mut number) = (Vec::new(), 0, 0_u64);
    for round in 1..=cases(2, 10) {
        let refused_before = refused;
        while refused < refused_before + REFUSALS {
            number += 1;
            assert!(number < 1_000, "the disk never fills up");
            let new = NewApproval {
                correlation_id: Some(format!("full-{number}")),
                approver_emails: vec![ALICE.to_owned()],
                parameters: object(json!({"text": "x".repeat(20_000)})),
                ..request()
            };
            match client.submit(&new).await {
                Ok(approval) => accepted.push(approval.id),
                Err(Error::Unavailable { status: 503, .. }) => refused += 1,
                Err(other) => panic!("{other:?}"),
            }
        }
        let result: String = rusqlite::Connection::open(disk.join("approvals.db"))
            .unwrap()
            .query_row("PRAGMA integrity_check", [], |row| row.get(0))
            .unwrap();
        assert_eq!(result, "ok");
        for id in &accepted {
            let (now, _) = client
                .status(id, Duration::ZERO)
                .await
                .expect("an acknowledged request is stored");
            assert_eq!(now.status, Status::Pending);
        }
        // Frees an equal part of the space in each round.
        let in_use = std::fs::OpenOptions::new()
            .write(true)
            .open(disk.join("in-use"));
        let left = 600 * 1024 * (cases(2, 10) - round) / cases(2, 10);
        in_use.unwrap().set_len(left).unwrap();
        let accepted_before = accepted.len();
        let new = NewApproval {
            correlation_id: Some(format!("free-{round}")),
            approver_emails: vec![ALICE.to_owned()],
            ..request()
        };
        accepted.push(client.submit(&new).await.expect("space is free").id);
        assert_eq!(accepted.len(), accepted_before + 1);
    }
    record(
        "full_disk",
        &[("accepted", accepted.len() as u64), ("refused", refused)],
    );
}
