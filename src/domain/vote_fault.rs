//! Checks stored votes against the plan and the state, by the rules under which they were cast.

use super::approval::Approval;
use super::decision::{Decider, Verdict};
use super::plan::{Origin, Tally};
use super::state::State;
use super::vote::Vote;

/// Why the votes do not explain the state. Votes and hand-overs are numbered from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VoteFault {
    #[error("a vote, or a decision of the policy, without a plan")]
    NoPlan,
    #[error("an approver of the agent's choice who was never asked, or none at all")]
    NoApprover,
    #[error("the plan names a person whom the request does not have")]
    UnknownPerson,
    #[error("hand-over {0} moves no seat that there is, or to a person who was asked before")]
    HandOver(usize),
    #[error("the policy decided what people were to decide")]
    PeopleIgnored,
    #[error("vote {0} came after the votes before it had decided")]
    AfterDecision(usize),
    #[error("vote {0} is of a person who had voted")]
    SecondVote(usize),
    #[error("vote {0} counts for no ask of the open stage that names its person")]
    Misplaced(usize),
    #[error("vote {0} is of a person who had not signed in, as the plan demands")]
    NotSignedIn(usize),
    #[error("vote {0} came sooner than the plan allows")]
    TooEarly(usize),
    #[error("vote {0} has no comment, which the plan demands")]
    NoComment(usize),
    #[error("the votes do not add up to the status")]
    Tally,
    #[error("the decision is not that of the last vote")]
    LastVote,
}

impl Approval {
    /// Checks that the votes explain the state: each was cast by the rules, and together they are the decision.
    ///
    /// # Errors
    /// The first fault.
    pub fn check_votes(&self) -> Result<(), VoteFault> {
        if self
            .plan
            .people()
            .any(|person| person >= self.approvers.len())
        {
            return Err(VoteFault::UnknownPerson);
        }
        if let Some(number) = self.hand_over_fault() {
            return Err(VoteFault::HandOver(number));
        }
        let decided = self.decision().map(|decision| &decision.by);
        match (&self.plan.origin, decided) {
            (Origin::Requester, Some(Decider::Policy { .. } | Decider::Grant(_))) => {
                Err(VoteFault::NoPlan)
            }
            (Origin::Requester, _) if !self.votes.is_empty() => Err(VoteFault::NoPlan),
            (Origin::Requester, _) => {
                let mut approvers = self.approvers.iter();
                let are_asked = approvers.all(|it| it.request_delivery().is_some());
                if are_asked && !self.approvers.is_empty() {
                    Ok(())
                } else {
                    Err(VoteFault::NoApprover)
                }
            }
            (Origin::Policy(_), Some(Decider::Grant(_)))
                if !matches!(self.state, State::Approved { .. }) =>
            {
                Err(VoteFault::PeopleIgnored)
            }
            (Origin::Policy(_), Some(Decider::Policy { .. } | Decider::Grant(_))) => {
                if self.votes.is_empty() && self.plan.stages.is_empty() {
                    Ok(())
                } else {
                    Err(VoteFault::PeopleIgnored)
                }
            }
            (Origin::Policy(_), _) => {
                for index in 0..self.votes.len() {
                    self.check_vote_at(index)?;
                }
                self.check_result()
            }
        }
    }

    /// Checks a vote by those before it.
    fn check_vote_at(&self, index: usize) -> Result<(), VoteFault> {
        let (plan, number) = (&self.plan, index + 1);
        let (before, ballot) = (&self.votes[..index], &self.votes[index].ballot);
        // The first vote on a plan that could never be met ended the request.
        if index > 0 && !matches!(plan.tally(before), Tally::Open { .. }) {
            return Err(VoteFault::AfterDecision(number));
        }
        let object_id = ballot.assurance.object_id();
        let is_by_same_person = |it: &&Vote| {
            let is_same_id = object_id.is_some() && it.ballot.assurance.object_id() == object_id;
            it.ballot.person == ballot.person || is_same_id
        };
        if let Some(earlier) = before.iter().rev().find(is_by_same_person) {
            return if ballot.revokes(&earlier.ballot) {
                Ok(())
            } else {
                Err(VoteFault::SecondVote(number))
            };
        }
        if !plan.open_places(before).contains(&ballot.place) {
            return Err(VoteFault::Misplaced(number));
        }
        let seats = self.stored_seats_for(ballot.person, ballot.place, before, ballot.at);
        if !seats.contains(&ballot.seat) {
            return Err(VoteFault::Misplaced(number));
        }
        if plan.sign_in && object_id.is_none() {
            return Err(VoteFault::NotSignedIn(number));
        }
        if ballot.verdict == Verdict::Approve {
            let opened_at = self.opened_at(ballot.place.stage, before);
            if !plan.not_before.is_zero() && ballot.at < opened_at + plan.not_before {
                return Err(VoteFault::TooEarly(number));
            }
        }
        if plan.comment.applies_to(ballot.verdict) && !ballot.tells_agent() {
            return Err(VoteFault::NoComment(number));
        }
        Ok(())
    }

    /// Checks what the votes amount to.
    fn check_result(&self) -> Result<(), VoteFault> {
        let tally = self.plan.tally(&self.votes);
        let (is_explained, decision) = match &self.state {
            State::Approved { decision, .. } => (tally == Tally::Approved, Some(decision)),
            State::Rejected(decision) => (tally == Tally::Rejected, Some(decision)),
            _ => (matches!(tally, Tally::Open { .. }), None),
        };
        if !is_explained {
            return Err(VoteFault::Tally);
        }
        let Some(decision) = decision else {
            return Ok(());
        };
        let is_last = self.votes.last().is_some_and(|Vote { ballot, .. }| {
            decision.by.person() == Some(&self.approvers[ballot.person].address)
                && decision.words == ballot.words
                && decision.at == ballot.at
        });
        if is_last {
            Ok(())
        } else {
            Err(VoteFault::LastVote)
        }
    }
}
