//! Handing a seat over: a person who has not voted names another one, who was not asked before and votes instead. No two
//! people come to share a vote, and the seat never comes back.

use super::approval::Approval;
use super::approver::Approver;
use super::form::{CheckedForm, DecisionResult};
use super::history::EventKind;
use super::plan::{HandOver, Plan, counted};
use super::seat::{Role, is_taken};
use super::state::Status;
use super::vote::Place;
use crate::policy::MAX_PEOPLE;
use crate::values::{Address, Timestamp};

/// What a form asks for that hands a seat over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HandOverWish {
    /// The receiver; `None` if none was chosen.
    pub to: Option<Address>,
    /// Empty if nothing was typed.
    pub reason: String,
}

/// The next step for a form that hands a seat over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HandOverStep {
    /// The seat goes to this address: make an approver of it and [`Approval::record_hand_over`] that.
    Record(Address),
    /// Nothing remains to be done.
    Done(DecisionResult),
}

impl Approval {
    /// Applies the rules to a form that hands a seat over, as long as the request is pending and the seat has no vote.
    /// `candidates` are the people who may receive it as far as the operator says; those who are in the plan, and the
    /// person for whom the agent acts, are refused all the same.
    pub fn judge_hand_over(
        &mut self,
        form: &CheckedForm,
        wish: &HandOverWish,
        candidates: &[Address],
        now: Timestamp,
    ) -> HandOverStep {
        match self.check_hand_over(form, wish, candidates, now) {
            Ok(receiver) => HandOverStep::Record(receiver),
            Err(result) => HandOverStep::Done(result),
        }
    }

    fn check_hand_over(
        &mut self,
        form: &CheckedForm,
        wish: &HandOverWish,
        candidates: &[Address],
        now: Timestamp,
    ) -> Result<Address, DecisionResult> {
        if !form.has_valid_token {
            return Err(DecisionResult::InvalidForm);
        }
        if let Some(done) = self.plan.hand_over_by(form.approver) {
            let is_same = wish.to.as_ref() == Some(&self.approvers[done.to].address);
            return Err(if is_same {
                DecisionResult::HandedOver
            } else {
                DecisionResult::SeatGone
            });
        }
        if self.status(now) != Status::Pending {
            return Err(DecisionResult::AlreadyClosed);
        }
        if self.vote_of(form).is_some() || self.has_voted_as_another(form) {
            return Err(DecisionResult::AlreadyVoted);
        }
        if !self.has_seat_to_vote_in(form.approver) {
            return Err(DecisionResult::NotNeeded);
        }
        if self.plan.sign_in && form.assurance.object_id().is_none() {
            return Err(DecisionResult::SignInNeeded);
        }
        if self.approvers.len() >= MAX_PEOPLE {
            return Err(DecisionResult::TooManyPeople);
        }
        let receiver = wish.to.as_ref().ok_or(DecisionResult::ReceiverMissing)?;
        if !candidates.contains(receiver) || !self.may_receive(receiver) {
            return Err(DecisionResult::ReceiverRefused);
        }
        if wish.reason.trim().is_empty() {
            return Err(DecisionResult::HandOverReasonMissing);
        }
        if wish.reason.chars().count() > HandOver::REASON_CHARS {
            return Err(DecisionResult::HandOverReasonTooLong);
        }
        form.sign_in.map_err(DecisionResult::SignInRefused)?;
        let approver = &mut self.approvers[form.approver];
        form.verify_code(&mut approver.wrong_hand_over_codes)?;
        Ok(receiver.clone())
    }

    /// Whether this person can hand their seat over at `now`.
    pub fn can_hand_over(&self, person: usize, now: Timestamp) -> bool {
        self.status(now) == Status::Pending
            && self.approvers.len() < MAX_PEOPLE
            && self.plan.hand_over_by(person).is_none()
            && self.has_seat_to_vote_in(person)
    }

