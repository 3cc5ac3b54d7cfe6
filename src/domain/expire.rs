//! Transitions caused by time: timeout, lapse, unknown outcome; and when the next one is due.

use std::time::Duration;

use super::approval::{Approval, has_lapsed};
use super::delivery::Notice;
use super::execution::Execution;
use super::history::EventKind;
use super::state::State;
use crate::values::Timestamp;

impl Approval {
    /// Applies the transitions that are due by time: `Timeout`, `Lapsed`, `ExecutionUnknown`.
    pub fn apply_timeouts(&mut self, outcome_within: Duration, now: Timestamp) {
        self.expire(now);
        self.lapse(now);
        if let State::Approved { execution, .. } = &mut self.state
            && let Execution::Executing { at, claim } = execution
            && now >= *at + outcome_within
        {
            *execution = Execution::Unknown {
                at: now,
                claim: claim.clone(),
            };
            self.log(now, EventKind::ExecutionUnknown, None);
            self.queue_once(Notice::Failure, now);
        }
    }

    /// When the sweep must process the request next: for a delivery, an escalation, the deadline, a lapse, or a
    /// missing outcome. `None` if nothing will ever be due.
    pub fn next_due(&self, outcome_within: Duration) -> Option<Timestamp> {
        let by_state = match &self.state {
            State::Pending => {
                let escalation = self.next_escalation();
                let deadline = self.request.expires_at;
                Some(escalation.map_or(deadline, |at| at.min(deadline)))
            }
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
        let deliveries = deliveries.filter_map(|it| it.state.due_at());
        let outbox = self.outbox.iter().filter_map(|it| it.state.due_at());
        by_state.into_iter().chain(deliveries).chain(outbox).min()
    }

    /// Closes a pending request once its deadline has passed.
    pub(super) fn expire(&mut self, now: Timestamp) {
        let at = self.request.expires_at;
        if self.state == State::Pending && now >= at {
            self.close(State::Timeout { at }, EventKind::TimedOut, None, now);
        }
    }

    /// Records a lapse once the time to claim has passed.
    pub(super) fn lapse(&mut self, now: Timestamp) {
        if let State::Approved {
            execution: execution @ Execution::Awaited,
            run_by,
            ..
        } = &mut self.state
            && has_lapsed(*run_by, now)
        {
            *execution = Execution::Lapsed { at: *run_by };
            self.log(now, EventKind::Lapsed, None);
        }
    }
}
