//! Plans of which some people cannot be reached by email.

use std::time::Duration;

use human_oversight_client::types::{Approval, Deliverable, NewApproval, Status};

use super::{gate_with, payment};
use crate::harness::{ALICE, BOB, TestGate};
use crate::requests::list;
use crate::sign_in::{ALICE_ID, ON, member};

const CAROL: &str = "carol@example.com";

/// One group for each way in which people are missing.
fn policy(rule: &str) -> String {
    format!(
        "version = 1\n[groups]\npair = [\"alice@example.com\", \"gone@example.invalid\"]\n\
         three = [\"alice@example.com\", \"bob@example.com\", \"gone@example.invalid\"]\n\
         alice = [\"alice@example.com\"]\ngone = [\"gone@example.invalid\", \"away@example.invalid\"]\n\
         lost = [\"lost@example.invalid\"]\nleads = [\"carol@example.com\"]\n\
         [[rule]]\nid = \"payments\"\nactions = [\"Pay *\"]\neffect = \"require\"\n{rule}\n"
    )
}

async fn submit(rule: &str) -> (TestGate, Approval) {
    let gate = gate_with(&policy(rule)).await;
    let request = NewApproval {
        timeout_seconds: Some(3_600),
        ..payment(60)
    };
    let submitted = gate.client.submit(&request).await.unwrap();
    gate.sweep().await;
    let asked = gate.status(&submitted.id).await;
    (gate, asked)
}

#[tokio::test]
async fn a_stage_that_cannot_be_met_by_those_who_are_reached_is_undeliverable() {
    for rule in [
        "stages = [{ from = \"pair\", approvals = 2 }]",
        "stages = [{ from = \"gone\" }]",
        "stages = [{ from = \"gone\" }, { from = \"alice\" }]",
    ] {
        let (_, asked) = submit(rule).await;
        assert_eq!(asked.status, Status::Undeliverable, "{rule}");
    }
}

/// Whose email bounces finds the request in the list, and decides there.
#[tokio::test]
async fn people_who_sign_in_are_reached_by_their_list() {
    let policy = policy("stages = [{ from = \"gone\" }]");
    let gate = TestGate::with(&[&ON[..], &[("HO_POLICY", policy.as_str())]].concat()).await;
    let asked = gate.client.submit(&payment(60)).await.unwrap();
    gate.sweep().await;
    let asked = gate.status(&asked.id).await;
    assert_eq!(
        (asked.status, asked.deliverable),
        (Status::Pending, Deliverable::None)
    );
    let list = list(&gate, &member("gone@example.invalid", ALICE_ID)).await;
    assert!(list.body.contains(&asked.id), "{}", list.body);
}

#[tokio::test]
async fn those_who_are_reached_decide_where_they_are_enough() {
    let (gate, asked) = submit("stages = [{ from = \"three\", approvals = 2 }]").await;
    assert_eq!(
        (asked.status, asked.deliverable),
        (Status::Pending, Deliverable::Degraded)
    );
    for person in [ALICE, BOB] {
        gate.approve(&asked, person).await;
    }
    assert_eq!(gate.status(&asked.id).await.status, Status::Approved);
}

#[tokio::test]
async fn a_later_stage_is_undeliverable_only_when_it_opens() {
    let (gate, asked) = submit("stages = [{ from = \"alice\" }, { from = \"gone\" }]").await;
    assert_eq!(asked.status, Status::Pending);
    gate.approve(&asked, ALICE).await;
    gate.sweep().await;
    assert_eq!(gate.status(&asked.id).await.status, Status::Undeliverable);
}

#[tokio::test]
async fn what_an_escalation_can_still_approve_stays_open() {
    let escalate = |to: &str| {
        format!("stages = [{{ from = \"gone\" }}]\nescalate = {{ after = \"50%\", to = \"{to}\" }}")
    };
    let (gate, asked) = submit(&escalate("leads")).await;
    assert_eq!(asked.status, Status::Pending);
    gate.pass(Duration::from_secs(1_801));
    gate.sweep().await;
    gate.approve(&asked, CAROL).await;
    assert_eq!(gate.status(&asked.id).await.status, Status::Approved);

    let (gate, asked) = submit(&escalate("lost")).await;
    assert_eq!(asked.status, Status::Pending);
    gate.pass(Duration::from_secs(1_801));
    for _ in 0..2 {
        gate.sweep().await;
    }
    assert_eq!(gate.status(&asked.id).await.status, Status::Undeliverable);
}
