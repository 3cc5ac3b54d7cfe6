//! What an approver's page had shown of the votes: an approval does not count unseen after a rejection, nor where it has
//! come to be the last one.

use human_oversight_client::types::{Approval, Status};
use reqwest::StatusCode;

use super::votes::{DAVE, send_approval, votes_of};
use super::{CAROL, POLICY, gate_with, payment, submit};
use crate::harness::{ALICE, BOB, Page, TestGate};

/// A request of one stage, which needs these approvals of four people, or two rejections.
async fn submitted(approvals: u8) -> (TestGate, Approval) {
    let policy = format!(
        "version = 1\n[groups]\nall = [{ALICE:?}, {BOB:?}, {CAROL:?}, {DAVE:?}]\n[[rule]]\nid = \"all\"\n\
         effect = \"require\"\nrejections = 2\nstages = [{{ from = \"all\", approvals = {approvals} }}]\n"
    );
    let gate = gate_with(&policy).await;
    let payment = submit(&gate, &payment(60)).await;
    (gate, payment)
}

/// Sends an approval from a page that was opened before, with a comment.
async fn approve_from(gate: &TestGate, approval: &Approval, person: &str, page: &Page) -> Page {
    let code = gate.question(approval, person).code;
    let form = [
        ("decision", "approve"),
        ("code", code.as_str()),
        ("comment", "Ordered in May."),
    ];
    gate.send_form(page, &form).await
}

/// Checks that an approval was not taken, and that its page is shown again with these words and what was typed.
fn assert_shown_again(page: &Page, words: &[&str]) {
    assert_eq!(page.status, StatusCode::CONFLICT, "{}", page.body);
    let always = ["That page was out of date", ">Ordered in May.</textarea>"];
    for words in always.iter().chain(words) {
        assert!(page.body.contains(words), "{words}: {}", page.body);
    }
}

/// Opens the page of a person.
async fn open(gate: &TestGate, approval: &Approval, person: &str) -> Page {
    gate.get(&gate.question(approval, person).link).await
}

#[tokio::test]
async fn an_approval_does_not_count_for_a_stage_that_its_page_did_not_show() {
    let gate = gate_with(POLICY).await;
    let payment = submit(&gate, &payment(60)).await;
    let dave = gate.question(&payment, DAVE);
    let first_stage = gate.get(&dave.link).await;
    for person in [ALICE, BOB] {
        gate.approve(&payment, person).await;
    }
    // Dave is of security too, but has not seen what finance said.
    let refused = send_approval(&gate, &first_stage, &dave.code).await;
    assert_eq!(refused.status, StatusCode::CONFLICT, "{}", refused.body);
    for words in ["That page was out of date", "alice@example.com approved"] {
        assert!(refused.body.contains(words), "{words}: {}", refused.body);
    }
    assert_eq!(gate.status(&payment.id).await.status, Status::Pending);
    assert_eq!(votes_of(&gate, &payment).await.len(), 2);

    let approved = send_approval(&gate, &refused, &dave.code).await;
    assert_eq!(approved.status, StatusCode::SEE_OTHER, "{}", approved.body);
    assert_eq!(gate.status(&payment.id).await.status, Status::Approved);
}

#[tokio::test]
async fn a_rejection_counts_in_whatever_stage_it_arrives() {
    let gate = gate_with(POLICY).await;
    let payment = submit(&gate, &payment(60)).await;
    let dave = gate.question(&payment, DAVE);
    let first_stage = gate.get(&dave.link).await;
    for person in [ALICE, BOB] {
        gate.approve(&payment, person).await;
    }
    let rejected = gate
        .send_form(&first_stage, &[("decision", "reject")])
        .await;
    assert_eq!(rejected.status, StatusCode::SEE_OTHER, "{}", rejected.body);
    assert_eq!(gate.status(&payment.id).await.status, Status::Rejected);
}

#[tokio::test]
async fn the_last_approval_does_not_count_from_a_page_that_says_that_others_must_agree_too() {
    let (gate, payment) = submitted(2).await;
    let page = open(&gate, &payment, BOB).await;
    assert!(page.body.contains(">Approve: others must agree too<"));
    gate.approve(&payment, ALICE).await;
    let shown = approve_from(&gate, &payment, BOB, &page).await;
    assert_shown_again(
        &shown,
        &["alice@example.com approved", ">Approve: it runs<"],
    );
    assert_eq!(gate.status(&payment.id).await.status, Status::Pending);
    assert_eq!(votes_of(&gate, &payment).await.len(), 1);
    let approved = approve_from(&gate, &payment, BOB, &shown).await;
    assert_eq!(approved.status, StatusCode::SEE_OTHER, "{}", approved.body);
    assert_eq!(gate.status(&payment.id).await.status, Status::Approved);
}

