//! What the votes of a request amount to, derived anew from the rules that the organisation wants: two of finance,
//! then one of security, each another person. Nothing here uses the rules of `src/domain/`, or the plan as stored.

use human_oversight::domain::{Approval, DeliveryState, State, Verdict, Vote};
use human_oversight::values::{Address, Timestamp};
use serde_json::Value;

use crate::harness::Mail;

pub(super) const ONCE: &str = "a person votes once";
pub(super) const IN_TURN: &str = "a vote counts for the stage that is open";
pub(super) const QUORUM: &str = "only all approvals approve";
pub(super) const VETO: &str = "enough rejections reject, and nothing else";
pub(super) const APPENDED: &str = "votes are never changed";
pub(super) const CLOSED: &str = "no vote is added after the end";
pub(super) const ASKED: &str = "the people of a stage are asked when it opens";

/// The people of each stage, and the approvals that it needs.
const STAGES: [(&[&str], usize); 2] = [
    (
        &["alice@example.com", "bob@example.com", "dave@example.com"],
        2,
    ),
    (
        &["carol@example.com", "dave@example.com", "erin@example.com"],
        1,
    ),
];

/// What a run counted.
#[derive(Clone, Copy, Default)]
pub(super) struct Figures {
    votes: u64,
    second_stages: u64,
    /// The emails of a second stage that took a second attempt: the process of the first had crashed.
    emails_by_the_sweep: u64,
}

/// What was seen of a request's votes.
#[derive(Default)]
pub(super) struct SeenVotes {
    votes: Vec<Vote>,
    is_closed: bool,
    second_stage: bool,
}

/// The votes so far.
#[derive(Default)]
struct Tally {
    approvals: Vec<(String, usize)>,
    rejections: Vec<String>,
    /// The last stage that was opened.
    opened: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Result {
    Open(usize),
    Approved,
    Rejected,
}

impl Figures {
    pub(super) fn counts(self) -> [(&'static str, u64); 3] {
        [
            ("votes", self.votes),
            ("second stages", self.second_stages),
            ("emails by the sweep", self.emails_by_the_sweep),
        ]
    }
}

impl SeenVotes {
    /// Checks the votes of a row, and what it makes of them.
    pub(super) fn check(&mut self, row: &Approval) {
        assert!(row.votes.starts_with(&self.votes), "{APPENDED}: {row:?}");
        let is_added = row.votes.len() > self.votes.len();
        assert!(!(is_added && self.is_closed), "{CLOSED}: {row:?}");
        self.votes.clone_from(&row.votes);
        self.is_closed = row.state != State::Pending;
        let tally = Tally::of(row);
        self.second_stage = tally.opened > 0;
        let result = tally.result(row);
        match row.state {
            State::Approved { .. } => assert_eq!(result, Result::Approved, "{QUORUM}: {row:?}"),
            State::Rejected(_) => assert_eq!(result, Result::Rejected, "{VETO}: {row:?}"),
            _ => assert!(matches!(result, Result::Open(_)), "{VETO}: {row:?}"),
        }
        for approver in &row.approvers {
            let is_asked = approver.request_delivery().is_some();
            let is_due = is_of_stages(&approver.address, tally.opened);
            assert_eq!(is_asked, is_due, "{ASKED}: {row:?}");
        }
        if let Some(late) = &row.late {
            let has_voted = |vote: &Vote| row.approvers[vote.ballot.person].address == late.by;
            assert!(!row.votes.iter().any(has_voted), "{ONCE}: {row:?}");
        }
    }