    /// Whether an unmet ask, of the open stage or of a later one, can take a vote from this person's seat.
    fn has_seat_to_vote_in(&self, person: usize) -> bool {
        let ballots = counted(&self.votes);
        let has_voted = self.ballot_of(person).is_some();
        let seats = self.plan.unmet(&ballots);
        let mut seats = seats.flat_map(|place| self.plan.roles_of(person, place));
        !has_voted && seats.any(|(seat, _)| !is_taken(seat, &self.votes))
    }

    /// Whether no approver, and not the person for whom the agent acts, has an address of this name.
    fn may_receive(&self, address: &Address) -> bool {
        let approvers = self.approvers.iter().map(|it| &it.address);
        let mut excluded = approvers.chain(&self.request.on_behalf_of);
        !excluded.any(|it| it.is_same_name(address))
    }

    /// Records that `from` handed their seat to a new approver, who is asked at once if a vote in it is needed now.
    pub fn record_hand_over(
        &mut self,
        from: usize,
        receiver: Approver,
        reason: String,
        now: Timestamp,
    ) {
        let to = self.approvers.len();
        self.approvers.push(receiver);
        let at = now;
        self.plan.hand_overs.push(HandOver {
            from,
            to,
            reason,
            at,
        });
        let giver = &mut self.approvers[from];
        giver.drop_requests(now);
        let by = giver.address.clone();
        self.log(now, EventKind::HandedOver, Some(by));
        if self.can_vote(to, now) {
            self.ask(&[to], now);
        }
    }

    /// Whether the stored hand-overs are possible: each moves a seat that its giver had, to a new person, and the giver
    /// has no vote.
    pub(super) fn hand_over_fault(&self) -> Option<usize> {
        let hand_overs = &self.plan.hand_overs;
        let first = self.approvers.len().checked_sub(hand_overs.len());
        let is_possible = |index: usize, it: &HandOver| {
            let is_new = first.is_some_and(|first| it.to == first + index) && it.from < it.to;
            let length = it.reason.chars().count();
            let others = || self.approvers.iter().take(it.to);
            let is_first = !hand_overs[..index]
                .iter()
                .any(|other| other.from == it.from);
            is_new
                && is_first
                && (1..=HandOver::REASON_CHARS).contains(&length)
                && it.at < self.request.expires_at
                && !others().any(|other| {
                    let receiver = &self.approvers[it.to].address;
                    other.address.is_same_name(receiver)
                })
                && !self.votes.iter().any(|vote| vote.ballot.person == it.from)
        };
        let mut numbered = hand_overs.iter().enumerate();
        let fault = numbered.find(|(index, it)| !is_possible(*index, it));
        fault.map(|(index, _)| index + 1)
    }

    /// The hand-overs through which people who voted or decided came to their seats, in order.
    pub fn hand_overs_to(&self, voters: &[usize]) -> Vec<&HandOver> {
        let mut holders = voters.to_vec();
        let mut found: Vec<&HandOver> = Vec::new();
        for hand_over in self.plan.hand_overs.iter().rev() {
            if holders.contains(&hand_over.to) {
                holders.push(hand_over.from);
                found.push(hand_over);
            }
        }
        found.reverse();
        found
    }
}

impl Plan {
    /// The hand-over by which a person gave their seat away.
    pub fn hand_over_by(&self, person: usize) -> Option<&HandOver> {
        self.hand_overs.iter().find(|it| it.from == person)
    }

    /// The groups of the asks to which a person's seat belongs, and those asked by escalation if it is one of theirs.
    pub fn groups_of(&self, person: usize) -> Vec<&str> {
        let mut groups = Vec::new();
        for (stage, it) in self.stages.iter().enumerate() {
            for (ask, it) in it.asks.iter().enumerate() {
                let mut roles = self.roles_of(person, Place { stage, ask });
                if roles.any(|(_, role)| matches!(role, Role::Member | Role::Substitute(_))) {
                    groups.push(it.from.as_str());
                }
            }
        }
        if self.is_escalated_to(person) {
            let escalation = self.escalation.iter();
            groups.extend(escalation.flat_map(|it| it.from.iter().map(String::as_str)));
        }
        groups
    }
}
