//! `docs/migration.md`: an agent of the legacy Logic App works with the gate when only its URL is changed.

use std::process::Stdio;
use std::time::Duration;

use human_oversight_client::types::{ExecutionStatus, Status};
use serde_json::Value;
use tokio::process::{Child, Command};

use crate::deadline::within;
use crate::harness::{ALICE, TestGate, repository};
use crate::host::KEY;

const DONE: &str = "User 1 deleted.\n";
const DENIED: &str = "DENIED: User deletion was not approved.\n";

/// Starts the legacy agent. Its HTTP library is installed together with Schemathesis.
fn start_agent(url: &str) -> Child {
    let tools = repository().join(".tools/schemathesis");
    assert!(
        tools.join("installed").is_file(),
        "Schemathesis is not installed: run scripts/test once"
    );
    Command::new(tools.join("bin/python"))
        .arg(repository().join("tests/legacy/agent.py"))
        .env_clear()
        .env("HO_LOGIC_APP_URL", url)
        .env("APPROVER_EMAILS", ALICE)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap()
}

async fn read_output(agent: Child) -> String {
    let output = within(agent.wait_with_output()).await.unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap()
}

/// The URL in the form that the page documents.
fn documented_url(gate: &TestGate) -> String {
    let page = include_str!("../../docs/migration.md");
    let (_, rest) = page.split_once("HO_LOGIC_APP_URL=").unwrap();
    let url = rest.lines().next().unwrap();
    assert!(url.starts_with("https://gate.example.com/"), "{url}");
    url.replace("https://gate.example.com", &gate.url)
        .replace("FUNCTION_KEY", KEY)
}

#[tokio::test]
async fn a_legacy_agent_with_the_new_url_runs_an_approved_action() {
    let gate = TestGate::start().await;
    let agent = start_agent(&documented_url(&gate));
    let approval = gate.first_pending().await;
    assert_eq!(
        gate.stored().await.len(),
        1,
        "the request is stored before the decision"
    );
    gate.approve(&approval, ALICE).await;
    assert_eq!(read_output(agent).await, DONE);
    let row = gate.entity(&approval.id).await;
    for (column, value) in [
        ("AgentName", "UserManagerAgent"),
        ("ActionDescription", "Delete User Account"),
        ("ApproverEmails", r#"["alice@example.com"]"#),
        (
            "Parameters",
            r#"{"note":"Übergabe – “fertig” 😀","user_id":"1"}"#,
        ),
        ("Status", "Approved"),
        ("Approver", ALICE),
        ("ExecutionStatus", "Executing"),
    ] {
        assert_eq!(row[column], Value::from(value), "{column}");
    }
    // The legacy agent reports no outcome.
    gate.pass(Duration::from_secs(86_400));
    gate.sweep().await;
    let execution = gate.status(&approval.id).await.execution.unwrap();
    assert_eq!(execution.status, ExecutionStatus::ExecutionUnknown);
}

#[tokio::test]
async fn a_legacy_agent_with_the_new_url_is_refused_in_every_other_case() {
    let gate = TestGate::with(&[("HO_ALLOWED_APPROVERS", "alice@example.com")]).await;
    let agent = start_agent(&documented_url(&gate));
    let approval = gate.first_pending().await;
    gate.reject(&approval, ALICE, "no").await;
    assert_eq!(read_output(agent).await, DENIED);

    // The wait in the URL is the deadline, and the timeout is stored.
    let soon = documented_url(&gate).replace("wait=100", "wait=1");
    assert_eq!(read_output(start_agent(&soon)).await, DENIED);
    let rows = gate.stored().await;
    assert!(
        rows.iter()
            .any(|row| row.2.contains(r#""Status":"Timeout""#))
    );

    // A wrong key, an approver who is not on the list, and an unreachable gate.
    assert_eq!(
        read_output(start_agent(&documented_url(&gate).replace(KEY, "wrong"))).await,
        DENIED
    );
    let strict = TestGate::with(&[("HO_ALLOWED_APPROVERS", "bob@example.com")]).await;
    assert_eq!(
        read_output(start_agent(&documented_url(&strict))).await,
        DENIED
    );
    assert!(strict.stored().await.is_empty());
    let unreachable = documented_url(&gate).replace(&gate.url, "http://127.0.0.1:1");
    assert_eq!(read_output(start_agent(&unreachable)).await, DENIED);
    assert_eq!(gate.status(&approval.id).await.status, Status::Rejected);
    assert_eq!(gate.stored().await.len(), 2);
}
