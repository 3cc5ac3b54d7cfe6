//! Who votes in which seat. A seat is that of a person whom the plan names, and has one vote; its substitute, or the
//! person to whom it was handed over, votes in it.

use super::plan::{Plan, Substitute, ballots_of};
use super::vote::{Ballot, Place, Vote};
use crate::values::Timestamp;

/// Why a person can vote for an ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role<'a> {
    Member,
    Substitute(&'a Substitute),
    /// Asked by escalation.
    Escalated,
    /// The substitute of an absent person who is asked by escalation.
    EscalatedFor(&'a Substitute),
}

impl Plan {
    /// The person who has the seat of a person, who may have handed it over.
    pub fn holder(&self, seat: usize) -> usize {
        let hand_overs = self.hand_overs.iter();
        hand_overs.fold(seat, |it, hand_over| {
            if hand_over.from == it {
                hand_over.to
            } else {
                it
            }
        })
    }

    /// The person who had a person's seat when the request was submitted, often themselves.
    pub fn first_holder(&self, person: usize) -> usize {
        let hand_overs = self.hand_overs.iter().rev();
        hand_overs.fold(person, |it, hand_over| {
            if hand_over.to == it {
                hand_over.from
            } else {
                it
            }
        })
    }

    /// Why a person, or the one whose seat they have, can vote for an ask; `None` if they never can.
    pub fn role_of(&self, person: usize, place: Place) -> Option<Role<'_>> {
        let members = &self.ask(place).members;
        let seat = self.first_holder(person);
        if members.contains(&seat) {
            Some(Role::Member)
        } else if let Some(substitute) = self.substitute_for(members, seat) {
            Some(Role::Substitute(substitute))
        } else if self.escalated().contains(&seat) {
            Some(Role::Escalated)
        } else {
            self.substitute_for(self.escalated(), seat)
                .map(Role::EscalatedFor)
        }
    }

    /// The seat in which a person votes for an ask, often their own.
    pub(super) fn seat_of(&self, person: usize, place: Place) -> usize {
        match self.role_of(person, place) {
            Some(Role::Substitute(substitute) | Role::EscalatedFor(substitute)) => substitute.of,
            Some(Role::Member | Role::Escalated) | None => self.first_holder(person),
        }
    }

    /// Whether the absent person of a substitute is absent at `at`: they may be more than once.
    pub(super) fn is_absent(&self, substitute: &Substitute, at: Timestamp) -> bool {
        let pair = (substitute.of, substitute.by);
        let mut absences = self.substitutes.iter();
        absences.any(|it| (it.of, it.by) == pair && it.covers(at))
    }

    fn substitute_for(&self, absent: &[usize], by: usize) -> Option<&Substitute> {
        let mut substitutes = self.substitutes.iter();
        substitutes.find(|it| it.by == by && absent.contains(&it.of))
    }

    /// Whether the seat has a vote.
    pub(super) fn is_taken(&self, seat: usize, votes: &[Vote]) -> bool {
        self.has_voted(seat, &ballots_of(votes))
    }

    pub(super) fn has_voted(&self, seat: usize, ballots: &[&Ballot]) -> bool {
        let mut ballots = ballots.iter();
        ballots.any(|it| self.seat_of(it.person, it.place) == seat)
    }

    fn escalated(&self) -> &[usize] {
        self.escalation.as_ref().map_or(&[], |it| &it.to)
    }

    /// Whether a person is asked by escalation, themselves or as a substitute, or has the seat of one who is.
    pub(super) fn is_escalated_to(&self, person: usize) -> bool {
        let (escalated, seat) = (self.escalated(), self.first_holder(person));
        escalated.contains(&seat) || self.substitute_for(escalated, seat).is_some()
    }

    /// The people who are asked by an escalation at `at`, after these votes: those whose seats have none, and the
    /// substitutes of those of them who are absent then.
    pub(super) fn people_escalated_to(&self, at: Timestamp, votes: &[Vote]) -> Vec<usize> {
        let seats = self.escalated().iter().copied();
        let seats: Vec<usize> = seats.filter(|&it| !self.is_taken(it, votes)).collect();
        let substitutes = self.substitutes.iter();
        let substitutes = substitutes.filter(|it| seats.contains(&it.of) && it.covers(at));
        let people = seats.iter().copied().chain(substitutes.map(|it| it.by));
        people.map(|person| self.holder(person)).collect()
    }

    /// The seats in which an approval of an ask can be given: those of its members, and of those who are or will be
    /// asked by escalation.
    pub(super) fn seats_of(&self, place: Place) -> impl Iterator<Item = usize> {
        let members = self.ask(place).members.iter();
        members.chain(self.escalated()).copied()
    }
}
