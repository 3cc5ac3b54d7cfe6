//! Claims of what a standing grant has approved, after the grant was ended, or another one was given.

use human_oversight::store::StandingKind;
use human_oversight_client::Error;
use human_oversight_client::types::{Approval, Claim, NewApproval, Status};
use serde_json::json;

use super::{
    NONCE, POLICY, approve_with_grant, assert_approves, assert_asks, end_by_form, gate_with, given,
    list, page_of, restart, submit, until_settled,
};
use crate::harness::{ALICE, BOB, TestGate, object};
use crate::operate::operate;

/// Claims what a grant has approved; whether it was granted.
pub(super) async fn can_claim(gate: &TestGate, approval: &Approval) -> bool {
    let body = Claim {
        nonce: NONCE.to_owned(),
        secret: None,
    };
    match gate.client.claim(&approval.id, &body).await {
        Ok(_) => true,
        Err(Error::Problem(problem)) => {
            let is_meant = problem.kind.ends_with(":approver_not_allowed")
                && problem.detail.contains("standing grant");
            assert!(is_meant, "{problem:?}");
            false
        }
        Err(error) => panic!("{error:?}"),
    }
}

/// What reads the same as `restart`, and is not exactly the same.
pub(super) fn spelt(service: &str) -> NewApproval {
    NewApproval {
        parameters: object(json!({"service": service, "zone": 1})),
        ..restart()
    }
}

/// Approves with a grant for an hour and 10 uses.
pub(super) async fn give(gate: &TestGate, asked: &Approval, giver: &str) {
    let answer = approve_with_grant(gate, asked, giver, ["3600", "10"]).await;
    assert_eq!(answer.status, 303, "{}", answer.body);
}

/// Ends the grant that was given with a request in one of the ways.
async fn end(gate: &TestGate, asked: &Approval, ending: &str) {
    match ending {
        "giver" => {
            let code = gate.question(asked, ALICE).code;
            end_by_form(gate, asked, Some(&code)).await;
        }
        "operator" => {
            let grants = list(gate).await;
            let given = grants.iter().find(|it| it["approval"] == asked.id).unwrap();
            let ended = operate(gate, json!({"command": "revoke-grant", "id": given["id"]})).await;
            assert_eq!(ended["done"], true);
        }
        "pause" => {
            operate(gate, json!({"command": "pause", "because": "an incident"})).await;
            operate(gate, json!({"command": "resume"})).await;
        }
        "revocation" => {
            operate(gate, json!({"command": "revoke", "id": asked.id})).await;
        }
        _ => {
            let open = gate.client.submit(&spelt("Billing")).await.unwrap();
            gate.reject(&open, BOB, "no").await;
        }
    }
}

/// An agent that has stocked up on approvals gains nothing when the grant is ended, nor from the last use.
#[tokio::test]
async fn what_a_grant_has_approved_is_not_claimed_after_it_was_ended() {
    let gate = gate_with(POLICY).await;
    for uses in ["10", "2"] {
        for ending in ["giver", "operator", "pause", "revocation", "rejection"] {
            let asked = given(&gate, uses).await;
            let (stocked, claimed) = (assert_approves(&gate).await, assert_approves(&gate).await);
            assert!(can_claim(&gate, &claimed).await);
            end(&gate, &asked, ending).await;
            assert!(!can_claim(&gate, &stocked).await, "{uses} {ending}");
            // What was claimed stays so.
            assert!(can_claim(&gate, &claimed).await, "{uses} {ending}");
        }
    }
    // What the last use has approved can be claimed.
    let asked = given(&gate, "1").await;
    let last = assert_approves(&gate).await;
    let page = page_of(&gate, &asked).await;
    assert!(page.contains("End the standing grant"), "{page}");
    assert!(can_claim(&gate, &last).await);
}

/// The mark that a grant was ended outlasts the next grant for exactly the same.
#[tokio::test]
async fn a_newer_grant_brings_back_nothing_that_was_ended() {
    let gate = gate_with(POLICY).await;
    let asked = given(&gate, "10").await;
    let stocked = assert_approves(&gate).await;
    end(&gate, &asked, "giver").await;
    give(&gate, &submit(&gate).await, BOB).await;
    assert_approves(&gate).await;
    assert!(!can_claim(&gate, &stocked).await);
    let page = page_of(&gate, &asked).await;
    assert!(page.contains("You ended the standing grant"), "{page}");
}

/// What a grant has approved is claimed under that grant alone.
#[tokio::test]
async fn what_a_grant_has_approved_is_not_claimed_after_another_took_its_place() {
    let gate = gate_with(POLICY).await;
    let later = submit(&gate).await;
    given(&gate, "10").await;
    let stocked = assert_approves(&gate).await;
    give(&gate, &later, BOB).await;
    assert!(!can_claim(&gate, &stocked).await);
    let fresh = assert_approves(&gate).await;
    assert!(can_claim(&gate, &fresh).await);
}

/// After a grant is used up, the next one leaves what it has approved.
#[tokio::test]
async fn what_the_last_use_has_approved_is_claimed_beside_the_next_grant() {
    let gate = gate_with(POLICY).await;
    given(&gate, "1").await;
    let last = assert_approves(&gate).await;
    give(&gate, &submit(&gate).await, BOB).await;
    assert!(can_claim(&gate, &last).await);
}

/// A row holds five grants; those beyond take the place of one that is over.
#[tokio::test]
async fn grants_for_what_reads_the_same_bring_back_nothing_that_was_ended() {
    let gate = gate_with(POLICY).await;
    let asked = given(&gate, "10").await;
    let stocked = assert_approves(&gate).await;
    end(&gate, &asked, "giver").await;
    for service in ["Billing", "bIlling", "biLling", "bilLing", "billIng"] {
        let asked = gate.client.submit(&spelt(service)).await.unwrap();
        give(&gate, &asked, ALICE).await;
    }
    let approvals = list(&gate).await;
    assert!(approvals.iter().all(|it| it["approval"] != asked.id));
    assert!(!can_claim(&gate, &stocked).await);
}

/// A rejection writes a row anew that cannot be read.
#[tokio::test]
async fn what_a_damaged_row_has_approved_is_not_claimed_after_a_rejection() {
    let gate = gate_with(POLICY).await;
    given(&gate, "10").await;
    let stocked = assert_approves(&gate).await;
    until_settled(&gate).await;
    let rows = gate.store.standing_of(StandingKind::Grant).await.unwrap();
    let mut damaged = rows.into_iter().next().unwrap();
    damaged.columns.insert("Grants".to_owned(), "[".to_owned());
    gate.store.put_standing(damaged, gate.now()).await.unwrap();
    let open = submit(&gate).await;
    assert_eq!(open.status, Status::Pending);
    gate.reject(&open, BOB, "no").await;
    assert!(!can_claim(&gate, &stocked).await);
    assert_asks(&gate).await;
}
