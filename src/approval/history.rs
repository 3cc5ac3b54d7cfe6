//! The history of a request: what happened, in order, and whether it tells how the request came to
//! stand as it does.

use super::{Approval, Execution, State, words};
use crate::address::Address;
use crate::timestamp::Timestamp;

/// One line of the history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// When.
    pub at: Timestamp,
    /// What.
    pub what: EventKind,
    /// Which approver did it, if one did.
    pub by: Option<Address>,
}

words! {
    /// What can happen.
    #[expect(missing_docs, reason = "the names are the story")]
    pub enum EventKind {
        Submitted,
        Approved,
        Rejected,
        TimedOut,
        Cancelled,
        Undeliverable,
        Locked,
        AnsweredLate,
        Claimed,
        Lapsed,
        Executed,
        ExecutionFailed,
        ExecutionUnknown,
        /// The outcome was reported after it had been given up.
        ReportedLate,
    }
}

/// What the history must have: what happened, and when and by whom where the state says so too.
type Told<'a> = (EventKind, Option<Timestamp>, Option<&'a Address>);

impl Approval {
    /// Whether the history tells how it came to stand as it does. Every move changes both, so a row in
    /// which somebody changed the one contradicts itself.
    pub fn is_told_by_its_history(&self) -> bool {
        let is_lock = |event: &&Event| event.what == EventKind::Locked;
        let (locks, moves): (Vec<_>, Vec<_>) = self.history.iter().partition(is_lock);
        let locks: Vec<_> = locks.iter().map(|event| event.by.as_ref()).collect();
        let locked = self
            .approvers
            .iter()
            .filter(|approver| approver.is_locked());
        let told = self.told(
            moves
                .iter()
                .any(|event| event.what == EventKind::ReportedLate),
        );
        let is_told = |(event, (what, at, by)): (&&Event, &Told<'_>)| {
            event.what == *what && at.is_none_or(|at| at == event.at) && event.by.as_ref() == *by
        };
        moves.len() == told.len()
            && moves.iter().zip(&told).all(is_told)
            && locks.len() == locked.clone().count()
            && locked
                .map(|approver| Some(&approver.address))
                .all(|by| locks.contains(&by))
    }

    fn told(&self, reported_late: bool) -> Vec<Told<'_>> {
        let mut told = vec![(EventKind::Submitted, Some(self.request.requested_at), None)];
        match &self.state {
            State::Pending => {}
            State::Approved {
                decision,
                execution,
                ..
            } => {
                told.push((EventKind::Approved, Some(decision.at), Some(&decision.by)));
                told.extend(ran(execution, reported_late));
            }
            State::Rejected(decision) => {
                told.push((EventKind::Rejected, Some(decision.at), Some(&decision.by)));
            }
            State::Timeout { .. } => told.push((EventKind::TimedOut, None, None)),
            State::Cancelled { at } => told.push((EventKind::Cancelled, Some(*at), None)),
            State::Undeliverable { at } => told.push((EventKind::Undeliverable, Some(*at), None)),
        }
        if let Some(late) = &self.late {
            told.push((EventKind::AnsweredLate, Some(late.at), Some(&late.by)));
        }
        told
    }

    pub(super) fn note(&mut self, at: Timestamp, what: EventKind, by: Option<Address>) {
        self.history.push(Event { at, what, by });
    }
}

fn ran<'a>(execution: &Execution, reported_late: bool) -> Vec<Told<'a>> {
    let claimed = (EventKind::Claimed, None, None);
    let reported = |what, at| match reported_late {
        false => vec![claimed, (what, Some(at), None)],
        true => vec![
            claimed,
            (EventKind::ExecutionUnknown, None, None),
            (what, Some(at), None),
            (EventKind::ReportedLate, Some(at), None),
        ],
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
    }
}
