//! For which ask a person votes at a time, and in which seat.

use std::time::Duration;

use super::approval::Approval;
use super::plan::Tally;
use super::seat::{Role, is_taken};
use super::state::Status;
use super::vote::{Ballot, Place, Vote};
use crate::values::Timestamp;

impl Approval {
    /// The ask for which a vote of this person would count at `now`, and the seat in which it is cast: of the unmet asks
    /// of the open stage that await them, the first that they can approve so that the plan can still be met. `None` too
    /// for a person without whom a later stage cannot be met: they vote there.
    pub(super) fn place_of(&self, person: usize, now: Timestamp) -> Option<(Place, usize)> {
        let awaiting = self.awaiting(person, now);
        awaiting.into_iter().find(|it| self.keeps_open(*it))
    }

    /// As [`Approval::place_of`]; of several such asks the first under which the plan can be met without further votes of
    /// `lost` people.
    pub(super) fn place_without(
        &self,
        lost: &[usize],
        person: usize,
        now: Timestamp,
    ) -> Option<(Place, usize)> {
        let mut open = self.awaiting(person, now);
        open.retain(|it| self.keeps_open(*it));
        let can_be_met = |&(place, seat): &(Place, usize)| {
            self.plan.can_be_met_after(&self.votes, place, seat, lost)
        };
        let first = open.iter().find(|it| can_be_met(it));
        let (place, _) = *first.or_else(|| open.first())?;
        open.into_iter().find(|it| it.0 == place)
    }

    /// The people whose vote an unmet ask of the open stage awaits at `now`.
    pub fn voters_of(&self, place: Place, now: Timestamp) -> Vec<usize> {
        let people = 0..self.approvers.len();
        let is_voter = |person: &usize| {
            let mut awaiting = self.awaiting(*person, now).into_iter();
            awaiting.any(|it| it.0 == place && self.keeps_open(it))
        };
        people.filter(is_voter).collect()
    }

    fn keeps_open(&self, (place, seat): (Place, usize)) -> bool {
        self.plan.can_be_met_after(&self.votes, place, seat, &[])
    }

    /// The unmet asks of the open stage for which a person may vote at `now`, and the seats without a vote in which they do.
    fn awaiting(&self, person: usize, now: Timestamp) -> Vec<(Place, usize)> {
        let places = self.plan.open_places(&self.votes).into_iter();
        let seats = places.flat_map(|place| {
            let seats = self.seats_for(person, place, &self.votes, now, self.plan.not_before);
            seats.into_iter().map(move |seat| (place, seat))
        });
        seats.collect()
    }

    /// The seats in which a vote for an ask counts that was stored at `at`, after the votes `before`. Gates of earlier
    /// versions counted the share of an escalation from the opening of the stage also where `not_before` is set.
    pub(super) fn stored_seats_for(
        &self,
        person: usize,
        place: Place,
        before: &[Vote],
        at: Timestamp,
    ) -> Vec<usize> {
        let not_before = self.plan.not_before;
        let mut seats = self.seats_for(person, place, before, at, not_before);
        if !not_before.is_zero() {
            let mut earlier = self.seats_for(person, place, before, at, Duration::ZERO);
            earlier.retain(|it| !seats.contains(it));
            seats.append(&mut earlier);
        }
        seats
    }

    /// The seats without a vote in which a person may vote for an ask at `at`, after the votes `before`. The share of an
    /// escalation counts from so long after the opening of the stage.
    fn seats_for(
        &self,
        person: usize,
        place: Place,
        before: &[Vote],
        at: Timestamp,
        counted_from: Duration,
    ) -> Vec<usize> {
        let has_voted = before.iter().any(|vote| vote.ballot.person == person);
        if has_voted || self.plan.hand_over_by(person).is_some() {
            return Vec::new();
        }
        let opened_at = self.opened_at(place.stage, before);
        let escalation = self.plan.escalation.as_ref();
        let escalated_at = escalation.map(|it| self.share_from(opened_at + counted_from, it));
        let escalated_at = escalated_at.filter(|it| at >= *it);
        let may_vote = |role: Role<'_>| match role {
            Role::Member => true,
            Role::Substitute(substitute) => substitute.covers(opened_at),
            Role::Escalated => escalated_at.is_some(),
            Role::EscalatedFor(substitute) => escalated_at.is_some_and(|it| substitute.covers(it)),
        };
        let roles = self.plan.roles_of(person, place);
        let open = roles.filter(|(seat, role)| may_vote(*role) && !is_taken(*seat, before));
        open.map(|(seat, _)| seat).collect()
    }

    /// Finds the seats of stored votes, in order, as they were found when they were cast.
    pub fn seat_votes(&mut self) {
        for index in 0..self.votes.len() {
            let (before, ballot) = (&self.votes[..index], &self.votes[index].ballot);
            self.votes[index].ballot.seat = self.seat_after(before, ballot);
        }
    }

    fn seat_after(&self, before: &[Vote], ballot: &Ballot) -> usize {
        let (person, place) = (ballot.person, ballot.place);
        let mut earlier = before.iter().map(|vote| &vote.ballot);
        if let Some(earlier) = earlier.find(|it| it.person == person) {
            return earlier.seat;
        }
        let stage = self.plan.stages.get(place.stage);
        if stage.is_none_or(|it| place.ask >= it.asks.len()) {
            return person;
        }
        let seats = self
            .stored_seats_for(person, place, before, ballot.at)
            .into_iter();
        let mut best = seats.clone();
        let best = best.find(|&seat| self.plan.can_be_met_after(before, place, seat, &[]));
        let named = || self.plan.roles_of(person, place).map(|(seat, _)| seat);
        best.or_else(|| seats.clone().next())
            .or_else(|| named().next())
            .unwrap_or(person)
    }

    /// When a stage was opened: at the submit, or by the last of these votes that is for a stage before it.
    pub(super) fn opened_at(&self, stage: usize, votes: &[Vote]) -> Timestamp {
        let earlier = votes.iter().map(|vote| &vote.ballot);
        let earlier = earlier.filter(|ballot| ballot.place.stage < stage);
        let last = earlier.map(|ballot| ballot.at).max();
        last.unwrap_or(self.request.requested_at)
    }

    /// When the open stage of a pending request can be approved, while that is ahead.
    pub fn approvable_from(&self, now: Timestamp) -> Option<Timestamp> {
        match self.plan.tally(&self.votes) {
            Tally::Open { stage } if self.status(now) == Status::Pending => {
                self.held_back_until(stage, now)
            }
            _ => None,
        }
    }

    /// Until when a stage takes no approval, while that is ahead.
    pub(super) fn held_back_until(&self, stage: usize, now: Timestamp) -> Option<Timestamp> {
        let until = self.opened_at(stage, &self.votes) + self.plan.not_before;
        // This clock may be behind the one that opened the stage.
        let is_held_back = !self.plan.not_before.is_zero() && now < until;
        is_held_back.then_some(until)
    }
}
