//! Who votes in which seat. A seat is that of a person whom the plan names, and has one vote; its substitute, or the
//! person to whom it was handed over, votes in it.

use super::plan::{Plan, Substitute, ballots_of};
use super::vote::{Ballot, Place, Vote};

/// Why a person can vote for an ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role<'a> {
    Member,
    Substitute(&'a Substitute),
    /// Asked by escalation.
    Escalated,
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

    /// Why a person, or the one whose seat they have, can vote for an ask.
    pub fn role_of(&self, person: usize, place: Place) -> Role<'_> {
        let members = &self.ask(place).members;
        let person = self.first_holder(person);
        let mut substitutes = self.substitutes.iter();
        match substitutes.find(|it| it.by == person && members.contains(&it.of)) {
            _ if members.contains(&person) => Role::Member,
            Some(substitute) => Role::Substitute(substitute),
            None => Role::Escalated,
        }
    }

    /// The seat in which a person votes for an ask, often their own.
    pub(super) fn seat_of(&self, person: usize, place: Place) -> usize {
        match self.role_of(person, place) {
            Role::Substitute(substitute) => substitute.of,
            Role::Member | Role::Escalated => self.first_holder(person),
        }
    }

    /// Whether the seat has a vote.
    pub(super) fn is_taken(&self, seat: usize, votes: &[Vote]) -> bool {
        self.has_voted(seat, &ballots_of(votes))
    }

    pub(super) fn has_voted(&self, seat: usize, ballots: &[&Ballot]) -> bool {
        let mut ballots = ballots.iter();
        ballots.any(|it| self.seat_of(it.person, it.place) == seat)
    }

    /// Whether a person is asked by escalation, or has the seat of one who is.
    pub(super) fn is_escalated_to(&self, person: usize) -> bool {
        let escalation = self.escalation.as_ref();
        escalation.is_some_and(|it| it.to.contains(&self.first_holder(person)))
    }

    /// The seats in which an approval of an ask can be given: those of its members, and of those who are or will be
    /// asked by escalation.
    pub(super) fn seats_of(&self, place: Place) -> impl Iterator<Item = usize> {
        let escalated = self.escalation.iter().flat_map(|it| &it.to);
        self.ask(place).members.iter().chain(escalated).copied()
    }
}
