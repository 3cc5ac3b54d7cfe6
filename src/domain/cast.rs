//! Casting a vote, and what it decides.

use std::time::Duration;

use super::approval::Approval;
use super::decision::{Assurance, Decider, Proposal, Verdict};
use super::form::CheckedForm;
use super::history::EventKind;
use super::plan::{Tally, ballots_of, counted};
use super::state::Status;
use super::vote::{Ballot, Vote};
use crate::values::Timestamp;

impl Approval {
    /// Whether this person, by any of their addresses, has voted; and how.
    pub(super) fn vote_of(&self, form: &CheckedForm) -> Option<&Vote> {
        let object_id = form.assurance.object_id();
        let is_own = |vote: &&Vote| {
            let is_same_id = vote.ballot.assurance.object_id() == object_id;
            vote.ballot.person == form.approver || (object_id.is_some() && is_same_id)
        };
        self.votes.iter().rev().find(is_own)
    }

    /// Whether this person has voted as another approver.
    pub(super) fn has_voted_as_another(&self, form: &CheckedForm) -> bool {
        let mut votes = self.votes.iter();
        votes.any(|vote| form.aliases.contains(&vote.ballot.person))
    }

    /// The last ballot of the approver at `index`.
    pub(super) fn ballot_of(&self, index: usize) -> Option<&Ballot> {
        let mut ballots = self.votes.iter().rev().map(|vote| &vote.ballot);
        ballots.find(|it| it.person == index)
    }

    /// Whether a vote of this approver would count now.
    pub fn can_vote(&self, index: usize, now: Timestamp) -> bool {
        self.status(now) == Status::Pending && self.place_of(index, now).is_some()
    }

    /// Whether a rejection by the approver at `index`, or the revocation of their approval, rejects the request.
    pub fn is_rejected_by(&self, index: usize, now: Timestamp) -> bool {
        self.tally_with(index, Verdict::Reject, now) == Some(Tally::Rejected)
    }

    /// Whether an approval by the approver at `index` is the last that the request lacks.
    pub fn is_approved_by(&self, index: usize, now: Timestamp) -> bool {
        self.tally_with(index, Verdict::Approve, now) == Some(Tally::Approved)
    }

    /// What the votes amount to with one more, of the approver at `index`; `None` if they have no place.
    fn tally_with(&self, index: usize, verdict: Verdict, now: Timestamp) -> Option<Tally> {
        let own = self.ballot_of(index).map(|it| (it.place, it.seat));
        let position = own.or_else(|| self.place_of(index, now))?;
        let ballot = Ballot::bare(index, position, verdict, now);
        Some(self.tally_after(&self.votes, &ballot))
    }

    fn tally_after(&self, votes: &[Vote], ballot: &Ballot) -> Tally {
        let mut ballots = ballots_of(votes);
        ballots.push(ballot);
        self.plan.tally_ballots(&ballots)
    }

    /// Whether a person who saw the first `shown` votes must see the others before this approval of theirs counts:
    /// someone has rejected since, or it has come to be the last one that its stage lacks.
    pub(super) fn is_outdated(&self, approval: &Ballot, shown: usize) -> bool {
        let Some((seen, since)) = self.votes.split_at_checked(shown) else {
            return true;
        };
        let mut since = since.iter().map(|vote| vote.ballot.verdict);
        since.any(|it| it == Verdict::Reject)
            || self.tally_after(seen, approval) != self.tally_after(&self.votes, approval)
    }

    /// How many approvals all stages lack.
    pub fn missing_votes(&self) -> usize {
        let stages = 0..self.plan.stages.len();
        let asks = stages.flat_map(|stage| self.plan.asks_of(stage, &self.votes));
        let missing = asks.map(|(ask, given)| usize::from(ask.needed.get()).saturating_sub(given));
        missing.sum()
    }

    /// The votes to approve that count: those that were not taken back.
    pub fn approving_ballots(&self) -> impl Iterator<Item = &Ballot> {
        let ballots = counted(&self.votes).into_iter();
        ballots.filter(|ballot| ballot.verdict == Verdict::Approve)
    }

    /// What a ballot decides, together with the votes so far; `None` while votes are missing.
    pub fn proposal(&self, ballot: &Ballot, run_within: Duration) -> Option<Proposal> {
        let run_by = match self.tally_after(&self.votes, ballot) {
            Tally::Open { .. } => return None,
            Tally::Rejected => None,
            Tally::Approved => Some(ballot.at + self.plan.run_within.unwrap_or(run_within)),
        };
        // An approval is as sure as the least sure of its votes.
        let mut approvals = self.approving_ballots().chain([ballot]);
        let by_link = approvals.any(|it| it.assurance == Assurance::Link);
        let assurance = if run_by.is_some() && by_link {
            Assurance::Link
        } else {
            ballot.assurance
        };
        Some(Proposal {
            by: Decider::Person {
                address: self.approvers[ballot.person].address.clone(),
                assurance,
            },
            words: ballot.words.clone(),
            at: ballot.at,
            run_by,
        })
    }

    /// Records a vote with its signed record. Asks the people of the next stage if it opens that; and those again whose
    /// vote was not needed before it, as after a vote that is taken back.
    pub fn record_vote(&mut self, ballot: Ballot, receipt: String) {
        let now = ballot.at;
        let before = self.plan.tally(&self.votes);
        let were_needed = self.people_needed(now);
        let by = self.approvers[ballot.person].address.clone();
        let what = match ballot.verdict {
            Verdict::Approve => EventKind::VotedToApprove,
            Verdict::Reject => EventKind::VotedToReject,
        };
        self.votes.push(Vote { ballot, receipt });
        self.log(now, what, Some(by));
        if let (Tally::Open { stage: before }, Tally::Open { stage }) =
            (before, self.plan.tally(&self.votes))
        {
            let are_needed = self.people_needed(now);
            for (person, is_needed) in are_needed.iter().enumerate() {
                if !is_needed {
                    self.approvers[person].drop_reminders(now);
                } else if !were_needed[person] {
                    self.ask_again(person, now);
                }
            }
            if stage != before {
                self.open_stage(stage, now);
            }
        }
    }

    /// Whether the open stage needs the vote of each person.
    fn people_needed(&self, now: Timestamp) -> Vec<bool> {
        let people = 0..self.approvers.len();
        let needed = people.map(|person| self.place_of(person, now).is_some());
        needed.collect()
    }
}
