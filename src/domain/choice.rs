//! What people chose on a request, whether their votes are stored one by one or the decision is the one vote.

use super::approval::Approval;
use super::decision::Verdict;
use crate::values::Timestamp;

/// What a person chose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Choice {
    /// The index of the approver.
    pub person: usize,
    pub verdict: Verdict,
    pub at: Timestamp,
}

impl Approval {
    /// What people chose, in order; the last one of a person counts.
    pub fn choices(&self) -> Vec<Choice> {
        if self.plan.keeps_votes() {
            let ballots = self.votes.iter().map(|vote| &vote.ballot);
            let choices = ballots.map(|ballot| Choice {
                person: ballot.person,
                verdict: ballot.verdict,
                at: ballot.at,
            });
            return choices.collect();
        }
        let choice = || {
            let decision = self.decision()?;
            let by = decision.by.person()?;
            let person = self.approvers.iter().position(|it| it.address == *by)?;
            Some(Choice {
                person,
                verdict: self.verdict()?,
                at: decision.at,
            })
        };
        choice().into_iter().collect()
    }
}