    pub(super) fn figures(&self, emails_by_the_sweep: u64) -> Figures {
        Figures {
            votes: self.votes.len() as u64,
            second_stages: self.second_stage.into(),
            emails_by_the_sweep,
        }
    }
}

/// Checks the emails of a request some time after the last fault: the people of the open stage have theirs, and
/// no one of a later stage. Returns how many of a second stage took a second attempt.
pub(super) fn check_mails(row: &Approval, mails: &[Mail], now: Timestamp) -> u64 {
    let tally = Tally::of(row);
    let is_pending = row.state == State::Pending && now < row.request.expires_at;
    let mut by_the_sweep = 0;
    for (index, approver) in row.approvers.iter().enumerate() {
        let address = approver.address.to_string();
        let has_email = mails
            .iter()
            .any(|it| it.to == address && it.answers.is_none());
        let is_due = is_of_stages(&approver.address, tally.opened);
        assert!(is_due || !has_email, "{ASKED}, not before: {row:?}");
        let is_of_first = is_of_stages(&approver.address, 0);
        let delivery = approver.request_delivery();
        let attempts = delivery.map_or(0, |it| it.attempts);
        let is_sent = delivery.is_some_and(|it| matches!(it.state, DeliveryState::Sent(_)));
        by_the_sweep += u64::from(!is_of_first && is_sent && attempts > 1);
        let has_voted = row.votes.iter().any(|vote| vote.ballot.person == index);
        if is_pending && is_due && !has_voted {
            assert!(
                has_email && is_sent,
                "{ASKED}, at the latest by the sweep: {row:?}"
            );
        }
    }
    by_the_sweep
}

impl Tally {
    /// Adds the votes of a row one by one, and checks each.
    fn of(row: &Approval) -> Self {
        let mut tally = Self::default();
        for vote in &row.votes {
            let Result::Open(open) = tally.result(row) else {
                panic!("{CLOSED}: {row:?}");
            };
            let address = &row.approvers[vote.ballot.person].address;
            let (person, verdict) = (person(address), vote.ballot.verdict);
            assert!(!tally.rejections.contains(&person), "{ONCE}: {row:?}");
            let approvals = tally.approvals.len();
            tally.approvals.retain(|(it, _)| *it != person);
            let is_revoked = tally.approvals.len() < approvals;
            // A person who has approved can only take that back.
            assert!(!is_revoked || verdict == Verdict::Reject, "{ONCE}: {row:?}");
            let is_in_turn = is_revoked || STAGES[open].0.contains(&person.as_str());
            assert!(is_in_turn, "{IN_TURN}: {row:?}");
            match verdict {
                Verdict::Approve => tally.approvals.push((person, open)),
                Verdict::Reject => tally.rejections.push(person),
            }
            if let Result::Open(stage) = tally.result(row) {
                tally.opened = tally.opened.max(stage);
            }
        }
        tally
    }

    fn result(&self, row: &Approval) -> Result {
        if self.rejections.len() >= rejections(row) || !self.can_be_met() {
            return Result::Rejected;
        }
        let open = (0..STAGES.len()).find(|&stage| self.missing(stage) > 0);
        open.map_or(Result::Approved, Result::Open)
    }

    fn missing(&self, stage: usize) -> usize {
        let given = self.approvals.iter().filter(|(_, it)| *it == stage);
        STAGES[stage].1.saturating_sub(given.count())
    }

    /// Whether the people who have not voted are enough. Dave, who is in both groups, is needed in one at most.
    fn can_be_met(&self) -> bool {
        let has_voted = |person: &&str| {
            let approved = self.approvals.iter().any(|(it, _)| it == person);
            approved || self.rejections.iter().any(|it| it == person)
        };
        let waiting = |stage: usize| STAGES[stage].0.iter().filter(|it| !has_voted(it));
        let both = waiting(0).filter(|it| STAGES[1].0.contains(it)).count();
        let spare = |stage: usize| waiting(stage).count().checked_sub(self.missing(stage));
        match (spare(0), spare(1)) {
            (Some(first), Some(second)) => {
                // He is counted in both; if both need all whom they have, he is missing in one.
                both == 0 || first > 0 || second > 0
            }
            _ => false,
        }
    }
}

/// The rejections that end the request.
fn rejections(row: &Approval) -> usize {
    let parameters: Value = serde_json::from_str(&row.request.parameters.json).unwrap();
    match parameters["amount"].as_u64().unwrap() {
        0..=1_000 => 1,
        _ => 2,
    }
}

/// Whether the address is of a person in a stage up to this one.
fn is_of_stages(address: &Address, last: usize) -> bool {
    let person = person(address);
    let mut stages = STAGES[..=last].iter();
    stages.any(|(people, _)| people.contains(&person.as_str()))
}

/// The person of an address: Alice has two.
fn person(address: &Address) -> String {
    address.to_string().replace("a.work@", "alice@")
}