#[tokio::test]
async fn an_approval_does_not_count_until_its_page_has_shown_the_rejections() {
    let (gate, payment) = submitted(2).await;
    gate.approve(&payment, CAROL).await;
    let page = open(&gate, &payment, BOB).await;
    assert!(page.body.contains(">Approve: it runs<"));
    let rejection = "This account is not the supplier's.";
    gate.reject(&payment, ALICE, rejection).await;
    let shown = approve_from(&gate, &payment, BOB, &page).await;
    assert_shown_again(
        &shown,
        &["alice@example.com rejected", "This account is not"],
    );
    assert_eq!(votes_of(&gate, &payment).await.len(), 2);
    let approved = approve_from(&gate, &payment, BOB, &shown).await;
    assert_eq!(approved.status, StatusCode::SEE_OTHER, "{}", approved.body);
    assert_eq!(gate.status(&payment.id).await.status, Status::Approved);
}

/// Also where others must agree after it all the same.
#[tokio::test]
async fn an_approval_that_is_taken_back_is_shown_to_those_who_would_approve() {
    let (gate, payment) = submitted(3).await;
    gate.approve(&payment, CAROL).await;
    let page = open(&gate, &payment, BOB).await;
    let carol = gate.question(&payment, CAROL);
    let revoke = [("decision", "revoke"), ("code", carol.code.as_str())];
    gate.decide(&carol, &revoke).await;
    let shown = approve_from(&gate, &payment, BOB, &page).await;
    assert_shown_again(&shown, &["carol@example.com rejected"]);
    let approved = approve_from(&gate, &payment, BOB, &shown).await;
    assert_eq!(approved.status, StatusCode::SEE_OTHER, "{}", approved.body);
}

#[tokio::test]
async fn approvals_side_by_side_count_while_others_must_agree_too() {
    let (gate, payment) = submitted(3).await;
    let page = open(&gate, &payment, BOB).await;
    gate.approve(&payment, ALICE).await;
    let approved = approve_from(&gate, &payment, BOB, &page).await;
    assert_eq!(approved.status, StatusCode::SEE_OTHER, "{}", approved.body);
    assert_eq!(votes_of(&gate, &payment).await.len(), 2);
}

#[tokio::test]
async fn a_rejection_counts_whatever_its_page_has_shown() {
    let (gate, payment) = submitted(2).await;
    let page = open(&gate, &payment, BOB).await;
    gate.approve(&payment, ALICE).await;
    gate.reject(&payment, CAROL, "No.").await;
    let rejected = gate.send_form(&page, &[("decision", "reject")]).await;
    assert_eq!(rejected.status, StatusCode::SEE_OTHER, "{}", rejected.body);
    assert_eq!(gate.status(&payment.id).await.status, Status::Rejected);
}

/// A page of an earlier gate does not say what it shows.
#[tokio::test]
async fn a_page_that_names_no_votes_has_shown_none_and_of_more_than_there_are_none_counts() {
    let (gate, payment) = submitted(2).await;
    gate.approve(&payment, ALICE).await;
    let page = open(&gate, &payment, BOB).await;
    let with = |field: &str| {
        let body = page.body.replace("name=\"votes\" value=\"1\"", field);
        assert_ne!(body, page.body);
        let (status, headers) = (page.status, page.headers.clone());
        Page {
            status,
            headers,
            body,
        }
    };
    let earlier = with("name=\"stage\" value=\"1\"");
    let shown = approve_from(&gate, &payment, BOB, &earlier).await;
    assert_shown_again(&shown, &["alice@example.com approved"]);
    for (votes, status) in [
        ("2", StatusCode::CONFLICT),
        ("18446744073709551615", StatusCode::CONFLICT),
        ("-1", StatusCode::BAD_REQUEST),
        ("one", StatusCode::BAD_REQUEST),
        ("", StatusCode::BAD_REQUEST),
        ("99999999999999999999999", StatusCode::BAD_REQUEST),
    ] {
        let page = with(&format!("name=\"votes\" value=\"{votes}\""));
        let refused = approve_from(&gate, &payment, BOB, &page).await;
        assert_eq!(refused.status, status, "{votes}: {}", refused.body);
    }
    assert_eq!(votes_of(&gate, &payment).await.len(), 1);
}
