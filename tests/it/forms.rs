//! Decision forms through a link, as `app::decide` passes them to the domain after it has checked their secrets.

use std::time::Duration;

use human_oversight::domain::{
    Approval, Assurance, Ballot, CheckedDecision, CheckedForm, Claim, CodeCheck, DecisionResult,
    DecisionStep, Proposal, Revocation, RevocationStep, Verdict,
};
use human_oversight::values::Timestamp;

/// A current form with the right code.
pub(crate) fn form(approver: usize, verdict: Verdict, comment: Option<&str>) -> CheckedDecision {
    CheckedDecision {
        form: CheckedForm {
            aliases: Vec::new(),
            sign_in: Ok(()),
            approver,
            assurance: Assurance::Link,
            has_valid_token: true,
            code: CodeCheck::Right,
        },
        unlisted: Vec::new(),
        verdict,
        preset: None,
        comment: comment.map(str::to_owned),
        grant: None,
        votes: None,
        words: None,
        question: None,
        typed: comment.map_or(0, |it| it.chars().count()),
    }
}

/// The proposal for a form; panics if the form decides nothing.
pub(crate) fn proposal(
    approval: &mut Approval,
    form: &CheckedDecision,
    run_within: Duration,
    now: Timestamp,
) -> Proposal {
    match approval.judge_form(form, now) {
        DecisionStep::Sign(ballot) => approval.proposal(&ballot, run_within).unwrap(),
        DecisionStep::Done(result) => panic!("{result:?}"),
    }
}

/// Submits a form, and records the decision with a placeholder for the receipt.
pub(crate) fn decide(
    approval: &mut Approval,
    approver: usize,
    verdict: Verdict,
    run_within: Duration,
    now: Timestamp,
) -> DecisionResult {
    match approval.judge_form(&form(approver, verdict, None), now) {
        DecisionStep::Sign(ballot) => record_ballot(approval, ballot, run_within),
        DecisionStep::Done(result) => result,
    }
}

/// Records a ballot and what it decides, with placeholders for what is signed.
pub(crate) fn record_ballot(
    approval: &mut Approval,
    ballot: Ballot,
    run_within: Duration,
) -> DecisionResult {
    let proposal = approval.proposal(&ballot, run_within);
    if approval.plan.keeps_votes() {
        approval.record_vote(ballot, "vote".to_owned());
    }
    if let Some(proposal) = proposal {
        approval.record_decision(proposal, "receipt".to_owned());
    }
    DecisionResult::Recorded
}

/// Submits a wrong code.
pub(crate) fn submit_wrong_code(approval: &mut Approval, approver: usize, now: Timestamp) {
    let mut form = form(approver, Verdict::Approve, None);
    form.form.code = CodeCheck::Wrong;
    let step = approval.judge_form(&form, now);
    assert!(matches!(step, DecisionStep::Done(_)), "{step:?}");
}

/// Revokes an approval by a form with the right code, with a placeholder for the signed record.
pub(crate) fn revoke(approval: &mut Approval, approver: usize, now: Timestamp) -> DecisionResult {
    match approval.judge_revocation(&form(approver, Verdict::Reject, None).form, now) {
        RevocationStep::Done(result) => result,
        RevocationStep::Vote(ballot) => {
            record_ballot(approval, ballot, Duration::ZERO);
            DecisionResult::Revoked
        }
        RevocationStep::Sign(by) => {
            let proof = "revocation".to_owned();
            approval
                .record_revocation(Revocation { by, proof }, now)
                .unwrap();
            DecisionResult::Revoked
        }
    }
}

/// A claim whose permit names its nonce.
pub(crate) fn claim(nonce: &str) -> Claim {
    Claim {
        nonce: nonce.to_owned(),
        permit: Some(format!("permit.of.{nonce}")),
    }
}
