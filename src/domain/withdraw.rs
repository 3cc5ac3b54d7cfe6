//! Withdrawing a request.

use super::approval::{Approval, InvalidTransition};
use super::history::EventKind;
use super::state::{State, Status};
use crate::values::Timestamp;

impl Approval {
    /// Withdraws the request. Withdrawing it again changes nothing.
    ///
    /// # Errors
    /// When the request is no longer pending.
    pub fn withdraw(&mut self, now: Timestamp) -> Result<(), InvalidTransition> {
        match (&self.state, self.status(now)) {
            (State::Cancelled { .. }, _) => Ok(()),
            (_, Status::Pending) => {
                let state = State::Cancelled { at: now };
                self.close(state, EventKind::Cancelled, None, now);
                Ok(())
            }
            _ => Err(InvalidTransition),
        }
    }
}
