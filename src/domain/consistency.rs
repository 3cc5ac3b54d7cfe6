//! Checks the state against the history. Every transition changes both, so a row in which only one of
//! them was edited contradicts itself.

use super::approval::Approval;
use super::execution::Execution;
use super::history::{Event, EventKind};
use super::state::State;
use crate::values::{Address, Timestamp};

/// An event that the history must have, with the time and the approver where the state has them too.
type ExpectedEvent<'a> = (EventKind, Option<Timestamp>, Option<&'a Address>);

impl Approval {
    /// Whether the history explains the state.
    pub fn history_is_consistent(&self) -> bool {
        let is_lock = |event: &&Event| event.what == EventKind::Locked;
        let (locks, transitions): (Vec<_>, Vec<_>) = self.history.iter().partition(is_lock);
        let locks: Vec<_> = locks.iter().map(|event| event.by.as_ref()).collect();
        let locked = self
            .approvers
            .iter()
            .filter(|approver| approver.is_locked());
        let reported_late = transitions
            .iter()
            .any(|event| event.what == EventKind::ReportedLate);
        let expected = self.expected_events(reported_late);
        let matches = |(event, (what, at, by)): (&&Event, &ExpectedEvent<'_>)| {
            event.what == *what && at.is_none_or(|at| at == event.at) && event.by.as_ref() == *by
        };
        transitions.len() == expected.len()
            && transitions.iter().zip(&expected).all(matches)
            && locks.len() == locked.clone().count()
            && locked
                .map(|approver| Some(&approver.address))
                .all(|by| locks.contains(&by))
    }

    fn expected_events(&self, reported_late: bool) -> Vec<ExpectedEvent<'_>> {
        let mut expected = vec![(EventKind::Submitted, Some(self.request.requested_at), None)];
        match &self.state {
            State::Pending => {}
            State::Approved {
                decision,
                execution,
                ..
            } => {
                expected.push((EventKind::Approved, Some(decision.at), Some(&decision.by)));
                expected.extend(execution_events(execution, reported_late));
            }
            State::Rejected(decision) => {
                expected.push((EventKind::Rejected, Some(decision.at), Some(&decision.by)));
            }
            State::Timeout { .. } => expected.push((EventKind::TimedOut, None, None)),
            State::Cancelled { at } => expected.push((EventKind::Cancelled, Some(*at), None)),
            State::Undeliverable { at } => {
                expected.push((EventKind::Undeliverable, Some(*at), None));
            }
        }
        if let Some(late) = &self.late {
            expected.push((EventKind::AnsweredLate, Some(late.at), Some(&late.by)));
        }
        expected
    }
}

fn execution_events<'a>(execution: &'a Execution, reported_late: bool) -> Vec<ExpectedEvent<'a>> {
    let claimed = (EventKind::Claimed, None, None);
    let reported = |what, at| {
        if reported_late {
            vec![
                claimed,
                (EventKind::ExecutionUnknown, None, None),
                (what, Some(at), None),
                (EventKind::ReportedLate, Some(at), None),
            ]
        } else {
            vec![claimed, (what, Some(at), None)]
        }
    };
    match execution {
        Execution::Awaited => Vec::new(),
        Execution::Executing { at, .. } => vec![(EventKind::Claimed, Some(*at), None)],
        Execution::Executed { at, .. } => reported(EventKind::Executed, *at),
        Execution::Failed { at, .. } => reported(EventKind::ExecutionFailed, *at),
        Execution::Unknown { at, .. } => {
            vec![claimed, (EventKind::ExecutionUnknown, Some(*at), None)]
        }
        Execution::Lapsed { .. } => vec![(EventKind::Lapsed, None, None)],
        Execution::Revoked { at, revocation } => {
            vec![(EventKind::Revoked, Some(*at), revocation.by.approver())]
        }
    }
}
