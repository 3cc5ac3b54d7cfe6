//! What time alone brings about: timeout, lapse, unknown outcome; and when to look next.

use std::time::Duration;

use super::approval::Approval;
use super::delivery::Delivery;
use super::execution::Execution;
use super::history::EventKind;
use super::state::State;
use crate::values::Timestamp;

impl Approval {
    /// Stores what time alone has brought about: `Timeout`, `Lapsed`, `ExecutionUnknown`.
    pub fn apply_timeouts(&mut self, outcome_within: Duration, now: Timestamp) {
        self.expire(now);
        self.lapse(now);
        if let State::Approved { execution, .. } = &mut self.state
            && let Execution::Executing { at, nonce } = execution
            && now >= *at + outcome_within
        {
            *execution = Execution::Unknown {
                at: now,
                nonce: std::mem::take(nonce),
            };
            self.log(now, EventKind::ExecutionUnknown, None);
        }
    }

    /// When the sweep must process it next: for a delivery, the deadline, a lapse, or a missing
    /// outcome. `None` when nothing remains to be done.
    pub fn next_due(&self, outcome_within: Duration) -> Option<Timestamp> {
        let by_state = match &self.state {
            State::Pending => Some(self.request.expires_at),
            State::Approved {
                execution: Execution::Awaited,
                run_by,
                ..
            } => Some(*run_by),
            State::Approved {
                execution: Execution::Executing { at, .. },
                ..
            } => Some(*at + outcome_within),
            _ => None,
        };
        let deliveries = self.approvers.iter().flat_map(|one| &one.deliveries);
        by_state
            .into_iter()
            .chain(deliveries.filter_map(Delivery::due_at))
            .min()
    }

    /// Stores a timeout once the deadline has passed.
    pub(super) fn expire(&mut self, now: Timestamp) {
        let at = self.request.expires_at;
        if self.state == State::Pending && now >= at {
            self.close(State::Timeout { at }, EventKind::TimedOut, None, now);
        }
    }

    /// Stores a lapse once the time to claim has passed.
    pub(super) fn lapse(&mut self, now: Timestamp) {
        if let State::Approved {
            execution: execution @ Execution::Awaited,
            run_by,
            ..
        } = &mut self.state
            && now >= *run_by
        {
            *execution = Execution::Lapsed { at: *run_by };
            self.log(now, EventKind::Lapsed, None);
        }
    }
}
