//! `human-oversight demo`, unattended: a person who reads its output and decides.

use std::process::Stdio;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};

use crate::canary;
use crate::deadline::within;
use crate::harness::{http, mails};
use crate::process::binary;

const APPROVER: &str = "approver@example.com";

/// Runs the demo, decides with `form` if there is one, and returns all that it printed.
async fn demo(timeout: &str, form: Option<&str>) -> String {
    let dir = tempfile::tempdir().unwrap();
    let mut child = binary()
        .args(["demo", "--timeout", timeout])
        .env("HO_PORT", "0")
        .env("HO_STORE", format!("embedded:{}", dir.path().display()))
        .env(
            "HO_MAIL",
            format!("file:{}", dir.path().join("mail").display()),
        )
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut printed = String::new();
    while !printed.contains("/inbox\n") {
        let read = within(stdout.read_line(&mut printed)).await.unwrap();
        assert_ne!(read, 0, "it ended: {printed}");
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
        assert!(
            list.contains("Approval needed: Delete User Account"),
            "{list}"
        );
        let mails = mails(&dir.path().join("mail"));
        let (_, id) = mails[0].text.split_once("/api/decision/").unwrap();
        let asked = crate::harness::question(&mails, id.split_once('?').unwrap().0, APPROVER);
        let form = form.replace("CODE", &asked.code);
        assert_eq!(
            crate::process::decide_at(&asked.link, &form).await.unwrap(),
            303
        );
    }
    within(stdout.read_to_string(&mut printed)).await.unwrap();
    // What it prints is for the person before it; its log is a log.
    let ended = within(child.wait_with_output()).await.unwrap();
    canary::none_in(&String::from_utf8(ended.stderr).unwrap());
    assert!(ended.status.success(), "{printed}");
    printed
}

#[tokio::test]
async fn approved_it_shows_the_receipt_and_runs() {
    let printed = demo("120", Some("decision=approve&code=CODE")).await;
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
async fn rejected_it_shows_the_reason_and_does_not_run() {
    let printed = demo("120", Some("decision=reject&comment=Ask+Legal+first")).await;
    for line in [
        "Not run: rejected by approver@example.com. Their reason: Ask Legal first",
        "UserManagerAgent: delete_user(1) -> DENIED: User deletion was not approved.",
    ] {
        assert!(printed.contains(line), "{line}\n{printed}");
    }
    assert!(!printed.contains("deleted."));
}

#[tokio::test]
async fn expired_it_does_not_run() {
    let printed = demo("10", None).await;
    assert!(
        printed.contains("Not run: not approved, or not used, in time."),
        "{printed}"
    );
    assert!(printed.contains("DENIED: User deletion was not approved."));
}
