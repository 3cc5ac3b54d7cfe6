//! Claiming an approval, and reporting the outcome of the action.

use super::approval::{Approval, InvalidTransition};
use super::delivery::Notice;
use super::execution::{Claim, Execution};
use super::history::EventKind;
use super::state::State;
use crate::values::Timestamp;

/// The result of a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClaimResult {
    /// The claimant may run the action once.
    Granted,
    /// The action must not run.
    Refused,
}

impl Approval {
    /// Claims an approval. It is granted once: the same nonce gets the same result again, with the permit of
    /// the first time, and any other is refused. Stores a timeout or a lapse that is due.
    pub fn claim(&mut self, claim: Claim, now: Timestamp) -> ClaimResult {
        self.expire(now);
        self.lapse(now);
        let State::Approved { execution, .. } = &mut self.state else {
            return ClaimResult::Refused;
        };
        match execution {
            Execution::Awaited => {
                *execution = Execution::Executing { at: now, claim };
                self.log(now, EventKind::Claimed, None);
                ClaimResult::Granted
            }
            Execution::Executing { claim: held, .. } if held.nonce == claim.nonce => {
                ClaimResult::Granted
            }
            _ => ClaimResult::Refused,
        }
    }

    /// The claim that was granted, if one was.
    pub fn granted_claim(&self) -> Option<&Claim> {
        match &self.state {
            State::Approved { execution, .. } => execution.claim(),
            _ => None,
        }
    }

    /// The permit of the claim, until an outcome is known.
    pub fn permit(&self) -> Option<&str> {
        match &self.state {
            State::Approved {
                execution: Execution::Executing { claim, .. },
                ..
            } => claim.permit.as_deref(),
            _ => None,
        }
    }

    /// Records the outcome that the claimant reports: success, or failure with its error text, of which all who
    /// were asked get a notice. A repeated report changes nothing.
    ///
    /// # Errors
    /// When nothing was claimed, or a different outcome was reported before.
    pub fn report(
        &mut self,
        report: Result<(), Option<String>>,
        now: Timestamp,
    ) -> Result<(), InvalidTransition> {
        let State::Approved { execution, .. } = &mut self.state else {
            return Err(InvalidTransition);
        };
        let is_late = matches!(execution, Execution::Unknown { .. });
        let claim = match (&*execution, &report) {
            (Execution::Executing { claim, .. } | Execution::Unknown { claim, .. }, _) => {
                claim.clone()
            }
            (Execution::Executed { .. }, Ok(())) => return Ok(()),
            (Execution::Failed { error, .. }, Err(again)) if error == again => return Ok(()),
            _ => return Err(InvalidTransition),
        };
        let at = now;
        let (reported, what) = match report {
            Ok(()) => (Execution::Executed { at, claim }, EventKind::Executed),
            Err(error) => (
                Execution::Failed { at, claim, error },
                EventKind::ExecutionFailed,
            ),
        };
        *execution = reported;
        self.log(now, what, None);
        if what == EventKind::ExecutionFailed {
            self.queue_once(Notice::Failure, now);
        }
        if is_late {
            self.log(now, EventKind::ReportedLate, None);
        }
        Ok(())
    }
}
