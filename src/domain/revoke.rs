//! Revoking an approval that is not claimed yet.

use super::approval::Approval;
use super::decide::{CheckedForm, DecisionResult, verify_code};
use super::delivery::{Delivery, Notice};
use super::execution::{Execution, Revocation, Revoker};
use super::history::EventKind;
use super::state::{State, Status};
use crate::values::Timestamp;

/// The next step for a form that revokes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RevocationStep {
    /// The approval is revoked: sign the revocation and [`Approval::record_revocation`] it.
    Sign(Revoker),
    /// Nothing remains to be done.
    Done(DecisionResult),
}

/// Why a request has no approval to revoke.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotRevocable {
    #[error("the request is {status}, not approved", status = .0.word())]
    NoApproval(Status),
    #[error("it cannot be stopped: it is executing since {0}")]
    Executing(Timestamp),
    /// It was claimed, and its execution has ended so.
    #[error("it was claimed, and its execution is {0}")]
    Ended(&'static str),
    #[error("it has lapsed, so it can no longer be claimed")]
    Lapsed,
}

impl Approval {
    /// Applies the rules of revoking to a form: approvers revoke only their own approval, before it is
    /// claimed or lapses, and with the code even though it is a refusal, since mail scanners press buttons.
    pub fn judge_revocation(&mut self, form: &CheckedForm, now: Timestamp) -> RevocationStep {
        if !form.has_valid_token {
            return RevocationStep::Done(DecisionResult::InvalidForm);
        }
        let by = self.approvers[form.approver].address.clone();
        RevocationStep::Done(match self.execution(now) {
            Some(Execution::Awaited) if self.is_revocable_by(form.approver, now) => {
                match verify_code(
                    form,
                    &mut self.approvers[form.approver].wrong_revocation_codes,
                ) {
                    Ok(()) => return RevocationStep::Sign(Revoker::Approver(by)),
                    Err(refused) => refused,
                }
            }
            Some(Execution::Revoked { revocation, .. })
                if revocation.by == Revoker::Approver(by) =>
            {
                DecisionResult::Revoked
            }
            Some(Execution::Awaited | Execution::Revoked { .. }) | None => {
                DecisionResult::AlreadyClosed
            }
            Some(_) => DecisionResult::AlreadyUsed,
        })
    }

    /// Whether the approver at `index` can revoke the approval as their own.
    pub fn is_revocable_by(&self, index: usize, now: Timestamp) -> bool {
        let by = &self.approvers[index].address;
        self.execution(now) == Some(Execution::Awaited)
            && self.decision().is_some_and(|decision| decision.by == *by)
    }

    /// Whether the operator can revoke the approval; `false` if it is revoked already.
    ///
    /// # Errors
    /// When it is no approval, or was claimed or has lapsed.
    pub fn check_revocable(&self, now: Timestamp) -> Result<bool, NotRevocable> {
        match self.execution(now) {
            None => Err(NotRevocable::NoApproval(self.status(now))),
            Some(Execution::Awaited) => Ok(true),
            Some(Execution::Revoked { .. }) => Ok(false),
            Some(Execution::Executing { at, .. }) => Err(NotRevocable::Executing(at)),
            Some(Execution::Lapsed { .. }) => Err(NotRevocable::Lapsed),
            Some(
                execution @ (Execution::Executed { .. }
                | Execution::Failed { .. }
                | Execution::Unknown { .. }),
            ) => Err(NotRevocable::Ended(execution.word().unwrap_or_default())),
        }
    }

    /// Records a signed revocation, in the same write, and queues a notice to all who were asked.
    ///
    /// # Errors
    /// When the approval is not revocable.
    pub fn record_revocation(
        &mut self,
        revocation: Revocation,
        now: Timestamp,
    ) -> Result<(), NotRevocable> {
        if !self.check_revocable(now)? {
            return Ok(());
        }
        let by = revocation.by.approver().cloned();
        let State::Approved { execution, .. } = &mut self.state else {
            return Err(NotRevocable::NoApproval(self.status(now)));
        };
        *execution = Execution::Revoked {
            at: now,
            revocation,
        };
        self.log(now, EventKind::Revoked, by);
        for approver in &mut self.approvers {
            if approver.was_asked() {
                let notice = Delivery::queued(Notice::Revocation, now);
                approver.deliveries.push(notice);
            }
        }
        Ok(())
    }
}
