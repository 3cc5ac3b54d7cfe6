//! `human-oversight demo` as a process: the test reads its output and decides as the approver.

use std::process::Stdio;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};

use crate::canary;
use crate::deadline::within;
use crate::harness::{http, mails};
use crate::process::{binary, run};

const APPROVER: &str = "approver@example.com";

/// Runs the demo, sends `form` as the decision if there is one, and returns the output.
async fn demo(timeout: &str, form: Option<&str>, more: &[(&str, &str)]) -> String {
    let dir = tempfile::tempdir().unwrap();
    let mut child = binary()
        .args(["demo", "--timeout", timeout])
        .env("HO_PORT", "0")
        .env("HO_STORE", format!("embedded:{}", dir.path().display()))
        .env(
            "HO_MAIL",
            format!("file:{}", dir.path().join("mail").display()),
        )
        .envs(more.iter().copied())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut printed = String::new();
    while !printed.contains("/inbox\n") {
        let read = within(stdout.read_line(&mut printed)).await.unwrap();
        assert_ne!(read, 0, "the demo ended: {printed}");
    }
    if let Some(form) = form {
        let inbox = printed
            .lines()
            .find(|line| line.ends_with("/inbox"))
            .unwrap()
            .trim();
        let http = http().build().unwrap();
        let list = http.get(inbox).send().await.unwrap();
        let list = list.text().await.unwrap();
        assert!(list.contains("[Approve?] Delete User Account"), "{list}");
        let emails = mails(&dir.path().join("mail"));
        let (_, id) = emails[0].text.split_once("/api/decision/").unwrap();
        let question = crate::harness::question(&emails, id.split_once('?').unwrap().0, APPROVER);
        let form = form.replace("CODE", &question.code);
        assert_eq!(
            crate::process::decide_at(&question.link, &form)
                .await
                .unwrap(),
            303
        );
    }
    within(stdout.read_to_string(&mut printed)).await.unwrap();
    // Only stderr is a log; stdout is for the person at the terminal.
    let ended = within(child.wait_with_output()).await.unwrap();
    canary::assert_no_secret(&String::from_utf8(ended.stderr).unwrap());
    assert!(ended.status.success(), "{printed}");
    printed
}

#[tokio::test]
async fn an_approved_demo_shows_the_receipt_and_runs() {
    let printed = demo("120", Some("decision=approve&code=CODE"), &[]).await;
    for line in [
        "UserManagerAgent: list_users() -> 1: former-contractor@example.com, ",
        "Receipt verified: Approved by approver@example.com",
        "for Delete User Account of UserManagerAgent",
        "UserManagerAgent: delete_user(1) -> User 1 (former-contractor@example.com) deleted.",
        "UserManagerAgent: list_users() -> 2: accounting@example.com, ",
    ] {
        assert!(printed.contains(line), "{line}\n{printed}");
    }
}

#[tokio::test]
async fn a_rejected_demo_shows_the_reason_and_does_not_run() {
    let printed = demo(
        "120",
        Some("decision=reject&code=CODE&comment=Ask+Legal+first"),
        &[],
    )
    .await;
    for line in [
        "Not run: rejected by approver@example.com. Their reason: Ask Legal first",
        "UserManagerAgent: delete_user(1) -> DENIED: User deletion was not approved.",
    ] {
        assert!(printed.contains(line), "{line}\n{printed}");
    }
    assert!(!printed.contains("deleted."));
}

#[tokio::test]
async fn an_expired_demo_does_not_run() {
    let printed = demo("10", None, &[]).await;
    assert!(
        printed.contains("Not run: not approved, or not used, in time."),
        "{printed}"
    );
    assert!(printed.contains("DENIED: User deletion was not approved."));
}

/// Settings of the person's own gate would refuse the approver, the agent or the decision.
#[tokio::test]
async fn the_demo_leaves_out_settings_that_are_in_its_way_and_names_them() {
    let agent_keys = format!("{}=OtherAgent", "0".repeat(64));
    let more = [
        ("HO_ALLOWED_APPROVERS", "alice@example.com"),
        ("HO_AGENT_KEYS", agent_keys.as_str()),
        ("HO_BASE_URL", "https://gate.example.com"),
        ("HO_PAUSED", "1"),
        ("HO_BRAND_NAME", "Example"),
    ];
    let printed = demo("120", Some("decision=approve&code=CODE"), &more).await;
    for line in [
        "The demo leaves out these settings: HO_AGENT_KEYS, HO_ALLOWED_APPROVERS, HO_BASE_URL, HO_PAUSED\n",
        "User 1 (former-contractor@example.com) deleted.",
    ] {
        assert!(printed.contains(line), "{line}\n{printed}");
    }
    assert!(!printed.contains("alice@example.com"), "{printed}");
}

/// It has no inbox, or would leave its request in tables that others use.
#[tokio::test]
async fn the_demo_takes_only_a_store_and_an_inbox_of_this_machine() {
    for (name, value) in [("HO_STORE", "tables"), ("HO_MAIL", "smtp")] {
        let (said, code) = run(&[(name, value)], &["demo"]).await;
        let why = format!("the demo cannot be used with this {name}");
        assert!(code != 0 && said.contains(&why), "{said}");
    }
}
