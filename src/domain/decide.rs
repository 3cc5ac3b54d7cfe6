//! The rules of deciding: what a submitted decision form does to a request.

use std::time::Duration;

use super::approval::Approval;
use super::approver::MAX_WRONG_CODES;
use super::decision::{Assurance, Decision, LateDecision, Proposal, Verdict};
use super::execution::Execution;
use super::history::EventKind;
use super::state::{State, Status};
use crate::values::Timestamp;

/// A submitted decision form, once the approver is identified and the secrets in it are checked.
#[derive(Clone, Debug)]
pub struct CheckedForm {
    /// The index of the approver.
    pub approver: usize,
    /// How they were identified.
    pub assurance: Assurance,
    /// Whether its CSRF token is that of this request and approver.
    pub has_valid_token: bool,
    /// What it decides; a form that revokes rejects.
    pub verdict: Verdict,
    pub comment: Option<String>,
    pub code: CodeCheck,
}

/// The result of checking a one-time code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CodeCheck {
    Missing,
    Wrong,
    Right,
}

/// The next step for a form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DecisionStep {
    /// It decides the request: sign the proposal and [`Approval::record_decision`] it.
    Sign(Proposal),
    /// Nothing remains to be done.
    Done(DecisionResult),
}

/// The result of a form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecisionResult {
    /// The request has this approver's decision, from this form or an earlier one.
    Recorded,
    /// The request was closed by something else.
    AlreadyClosed,
    /// The hidden values may be shown, this once.
    Revealed,
    /// This approver's approval is revoked, by this form or an earlier one.
    Revoked,
    /// The approval was claimed or has lapsed, so it can no longer be revoked.
    AlreadyUsed,
    /// The deadline had passed.
    Late,
    /// The form is not of this request and approver.
    InvalidForm,
    /// Approving by this approver's link is locked.
    Locked,
    /// An approval by link needs the one-time code.
    CodeMissing,
    /// The code was wrong; after `left` more wrong codes the link is locked.
    CodeWrong { left: u32 },
}

impl Approval {
    /// Applies the rules of deciding to a form: the first decision in time counts, an approval by link
    /// needs the code, wrong codes are counted, and a late decision is recorded as late.
    ///
    /// An approval must be claimed within `run_within`.
    pub fn judge_form(
        &mut self,
        form: &CheckedForm,
        run_within: Duration,
        now: Timestamp,
    ) -> DecisionStep {
        if !form.has_valid_token {
            return DecisionStep::Done(DecisionResult::InvalidForm);
        }
        DecisionStep::Done(match self.status(now) {
            Status::Pending => match self.check_code(form, now) {
                Ok(()) => return DecisionStep::Sign(self.proposal(form, run_within, now)),
                Err(refused) => refused,
            },
            Status::Timeout if self.late.is_some() => DecisionResult::Late,
            Status::Timeout => match self.check_code(form, now) {
                Ok(()) => {
                    self.record_late(form, now);
                    DecisionResult::Late
                }
                Err(refused) => refused,
            },
            _ if self.has_decision_of(form) => DecisionResult::Recorded,
            _ => DecisionResult::AlreadyClosed,
        })
    }

    /// Whether a form with the code may show the hidden values; a wrong code counts.
    pub fn judge_reveal(&mut self, form: &CheckedForm) -> DecisionResult {
        if !form.has_valid_token {
            return DecisionResult::InvalidForm;
        }
        match verify_code(form, &mut self.approvers[form.approver].wrong_reveal_codes) {
            Ok(()) => DecisionResult::Revealed,
            Err(refused) => refused,
        }
    }

    /// Records a signed proposal from [`Approval::judge_form`], in the same write.
    pub fn record_decision(&mut self, proposal: Proposal, receipt: String) -> DecisionResult {
        let Proposal {
            by,
            assurance,
            comment,
            at,
            run_by,
        } = proposal;
        let decision = Decision {
            by: by.clone(),
            assurance,
            comment,
            at,
            receipt,
        };
        let (state, what) = match run_by {
            Some(run_by) => {
                let execution = Execution::Awaited;
                let state = State::Approved {
                    decision,
                    run_by,
                    execution,
                };
                (state, EventKind::Approved)
            }
            None => (State::Rejected(decision), EventKind::Rejected),
        };
        self.close(state, what, Some(by), at);
        DecisionResult::Recorded
    }

    /// A rejection needs no code, since a forged rejection is harmless.
    fn check_code(&mut self, form: &CheckedForm, now: Timestamp) -> Result<(), DecisionResult> {
        if form.verdict == Verdict::Reject {
            return Ok(());
        }
        let approver = &mut self.approvers[form.approver];
        let checked = verify_code(form, &mut approver.wrong_codes);
        if checked == Err(DecisionResult::CodeWrong { left: 0 }) {
            let by = approver.address.clone();
            self.log(now, EventKind::Locked, Some(by));
        }
        checked
    }

    fn proposal(&self, form: &CheckedForm, run_within: Duration, now: Timestamp) -> Proposal {
        Proposal {
            by: self.approvers[form.approver].address.clone(),
            assurance: match (form.assurance, form.code) {
                (Assurance::Link, CodeCheck::Missing | CodeCheck::Wrong) => Assurance::LinkOnly,
                (assurance, _) => assurance,
            },
            comment: form.comment.clone(),
            at: now,
            run_by: (form.verdict == Verdict::Approve).then(|| now + run_within),
        }
    }

    fn record_late(&mut self, form: &CheckedForm, now: Timestamp) {
        self.expire(now);
        let by = self.approvers[form.approver].address.clone();
        self.late = Some(LateDecision {
            by: by.clone(),
            verdict: form.verdict,
            at: now,
        });
        self.log(now, EventKind::AnsweredLate, Some(by));
    }

    fn has_decision_of(&self, form: &CheckedForm) -> bool {
        self.signed_decision().is_some_and(|(decided, _)| {
            decided.verdict() == form.verdict && decided.by == self.approvers[form.approver].address
        })
    }
}

/// Checks the code in a form, of which `wrong_codes` are counted. A signed-in person needs no code.
pub(super) fn verify_code(form: &CheckedForm, wrong_codes: &mut u32) -> Result<(), DecisionResult> {
    if let Assurance::Entra(_) = form.assurance {
        return Ok(());
    }
    if *wrong_codes >= MAX_WRONG_CODES {
        return Err(DecisionResult::Locked);
    }
    match form.code {
        CodeCheck::Right => Ok(()),
        CodeCheck::Missing => Err(DecisionResult::CodeMissing),
        CodeCheck::Wrong => {
            *wrong_codes += 1;
            let left = MAX_WRONG_CODES - *wrong_codes;
            Err(DecisionResult::CodeWrong { left })
        }
    }
}
