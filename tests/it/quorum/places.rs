//! For which ask a vote counts, and who is asked when a stage opens again.

use std::time::Duration;

use human_oversight_client::types::{Approval, NewApproval, Status};

use super::{CAROL, gate_with, page_of, payment, submit};
use crate::deadline::eventually;
use crate::harness::{ALICE, BOB, TestGate};

const DAVE: &str = "dave@example.com";
const ERIN: &str = "erin@example.com";
const CAN_APPROVE: &str = "value=\"approve\"";
const LIFE: Duration = Duration::from_secs(10_000);

/// A rule for each pair of groups and stages; they join.
fn policy(groups: &str, rules: &[&str]) -> String {
    let rules = rules.iter().enumerate().map(|(index, rule)| {
        format!(
            "[[rule]]\nid = \"r{index}\"\nactions = [\"Pay *\"]\neffect = \"require\"\n{rule}\n"
        )
    });
    format!(
        "version = 1\n[groups]\n{groups}\n{}",
        rules.collect::<String>()
    )
}

fn long_payment() -> NewApproval {
    NewApproval {
        timeout_seconds: u32::try_from(LIFE.as_secs()).ok(),
        ..payment(90)
    }
}

async fn status(gate: &TestGate, approval: &Approval) -> Status {
    gate.status(&approval.id).await.status
}

async fn take_back(gate: &TestGate, approval: &Approval, person: &str) {
    let question = gate.question(approval, person);
    let form = [("decision", "revoke"), ("code", question.code.as_str())];
    let page = gate.decide(&question, &form).await;
    assert!(page.status.is_redirection(), "{}", page.body);
}

/// How often a person was asked for a decision.
fn asked(gate: &TestGate, person: &str) -> usize {
    let mails = gate.mails().into_iter();
    let mails = mails.filter(|it| it.to == person && it.subject.contains("[Approve?]"));
    mails.count()
}

async fn until_asked(gate: &TestGate, person: &str, times: usize) {
    eventually(async || (asked(gate, person) == times).then_some(())).await;
}

#[tokio::test]
async fn an_approval_counts_for_the_ask_that_others_cannot_meet() {
    let groups = "finance = [\"alice@example.com\", \"bob@example.com\", \"dave@example.com\"]\n\
                  security = [\"carol@example.com\", \"erin@example.com\", \"alice@example.com\"]";
    let rules = [
        "stages = [{ from = \"finance\", approvals = 2 }]\nrejections = 3",
        "stages = [{ from = \"security\" }]\nrejections = 3",
    ];
    let gate = gate_with(&policy(groups, &rules)).await;
    let payment = submit(&gate, &payment(90)).await;
    for person in [CAROL, ERIN] {
        gate.reject(&payment, person, "no").await;
    }
    let page = page_of(&gate, &payment, BOB).await;
    let finance = "bob@example.com, dave@example.com";
    assert!(
        page.contains(finance) && !page.contains("alice@example.com, bob@"),
        "{page}"
    );
    for person in [ALICE, BOB] {
        gate.approve(&payment, person).await;
        assert_eq!(status(&gate, &payment).await, Status::Pending, "{person}");
    }
    gate.approve(&payment, DAVE).await;
    assert_eq!(status(&gate, &payment).await, Status::Approved);
}

#[tokio::test]
async fn an_approval_of_the_escalation_counts_for_the_ask_that_others_cannot_meet() {
    let groups = "finance = [\"alice@example.com\", \"bob@example.com\"]\n\
                  security = [\"carol@example.com\"]\nleads = [\"dave@example.com\"]\n\
                  audit = [\"erin@example.com\"]";
    let rules = [
        "stages = [{ from = \"finance\" }]\nrejections = 2\nescalate = { after = \"50%\", to = \"leads\" }",
        "stages = [{ from = \"security\" }, { from = \"audit\" }]\nrejections = 2",
    ];
    let gate = gate_with(&policy(groups, &rules)).await;
    let payment = submit(&gate, &long_payment()).await;
    gate.reject(&payment, CAROL, "no").await;
    gate.pass(LIFE / 2);
    gate.sweep().await;
    gate.approve(&payment, DAVE).await;
    assert_eq!(status(&gate, &payment).await, Status::Pending);
    gate.approve(&payment, ALICE).await;
    until_asked(&gate, ERIN, 1).await;
    gate.approve(&payment, ERIN).await;
    assert_eq!(status(&gate, &payment).await, Status::Approved);
}

