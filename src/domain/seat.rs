//! Who votes in which seat. A seat is that of a person whom the plan names, and has one vote; its substitute, or the
//! person to whom it was handed over, votes in it.

use super::plan::{Plan, Substitute};
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

    /// Why a person voted for an ask; `None` if it is not one of theirs.
    pub fn role_of(&self, ballot: &Ballot) -> Option<Role<'_>> {
        let mut roles = self.roles_of(ballot.person, ballot.place);
        let (_, role) = roles.find(|(seat, _)| *seat == ballot.seat)?;
        Some(role)
    }

    /// The seats in which a person, or the one whose seat they have, can vote for an ask, and why; none if they never
    /// can. More than one are those of people whom they substitute.
    pub(super) fn roles_of(
        &self,
        person: usize,
        place: Place,
    ) -> impl Iterator<Item = (usize, Role<'_>)> {
        let (members, escalated) = (&self.ask(place).members, self.escalated());
        let own = self.first_holder(person);
        let has_own = move |seats: &[usize]| seats.contains(&own);
        let member = has_own(members).then_some((own, Role::Member));
        let asked = has_own(escalated).then_some((own, Role::Escalated));
        let substitute = |absent| self.substitutes_for(absent, own);
        let substituted = substitute(members).map(|it| (it.of, Role::Substitute(it)));
        let asked_for = substitute(escalated).map(|it| (it.of, Role::EscalatedFor(it)));
        let roles = member.into_iter().chain(substituted);
        roles.chain(asked).chain(asked_for)
    }

    /// Those in whose seats a person can vote: the first holder of their own, and whom that one substitutes.
    pub fn seats_held_by(&self, person: usize) -> impl Iterator<Item = usize> {
        let own = self.first_holder(person);
        let substituted = self.substitutes.iter().filter(move |it| it.by == own);
        [own].into_iter().chain(substituted.map(|it| it.of))
    }

    fn substitutes_for<'a>(
        &'a self,
        absent: &'a [usize],
        by: usize,
    ) -> impl Iterator<Item = &'a Substitute> {
        let substitutes = self.substitutes.iter();
        substitutes.filter(move |it| it.by == by && absent.contains(&it.of))
    }

    fn escalated(&self) -> &[usize] {
        self.escalation.as_ref().map_or(&[], |it| &it.to)
    }

    /// Whether a person is asked by escalation alone, themselves or as a substitute, or has the seat of one who is.
    pub(super) fn is_escalated_to(&self, person: usize) -> bool {
        let (escalated, seat) = (self.escalated(), self.first_holder(person));
        let mut substituted = self
            .substitutes
            .iter()
            .filter(|it| it.by == seat)
            .peekable();
        let is_substitute = substituted.peek().is_some();
        escalated.contains(&seat)
            || is_substitute && substituted.all(|it| escalated.contains(&it.of))
    }

    /// The people who are asked by an escalation at `at`, after these votes: those whose seats have none, and the
    /// substitutes of those of them who are absent then; each once.
    pub(super) fn people_escalated_to(&self, at: Timestamp, votes: &[Vote]) -> Vec<usize> {
        let seats = self.escalated().iter().copied();
        let seats: Vec<usize> = seats.filter(|&it| !is_taken(it, votes)).collect();
        let substitutes = self.substitutes.iter();
        let substitutes = substitutes.filter(|it| seats.contains(&it.of) && it.covers(at));
        let substitutes = substitutes.map(|it| it.by);
        let mut people = Vec::new();
        for person in seats.iter().copied().chain(substitutes) {
            let person = self.holder(person);
            let has_voted = votes.iter().any(|it| it.ballot.person == person);
            if !has_voted && !people.contains(&person) {
                people.push(person);
            }
        }
        people
    }

    /// The seats in which an approval of an ask can be given: those of its members, and of those who are or will be
    /// asked by escalation.
    pub(super) fn seats_of(&self, place: Place) -> impl Iterator<Item = usize> {
        let members = self.ask(place).members.iter();
        members.chain(self.escalated()).copied()
    }
}

/// Whether the seat has a vote.
pub(super) fn is_taken(seat: usize, votes: &[Vote]) -> bool {
    votes.iter().any(|vote| vote.ballot.seat == seat)
}
