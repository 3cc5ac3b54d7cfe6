//! The queries for operators: they are valid Kusto, and match what the gate logs. The alerts: each says what to do.

use std::collections::BTreeSet;
use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use human_oversight_client::types::NewApproval;

use crate::agent_identity;
use crate::deadline::blocking_within;
use crate::end_to_end;
use crate::harness::{http, repository, request};
use crate::host::{Host, tick};

/// The log of a gate at its host: an approval, a refused email, a call by identity, a sweep, a failure.
/// Every event is for a channel that cannot be reached.
const POLICY: &str = "version = 1\n[channels.room]\nkind = \"teams\"\nurl = \"HO_CHANNEL_ROOM\"\n\
    [[rule]]\nid = \"all\"\neffect = \"require\"\nstages = [{ from = \"requested\" }]\ntell = [\"room\"]\n";

/// What anyone may write into the log, as the name of an agent in an id: the words that alerts look for.
const FORGED: &[&str] = &[
    "a channel is switched off",
    "a table was lost",
    "channel not told",
    "email cannot be sent with these settings",
    "email keeps failing",
    "email not sent",
    "integrity problem",
    "operations paused",
    "refused while paused",
    "the due index was lost",
];

/// Asks, without a key, for a request that does not exist.
async fn ask_for(host: &Host, agent: &str, correlation_id: &str) {
    let id = format!("{}.{correlation_id}", BASE64URL.encode(agent));
    let asked = http()
        .build()
        .unwrap()
        .get(format!("{}/api/decision/{id}", host.url));
    assert_eq!(asked.send().await.unwrap().status(), 404);
}

async fn submit_unreachable(host: &Host) {
    let new = NewApproval {
        approver_emails: vec!["gone@example.invalid".to_owned()],
        ..request()
    };
    end_to_end::client(host).submit(&new).await.unwrap();
}

async fn log_lines() -> String {
    let dir = tempfile::tempdir().unwrap();
    let channel = [
        ("HO_POLICY", POLICY),
        ("HO_CHANNEL_ROOM", "http://127.0.0.1:1/"),
        ("HO_CHANNELS_ALLOW_PRIVATE", "1"),
    ];
    let settings = [&agent_identity::BOTH[..], &channel].concat();
    let host = end_to_end::host(dir.path(), None, &settings).await;
    end_to_end::run_approval(&end_to_end::gate(&host), &host, dir.path()).await;
    submit_unreachable(&host).await;
    agent_identity::ask_past_the_host(host.handler).await;
    tick(host.handler, "sweep").await;
    for agent in FORGED {
        ask_for(&host, agent, "Undeliverable").await;
    }
    let json = tempfile::tempdir().unwrap();
    let in_json = end_to_end::host(json.path(), None, &[("HO_LOG_FORMAT", "json")]).await;
    submit_unreachable(&in_json).await;
    ask_for(&in_json, "integrity problem", "Undeliverable").await;
    for file in ["approvals.db", "approvals.db-wal", "approvals.db-shm"] {
        std::fs::remove_file(dir.path().join(file)).ok();
    }
    std::fs::create_dir(dir.path().join("approvals.db")).unwrap();
    let broken = end_to_end::host(dir.path(), None, &[]).await;
    end_to_end::client(&broken)
        .status("YQ.b", Duration::ZERO)
        .await
        .unwrap_err();
    let logs = [host.log(), in_json.log(), broken.log()].concat();
    logs.into_iter().map(|(_, line)| line + "\n").collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_query_is_valid_kusto_and_matches_the_log() {
    let log_lines = log_lines().await;
    for event in [
        "Submitted",
        "Approved",
        "Claimed",
        "Executed",
        "Undeliverable",
    ] {
        let record = format!(": stored event=\"{event}\" id=\"");
        assert_eq!(
            log_lines.matches(&record).count(),
            if event == "Submitted" { 2 } else { 1 },
            "{log_lines}"
        );
    }
    let mut parser = Command::new("node")
        .arg(repository().join("tests/kusto/check.js"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("scripts/test installs Node's packages");
    let mut input = parser.stdin.take().unwrap();
    input.write_all(log_lines.as_bytes()).unwrap();
    drop(input);
    let parsed = blocking_within(|| parser.wait_with_output()).unwrap();
    assert!(parsed.status.success());
    assert_eq!(
        String::from_utf8(parsed.stdout).unwrap(),
        "",
        "in {log_lines}"
    );
}

#[test]
fn every_alert_is_in_the_docs_and_no_other() {
    let source = include_str!("../../infra/alerts.bicep");
    let (_, rules) = source.split_once("var rules = [").unwrap();
    let (rules, _) = rules.split_once("\n]\n").unwrap();
    let names = rules.split("    name: '").skip(1);
    let names: BTreeSet<&str> = names.map(|rest| rest.split('\'').next().unwrap()).collect();
    assert!(names.len() > 8, "{names:?}");
    let docs = include_str!("../../docs/operations.md");
    let (_, section) = docs.split_once("\n## Alerts\n").unwrap();
    let (section, _) = section.split_once("\n## ").unwrap();
    let rows = section.lines().filter_map(|line| line.strip_prefix("| `"));
    let documented: BTreeSet<&str> = rows.map(|row| row.split('`').next().unwrap()).collect();
    assert_eq!(documented, names);
}
