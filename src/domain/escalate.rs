//! Asking more people when a stage stays open.

use super::approval::Approval;
use super::approver::Approver;
use super::history::EventKind;
use super::plan::{Escalation, Tally};
use super::state::Status;
use super::vote::Vote;
use crate::values::Timestamp;

impl Approval {
    /// When the share of an escalation has passed of the time between `from` and the deadline.
    pub(super) fn share_from(&self, from: Timestamp, escalation: &Escalation) -> Timestamp {
        let life = self.request.expires_at.since(from);
        from + life * u32::from(escalation.after_percent.get()) / 100
    }

    /// When the open stage is escalated; `None` if it is already, or never will be. The share counts from when the stage can
    /// be approved, since before that those who were asked miss nothing.
    pub fn next_escalation(&self) -> Option<Timestamp> {
        let escalation = self.plan.escalation.as_ref()?;
        let Tally::Open { stage } = self.plan.tally(&self.votes) else {
            return None;
        };
        let opened_at = self.opened_at(stage, &self.votes);
        let at = self.share_from(opened_at + self.plan.not_before, escalation);
        let asks = !self.plan.people_escalated_to(at, &self.votes).is_empty();
        (asks && self.escalated(stage).is_none()).then_some(at)
    }

    /// When the open stage was escalated, or the last one once none is open; and the people whom that asked.
    pub fn last_escalation(&self) -> Option<(Timestamp, Vec<usize>)> {
        let (at, votes) = match self.plan.tally(&self.votes) {
            Tally::Open { stage } => self.escalated(stage)?,
            Tally::Approved | Tally::Rejected => self.escalations_after_votes().last()?,
        };
        let votes = self.votes.get(..votes).unwrap_or(&self.votes);
        let mut people = self.plan.people_escalated_to(at, votes);
        people.retain(|&person| self.approvers[person].is_asked());
        Some((at, people))
    }

    /// When a stage was escalated since it opened, and the number of votes before that: after the vote that opened it, in
    /// the order of the history. The times do not tell, since they are of several clocks.
    fn escalated(&self, stage: usize) -> Option<(Timestamp, usize)> {
        let is_earlier = |vote: &Vote| vote.ballot.place.stage < stage;
        let opened_by = self.votes.iter().rposition(is_earlier);
        let opened_by = opened_by.map_or(0, |index| index + 1);
        self.escalations_after_votes()
            .find(|(_, votes)| *votes >= opened_by)
    }

    /// When stages were escalated, each with the number of votes before it.
    fn escalations_after_votes(&self) -> impl Iterator<Item = (Timestamp, usize)> {
        let mut votes = 0;
        self.history.iter().filter_map(move |event| {
            votes += usize::from(event.what.is_vote());
            (event.what == EventKind::Escalated).then_some((event.at, votes))
        })
    }

    /// When stages were escalated, in order.
    pub fn escalations(&self) -> impl Iterator<Item = Timestamp> {
        self.escalations_after_votes().map(|(at, _)| at)
    }

    /// The people whom [`Approval::escalate`] would ask at `now`; empty if it is not due.
    pub fn people_to_escalate_to(&self, now: Timestamp) -> Vec<&Approver> {
        let people = self.due_escalation(now).unwrap_or_default().into_iter();
        let people = people.map(|it| &self.approvers[it]);
        people.filter(|it| !it.is_asked()).collect()
    }

    /// Asks more people if that is due, and tells those who were asked before. Returns whether it did.
    pub fn escalate(&mut self, now: Timestamp) -> bool {
        let Some(to) = self.due_escalation(now) else {
            return false;
        };
        let is_first = self.escalations().next().is_none();
        self.log(now, EventKind::Escalated, None);
        for (person, approver) in self.seated_approvers() {
            // Those who received a seat of these people meanwhile have just been asked.
            if !(is_first && to.contains(&person)) {
                approver.tell_of_escalation(now);
            }
        }
        self.ask(&to, now);
        true
    }

    /// The people whom the escalation that is due asks; `None` if none is.
    fn due_escalation(&self, now: Timestamp) -> Option<Vec<usize>> {
        let at = self.next_escalation().filter(|at| *at <= now)?;
        let is_pending = self.status(now) == Status::Pending;
        is_pending.then(|| self.plan.people_escalated_to(at, &self.votes))
    }

    /// The people who are asked before any stage is escalated.
    pub fn people_to_ask(&self) -> Vec<&Approver> {
        let people = self.approvers.iter().enumerate();
        people
            .filter(|(person, _)| !self.plan.is_escalated_to(*person))
            .map(|(_, it)| it)
            .collect()
    }
}
