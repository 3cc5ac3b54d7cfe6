//! Earlier rejections of what a request asks again.

use std::cmp::Reverse;
use std::time::Duration;

use super::approval::Approval;
use super::decision::{Assurance, Decider, Verdict};
use super::state::State;
use crate::values::{Address, ApprovalId, Timestamp};

/// A rejection of another request with the same content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// The request that was rejected.
    pub id: ApprovalId,
    /// The approver who rejected it.
    pub by: Address,
    /// How they were identified.
    pub assurance: Assurance,
    /// When the request was rejected: of several rejections, the time of the last one, from which on it is recent and ends
    /// standing grants.
    pub at: Timestamp,
    /// What they wrote, with the question that they asked.
    pub comment: Option<String>,
    /// Whether the operator lets the agent ask again nevertheless.
    pub is_lifted: bool,
}

/// What is known about the earlier rejections of a request's content.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EarlierRejections {
    pub known: Vec<Rejection>,
    /// Whether there may be others, which could not be read.
    pub unreadable: bool,
}

/// The most rejections that are kept of one content.
const KEPT: usize = 5;

impl Rejection {
    /// The rejection of a request, by the surest of those who rejected it; `None` if no person did.
    pub fn of(approval: &Approval) -> Option<Self> {
        let State::Rejected(decision) = &approval.state else {
            return None;
        };
        let Decider::Person { address, assurance } = &decision.by else {
            return None;
        };
        let decided = Self {
            id: approval.request.id.clone(),
            by: address.clone(),
            assurance: *assurance,
            at: decision.at,
            comment: decision.words.shown_with_question(),
            is_lifted: false,
        };
        let ballots = approval.votes.iter().map(|vote| &vote.ballot);
        let surest = ballots
            .filter(|it| it.verdict == Verdict::Reject)
            .min_by_key(|it| rank(it.assurance));
        Some(match surest {
            Some(ballot) if rank(ballot.assurance) < rank(decided.assurance) => Self {
                by: approval.approvers[ballot.person].address.clone(),
                assurance: ballot.assurance,
                comment: ballot.words.shown_with_question(),
                ..decided
            },
            _ => decided,
        })
    }

    /// Whether a rule with `reask = "refuse"` refuses what asks the same: the link alone is enough to reject, but
    /// not to silence an agent.
    pub fn refuses(&self) -> bool {
        self.assurance != Assurance::LinkOnly && !self.is_lifted
    }

    pub fn is_recent(&self, within: Duration, now: Timestamp) -> bool {
        now.since(self.at) < within
    }

    /// Joins a rejection to those that are kept: the last one of each person, those with sign-in first, then
    /// those with a code, then the newest. So a rejection by link never takes the place of a surer one, not of
    /// the same person either. `None` if it is among them already.
    pub fn join(kept: &[Self], new: Self) -> Option<Vec<Self>> {
        let is_like =
            |it: &&Self| it.by.is_same_name(&new.by) && rank(it.assurance) == rank(new.assurance);
        if kept.iter().filter(is_like).any(|it| it.at >= new.at) {
            return None;
        }
        let others = kept.iter().filter(|it| !is_like(it)).cloned();
        let mut joined: Vec<Self> = others.collect();
        joined.push(new);
        joined.sort_by_key(|it| (rank(it.assurance), Reverse(it.at)));
        joined.truncate(KEPT);
        Some(joined)
    }
}

/// The surest first.
fn rank(assurance: Assurance) -> u8 {
    match assurance {
        Assurance::Entra(_) => 0,
        Assurance::Link => 1,
        Assurance::LinkOnly => 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rejection(by: &str, assurance: Assurance, second: i64) -> Rejection {
        Rejection {
            id: ApprovalId::new("Agent", &format!("r{second}")).unwrap(),
            by: Address::from_known(by).unwrap(),
            assurance,
            at: Timestamp::from_unix_millis(second * 1_000).unwrap(),
            comment: None,
            is_lifted: false,
        }
    }

    fn seconds(kept: &[Rejection]) -> Vec<i64> {
        kept.iter().map(|it| it.at.unix_seconds()).collect()
    }

    #[test]
    fn the_last_rejection_of_each_person_is_kept_and_those_with_sign_in_the_longest() {
        let member = Assurance::from_word("Entra", Some(uuid::Uuid::nil())).unwrap();
        let join = |kept: &[Rejection], by: &str, assurance, second| {
            Rejection::join(kept, rejection(by, assurance, second))
        };
        let kept = join(&[], "alice@example.com", member, 1).unwrap();
        // Neither a stolen link nor other mailboxes displace it.
        let kept = join(&kept, "alice+x@example.com", Assurance::Link, 2).unwrap();
        assert_eq!(seconds(&kept), [1, 2]);
        let mut kept = join(&kept, "Alice@example.com", Assurance::Link, 3).unwrap();
        assert_eq!(seconds(&kept), [1, 3]);
        for second in 4..10 {
            let by = format!("m{second}@example.com");
            kept = join(&kept, &by, Assurance::Link, second).unwrap();
        }
        assert_eq!(seconds(&kept), [1, 9, 8, 7, 6]);
        // Nor does one by link alone displace one with a code.
        let coded = join(&[], "bob@example.com", Assurance::Link, 1).unwrap();
        let both = join(&coded, "bob@example.com", Assurance::LinkOnly, 2).unwrap();
        assert_eq!(seconds(&both), [1, 2]);
        // A rejection that is recorded again changes nothing.
        assert_eq!(join(&kept, "m9@example.com", Assurance::Link, 9), None);
        assert_eq!(join(&kept, "m9@example.com", Assurance::Link, 2), None);
    }
}
