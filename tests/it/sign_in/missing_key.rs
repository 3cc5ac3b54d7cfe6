//! A request whose link key was removed, although a vote had sealed its row with another one.

use std::time::Duration;

use human_oversight::keys::keyring;
use human_oversight_client::types::{Approval, NewApproval};

use super::{ON, visit};
use crate::claim::{NONCE, claim};
use crate::harness::{ALICE, BOB, Log, TestGate, request};
use crate::host::SignIn;
use crate::outcome::report;
use crate::requests::bob;

const POLICY: &str = r#"
version = 1

[groups]
finance = ["alice@example.com", "bob@example.com"]

[[rule]]
id = "payments"
actions = ["Pay *"]
effect = "require"
stages = [{ from = "finance", approvals = 2 }]
"#;

/// Approves as Alice at this gate, with the link to the `first` one.
async fn approve(gate: &TestGate, asked: &Approval, first: &str) {
    let mut question = gate.question(asked, ALICE);
    question.link = question.link.replace(first, &gate.url);
    let form = [("decision", "approve"), ("code", question.code.as_str())];
    assert_eq!(gate.decide(&question, &form).await.status, 303);
}

#[tokio::test]
async fn the_page_and_the_log_say_so_and_the_email_is_sent_once_the_key_is_back() {
    let [old, new] = [(); 2].map(|()| keyring::generate_link_key());
    let both = format!("{new},{old}");
    let with = |keys| [&[("HO_POLICY", POLICY), ("HO_LINK_KEYS", keys)], &ON[..]].concat();
    let gate = TestGate::with(&[("HO_POLICY", POLICY), ("HO_LINK_KEYS", &old)]).await;
    let payment = NewApproval {
        action_description: "Pay an invoice".to_owned(),
        approver_emails: Vec::new(),
        ..request()
    };
    let asked = gate.client.submit(&payment).await.unwrap();
    let first = gate.url.clone();
    let gate = TestGate::at(gate.dir, &[("HO_POLICY", POLICY), ("HO_LINK_KEYS", &both)]).await;
    approve(&gate, &asked, &first).await;

    let gate = TestGate::at(gate.dir, &with(&new)).await;
    let log = Log::default();
    let collecting = log.collect();
    let session = SignIn::session(&bob());
    let page = visit(&gate, &asked.id, &[("cookie", &session)]).await;
    assert!(
        page.body.contains("does not have the key of this request"),
        "{}",
        page.body
    );
    assert!(!page.body.contains("<form"), "{}", page.body);
    gate.pass(Duration::from_secs(1_801));
    gate.sweep().await;
    drop(collecting);
    for (words, count) in [
        (
            "a page offers no decision: the link key of its request is missing",
            1,
        ),
        ("cause=\"the link key of the request is missing\"", 1),
    ] {
        assert_eq!(log.count(words), count, "{words}: {:?}", log.lines());
    }

    let reminders = |gate: &TestGate| {
        let mails = gate.mails().into_iter();
        mails
            .filter(|it| it.to == BOB && it.subject.contains("[Reminder]"))
            .count()
    };
    assert_eq!(reminders(&gate), 0);
    let gate = TestGate::at(gate.dir, &with(&both)).await;
    gate.pass(Duration::from_secs(1_801 + 301));
    gate.sweep().await;
    assert_eq!(reminders(&gate), 1);
}

#[tokio::test]
async fn a_notice_about_what_has_ended_is_given_up() {
    let [old, new] = [(); 2].map(|()| keyring::generate_link_key());
    let gate = TestGate::with(&[("HO_LINK_KEYS", &old)]).await;
    let (asked, first) = (gate.ask().await, gate.url.clone());
    let both = format!("{new},{old}");
    let gate = TestGate::at(gate.dir, &[("HO_LINK_KEYS", &both)]).await;
    approve(&gate, &asked, &first).await;
    gate.client.claim(&asked.id, &claim(NONCE)).await.unwrap();
    gate.sweep().await;
    let gate = TestGate::at(gate.dir, &[("HO_LINK_KEYS", &new)]).await;
    gate.client
        .outcome(&asked.id, &report(Some("no")))
        .await
        .unwrap();
    let log = Log::default();
    let collecting = log.collect();
    for _ in 0..3 {
        gate.pass(Duration::from_secs(301));
        gate.sweep().await;
    }
    drop(collecting);
    let words = "cause=\"the link key of the request is missing\"";
    assert!(log.count(words) <= 2, "{:?}", log.lines());
    let notifications = gate.entity(&asked.id).await["Notifications"].to_string();
    assert!(!notifications.contains("Queued"), "{notifications}");
    assert!(notifications.contains("Refused"), "{notifications}");
}