#[tokio::test]
async fn a_person_without_whom_a_later_stage_cannot_be_met_votes_there() {
    let groups = "finance = [\"alice@example.com\", \"bob@example.com\", \"dave@example.com\"]\n\
                  security = [\"dave@example.com\", \"erin@example.com\"]";
    let rule = "stages = [{ from = \"finance\" }, { from = \"security\" }]\nrejections = 3";
    let gate = gate_with(&policy(groups, &[rule])).await;
    let payment = submit(&gate, &long_payment()).await;
    gate.approve(&payment, ALICE).await;
    until_asked(&gate, ERIN, 1).await;
    gate.reject(&payment, ERIN, "no").await;
    take_back(&gate, &payment, ALICE).await;
    let page = page_of(&gate, &payment, DAVE).await;
    assert!(!page.contains(CAN_APPROVE), "{page}");
    gate.approve(&payment, BOB).await;
    // His vote is needed again, so he is asked again.
    until_asked(&gate, DAVE, 2).await;
    gate.approve(&payment, DAVE).await;
    assert_eq!(status(&gate, &payment).await, Status::Approved);
}

#[tokio::test]
async fn a_stage_that_opens_again_asks_again_and_is_reminded_of_and_escalated() {
    let groups = "finance = [\"alice@example.com\", \"bob@example.com\"]\n\
                  security = [\"carol@example.com\"]\nleads = [\"dave@example.com\"]";
    let rule = "stages = [{ from = \"finance\" }, { from = \"security\" }]\nrejections = 2\n\
                escalate = { after = \"50%\", to = \"leads\" }";
    let gate = gate_with(&policy(groups, &[rule])).await;
    let payment = submit(&gate, &long_payment()).await;
    gate.approve(&payment, ALICE).await;
    until_asked(&gate, CAROL, 1).await;
    gate.pass(LIFE / 100);
    take_back(&gate, &payment, ALICE).await;
    until_asked(&gate, BOB, 2).await;
    assert_eq!((asked(&gate, ALICE), asked(&gate, CAROL)), (1, 1));
    assert!(!page_of(&gate, &payment, CAROL).await.contains(CAN_APPROVE));
    gate.pass(LIFE / 2);
    gate.sweep().await;
    until_asked(&gate, DAVE, 1).await;
    gate.pass(LIFE * 4 / 10);
    gate.sweep().await;
    let is_reminder = |subject: &str| subject.contains("[Last") || subject.contains("[Reminder");
    let reminded = |person: &str| {
        let mails = gate.mails().into_iter();
        let mails = mails.filter(|it| it.to == person && is_reminder(&it.subject));
        mails.count()
    };
    eventually(async || (reminded(BOB) == 1).then_some(())).await;
    assert_eq!((reminded(ALICE), reminded(CAROL)), (0, 0));
    gate.approve(&payment, BOB).await;
    until_asked(&gate, CAROL, 2).await;
    gate.approve(&payment, CAROL).await;
    assert_eq!(status(&gate, &payment).await, Status::Approved);
}

#[tokio::test]
async fn an_ask_that_is_open_again_beside_another_asks_again() {
    let groups = "finance = [\"alice@example.com\", \"bob@example.com\"]\n\
                  security = [\"carol@example.com\", \"erin@example.com\"]";
    let rules = [
        "stages = [{ from = \"finance\" }]\nrejections = 2",
        "stages = [{ from = \"security\" }]\nrejections = 2",
    ];
    let gate = gate_with(&policy(groups, &rules)).await;
    let payment = submit(&gate, &long_payment()).await;
    gate.approve(&payment, ALICE).await;
    take_back(&gate, &payment, ALICE).await;
    until_asked(&gate, BOB, 2).await;
    assert_eq!(asked(&gate, CAROL), 1);
}
