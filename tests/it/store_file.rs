//! The file of an embedded store, under a gate that runs; and what it says of names that are no plain text.

use human_oversight_client::Error;

use crate::harness::{http, request};
use crate::process::{Process, run};

/// What a gate would go on with is a file that no one finds again.
#[cfg(unix)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_was_deleted_or_replaced_is_not_written() {
    let dir = tempfile::tempdir().unwrap();
    let store = dir.path().join("store");
    let setting = format!("embedded:{}", store.display());
    let gate = Process::start(dir.path(), &[("HO_STORE", &setting)]).await;
    let client = gate.client();
    let asked = client.submit(&request()).await.unwrap();
    let health = async || {
        let answer = http()
            .build()
            .unwrap()
            .get(format!("{}/api/health", gate.url));
        answer.send().await.unwrap().status().as_u16()
    };
    let aside = dir.path().join("aside");
    for is_replaced in [false, true] {
        std::fs::rename(&store, &aside).unwrap();
        if is_replaced {
            std::fs::create_dir(&store).unwrap();
            std::fs::copy(aside.join("approvals.db"), store.join("approvals.db")).unwrap();
        }
        for _ in 0..2 {
            let refused = client.submit(&request()).await.unwrap_err();
            let is_unavailable = matches!(refused, Error::Unavailable { status: 503, .. });
            assert!(is_unavailable, "{refused:?}");
            assert_eq!(health().await, 503);
        }
        assert_eq!(store.exists(), is_replaced, "none is made");
        std::fs::remove_dir_all(&store).ok();
        std::fs::rename(&aside, &store).unwrap();
        client.submit(&request()).await.unwrap();
        client
            .withdraw(&asked.id, &Default::default())
            .await
            .unwrap();
    }
    let log = gate.kill().await;
    let lines = log.matches("the file of the store is gone: it was deleted or replaced");
    assert_eq!(lines.count(), 2, "once for each time: {log}");
}

/// Who can write the table cannot write lines into what an auditor reads.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_keys_of_a_row_forge_no_line() {
    let dir = tempfile::tempdir().unwrap();
    let setting = format!("embedded:{}", dir.path().display());
    let settings = [("HO_STORE", setting.as_str())];
    let gate = Process::start(dir.path(), &[]).await;
    gate.client().submit(&request()).await.unwrap();
    gate.kill().await;
    let file = rusqlite::Connection::open(dir.path().join("approvals.db")).unwrap();
    let forged = "x\n0 rows cannot be trusted\u{1b}[2J\u{202e}";
    for table in ["approvals", "standingapprovals"] {
        let copied = file.execute(
            &format!(
                "INSERT INTO {table} SELECT iif('{table}' = 'approvals', PartitionKey, 'pause'), ?1, ETag, Due, Entity
                 FROM {table} LIMIT 1"
            ),
            [forged],
        );
        assert_eq!(copied.unwrap(), 1, "{table}");
    }
    let shown = "/x\\u{a}0 rows cannot be trusted\\u{1b}[2J\\u{202e}: ";
    let evidence = dir.path().join("evidence");
    let copy = dir.path().join("copy.jsonl");
    let since = ["evidence", "--since", "2026-01-01", "--until", "2027-01-01"];
    for command in [
        &["verify"][..],
        &["list", "--damaged"],
        &["index", "rebuild"],
        &["backup", copy.to_str().unwrap()],
        &[&since[..], &["--output", evidence.to_str().unwrap()]].concat(),
    ] {
        let (said, _) = run(&settings, command).await;
        let said = match command[0] {
            "evidence" => std::fs::read_to_string(evidence.join("verification.txt")).unwrap(),
            _ => said,
        };
        assert!(said.contains(shown), "{command:?}: {said}");
        assert!(!said.contains('\u{1b}'), "{command:?}: {said}");
        let is_forged = |line: &str| line.starts_with("0 rows cannot");
        assert!(!said.lines().any(is_forged), "{command:?}: {said}");
    }
}
