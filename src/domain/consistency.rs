//! Checks the state against the history. Every transition changes both, so a row in which only one of
//! them was edited contradicts itself.

use super::approval::Approval;
use super::decision::Verdict;
use super::execution::Execution;
use super::history::{Event, EventKind};
use super::state::State;
use crate::values::{Address, MAX_CLOCK_SKEW, Timestamp};

/// An event that the history must have, with the time and the approver where the state has them too.
type ExpectedEvent<'a> = (EventKind, Option<Timestamp>, Option<&'a Address>);

impl Approval {
    /// The first two events of which the later is dated clearly before the earlier.
    pub fn backward_step(&self) -> Option<(&Event, &Event)> {
        let pairs = self.history.windows(2);
        let mut pairs = pairs.map(|pair| (&pair[0], &pair[1]));
        pairs.find(|(earlier, later)| earlier.at.since(later.at) > MAX_CLOCK_SKEW)
    }

    /// Whether the history explains the state.
    pub fn history_is_consistent(&self) -> bool {
        let is_lock = |event: &&Event| event.what == EventKind::Locked;
        let (locks, events): (Vec<_>, Vec<_>) = self.history.iter().partition(is_lock);
        let is_hand_over = |event: &&Event| event.what == EventKind::HandedOver;
        let (hand_overs, events): (Vec<_>, Vec<_>) = events.into_iter().partition(is_hand_over);
        let is_escalation = |event: &&Event| event.what == EventKind::Escalated;
        let (escalations, transitions): (Vec<_>, Vec<_>) =
            events.into_iter().partition(is_escalation);
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
        self.explains_escalations(escalations.len())
            && self.explains_hand_overs(&hand_overs)
            && transitions.len() == expected.len()
            && transitions.iter().zip(&expected).all(matches)
            && locks.len() == locked.clone().count()
            && locked
                .map(|approver| Some(&approver.address))
                .all(|by| locks.contains(&by))
    }

    /// Whether these are the events of the hand-overs.
    fn explains_hand_overs(&self, events: &[&Event]) -> bool {
        let hand_overs = self.plan.hand_overs.iter();
        let hand_overs = hand_overs.map(|it| (it.at, self.approvers.get(it.from)));
        let events = events.iter().map(|event| (event.at, event.by.as_ref()));
        hand_overs
            .map(|(at, by)| (at, by.map(|by| &by.address)))
            .eq(events)
    }

    /// Whether the number of escalations is possible: at most one for each opening of a stage, which takes a vote,
    /// and one before the people were asked.
    fn explains_escalations(&self, count: usize) -> bool {
        let Some(escalation) = &self.plan.escalation else {
            return count == 0;
        };
        let people = escalation.to.iter();
        let mut people = people.filter_map(|&it| self.approvers.get(it));
        let are_asked = people.any(|it| it.request_delivery().is_some());
        (count > 0 || !are_asked) && count <= self.votes.len() + 1
    }

    fn expected_events(&self, reported_late: bool) -> Vec<ExpectedEvent<'_>> {
        let mut expected = vec![(EventKind::Submitted, Some(self.request.requested_at), None)];
        expected.extend(self.votes.iter().map(|vote| {
            let ballot = &vote.ballot;
            let what = match ballot.verdict {
                Verdict::Approve => EventKind::VotedToApprove,
                Verdict::Reject => EventKind::VotedToReject,
            };
            let by = self.approvers.get(ballot.person).map(|it| &it.address);
            (what, Some(ballot.at), by)
        }));
        match &self.state {
            State::Pending => {}
            State::Approved {
                decision,
                execution,
                ..
            } => {
                expected.push((EventKind::Approved, Some(decision.at), decision.by.person()));
                expected.extend(execution_events(execution, reported_late));
            }
            State::Rejected(decision) => {
                expected.push((EventKind::Rejected, Some(decision.at), decision.by.person()));
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
