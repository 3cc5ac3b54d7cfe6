//! Revoking an approval that is not claimed yet.

use super::approval::Approval;
use super::decision::Verdict;
use super::delivery::Notice;
use super::execution::{Execution, Revocation, Revoker};
use super::form::{CheckedForm, DecisionResult};
use super::history::EventKind;
use super::plan::counted;
use super::state::{State, Status};
use super::vote::Ballot;
use crate::values::Timestamp;

/// The next step for a form that revokes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RevocationStep {
    /// The approval is revoked: sign the revocation and [`Approval::record_revocation`] it.
    Sign(Revoker),
    /// The request is still open: the vote becomes a rejection, recorded as the vote of a form is.
    Vote(Ballot),
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
        if self.status(now) == Status::Pending {
            return match self.check_vote_revocation(form, now) {
                Ok(ballot) => RevocationStep::Vote(ballot),
                Err(result) => RevocationStep::Done(result),
            };
        }
        let by = self.approvers[form.approver].address.clone();
        RevocationStep::Done(match self.execution(now) {
            Some(Execution::Awaited) if self.is_revocable_by(form.approver, now) => {
                match form.verify_code(&mut self.approvers[form.approver].wrong_revocation_codes) {
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

    /// The rejection that replaces a vote to approve, of a request that waits for other votes.
    fn check_vote_revocation(
        &mut self,
        form: &CheckedForm,
        now: Timestamp,
    ) -> Result<Ballot, DecisionResult> {
        let earlier = match self.vote_of(form).map(|vote| vote.ballot.clone()) {
            Some(ballot) if ballot.verdict == Verdict::Approve => ballot,
            Some(_) => return Err(DecisionResult::Revoked),
            None => return Err(DecisionResult::AlreadyClosed),
        };
        let approver = &mut self.approvers[form.approver];
        form.verify_code(&mut approver.wrong_revocation_codes)?;
        Ok(earlier.revocation(form.assurance, now))
    }

    /// How many people have rejected.
    pub fn rejections(&self) -> usize {
        let ballots = counted(&self.votes).into_iter();
        ballots.filter(|it| it.verdict == Verdict::Reject).count()
    }

    /// Whether the last vote of the approver at `index` is a rejection.
    pub fn has_rejected(&self, index: usize) -> bool {
        let own = self.ballot_of(index);
        own.is_some_and(|ballot| ballot.verdict == Verdict::Reject)
    }

    /// Whether the approver at `index` can revoke an approval of their own: their vote, while votes are
    /// missing or until the request is claimed.
    pub fn is_revocable_by(&self, index: usize, now: Timestamp) -> bool {
        let is_awaited = self.execution(now) == Some(Execution::Awaited);
        if let Some(own) = self.ballot_of(index) {
            let is_open = is_awaited || self.status(now) == Status::Pending;
            return is_open && own.verdict == Verdict::Approve;
        }
        let by = &self.approvers[index].address;
        let decider = self.decision().and_then(|decision| decision.by.person());
        is_awaited && decider == Some(by)
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
        self.queue_once(Notice::Revocation, now);
        Ok(())
    }
}
