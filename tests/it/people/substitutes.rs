//! One substitute of several absent people.

use super::{CAN_APPROVE, CAROL, CFO, ESCALATED, HOUR, absent, page_of, payment, submit};
use crate::harness::{ALICE, BOB, TestGate};
use human_oversight::values::Timestamp;
use human_oversight_client::types::Status;

const DAVE: &str = "dave@example.com";

fn absence(person: &str, from: Timestamp, until: Timestamp) -> String {
    format!(
        "[[absence]]\nperson = \"{person}\"\nfrom = {from}\nuntil = {until}\nsubstitute = \"{CAROL}\"\n"
    )
}

/// The policy of two of finance, with these absences.
fn policy(absences: &[String]) -> String {
    let policy = absent("", "");
    let (rule, _) = policy.split_once("[[absence]]").unwrap();
    format!("{rule}{}", absences.concat())
}

#[tokio::test]
async fn an_absence_that_is_not_yet_begun_takes_no_substitute_from_another_one() {
    let now = TestGate::start().await.now();
    let alices = absence(ALICE, now + HOUR / 2, now + 2 * HOUR);
    let bobs = absence(BOB, now - HOUR, now + HOUR);
    for absences in [[alices.clone(), bobs.clone()], [bobs, alices]] {
        let gate = TestGate::with(&[("HO_POLICY", &policy(&absences))]).await;
        let payment = submit(&gate, &payment()).await;
        assert_eq!(gate.mails_to(CAROL).len(), 1);
        gate.approve(&payment, CAROL).await;
        let page = page_of(&gate, &payment, ALICE).await;
        assert!(page.contains("(finance, for bob@example.com)"), "{page}");
        assert!(page.contains(CAN_APPROVE), "{page}");
        for person in [BOB, CAROL] {
            let page = page_of(&gate, &payment, person).await;
            assert!(!page.contains(CAN_APPROVE), "{person}: {page}");
        }
        gate.approve(&payment, ALICE).await;
        assert_eq!(gate.status(&payment.id).await.status, Status::Approved);
    }
}

#[tokio::test]
async fn the_substitute_of_two_votes_in_the_place_that_is_left_once() {
    let now = TestGate::start().await.now();
    let absences = [ALICE, BOB].map(|it| absence(it, now - HOUR, now + HOUR));
    let stages = "stages = [";
    let policy = policy(&absences).replace(stages, &format!("rejections = 2\n{stages}"));
    let gate = TestGate::with(&[("HO_POLICY", &policy)]).await;
    let payment = submit(&gate, &payment()).await;
    gate.reject(&payment, ALICE, "no").await;
    gate.approve(&payment, CAROL).await;
    let page = page_of(&gate, &payment, DAVE).await;
    assert!(page.contains("(finance, for bob@example.com)"), "{page}");
    for person in [BOB, CAROL] {
        let page = page_of(&gate, &payment, person).await;
        assert!(!page.contains(CAN_APPROVE), "{person}: {page}");
    }
    let progress = gate.status(&payment.id).await.progress.unwrap();
    assert_eq!((progress.needed, progress.given), (2, 1));
    gate.approve(&payment, DAVE).await;
    assert_eq!(gate.status(&payment.id).await.status, Status::Approved);
}

#[tokio::test]
async fn a_substitute_of_one_of_finance_is_also_that_of_one_of_the_escalation() {
    let now = TestGate::start().await.now();
    let absences = [
        absence(ALICE, now + HOUR * 3 / 4, now + 3 * HOUR),
        absence(CFO, now - HOUR, now + HOUR),
    ];
    let policy = format!("{ESCALATED}{}", absences.concat());
    let gate = TestGate::with(&[("HO_POLICY", &policy)]).await;
    let payment = submit(&gate, &payment()).await;
    gate.pass(HOUR / 2);
    assert!(gate.mails_to(CAROL).is_empty());
    gate.sweep().await;
    assert_eq!(gate.mails_to(CAROL).len(), 1);
    gate.approve(&payment, CAROL).await;
    let page = page_of(&gate, &payment, BOB).await;
    let role = "(finance, asked by escalation, for cfo@example.com)";
    assert!(page.contains(role), "{page}");
    gate.approve(&payment, BOB).await;
    assert_eq!(gate.status(&payment.id).await.status, Status::Approved);
}
