//! What the votes of a request amount to, derived anew from the rules that the organisation wants: two of finance,
//! then one of security, each another person; a lead in place of any of them once a stage has stayed open for a tenth
//! of its time; and one vote for a seat, also if it has a substitute or was handed over. Nothing here uses the rules of
//! `src/domain/`, or the plan as stored, but for who handed over to whom.

use std::collections::BTreeSet;

use human_oversight::domain::{Approval, DeliveryState, EventKind, HandOver, State, Verdict, Vote};
use human_oversight::values::Timestamp;
use serde_json::Value;

use super::WITHIN;
use crate::harness::Mail;

pub(super) const ONCE: &str = "a seat has one vote";
pub(super) const IN_TURN: &str = "a vote counts for the stage that is open";
pub(super) const QUORUM: &str = "only all approvals approve";
pub(super) const VETO: &str = "enough rejections reject, and nothing else";
pub(super) const APPENDED: &str = "votes and hand-overs are never changed";
pub(super) const CLOSED: &str = "no vote is added after the end, and no seat moves";
pub(super) const ASKED: &str = "the people of a stage are asked when it opens";
pub(super) const MOVED: &str = "a seat moves before its vote, to a new person, who votes instead";
pub(super) const ESCALATED: &str = "a stage is escalated once, when it has stayed open";

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

/// Asked by escalation, for any approval that is missing.
const LEAD: &str = "lead@example.com";

/// The substitute of Bob, who is absent, votes in his seat.
const SUBSTITUTE: &str = "substitute@example.com";

/// Those to whom a seat can be handed over.
pub(super) const RECEIVERS: [&str; 2] = ["frank@example.com", "gina@example.com"];

/// What a run counted.
#[derive(Clone, Copy, Default)]
pub(super) struct Figures {
    votes: u64,
    second_stages: u64,
    /// The emails of a second stage that took a second attempt: the process of the first had crashed.
    emails_by_the_sweep: u64,
    hand_overs: u64,
    escalations: u64,
    /// The votes of those to whom a seat was handed over.
    receivers: u64,
    leads: u64,
    substitutes: u64,
}

/// What was seen of a request's votes.
#[derive(Default)]
pub(super) struct SeenVotes {
    votes: Vec<Vote>,
    hand_overs: Vec<HandOver>,
    escalations: usize,
    /// The approvers who must have been asked, by their indexes.
    asked: BTreeSet<usize>,
    is_closed: bool,
    figures: Figures,
}

/// The votes so far.
#[derive(Default)]
struct Tally {
    approvals: Vec<Given>,
    rejections: Vec<String>,
    /// The time of the last vote of the first stage.
    first_ended: Option<Timestamp>,
    /// How often the second stage was opened: again once an approval of the first is revoked and given anew.
    openings: usize,
    /// The number of votes with which it was opened the last time.
    opened_by: usize,
}

/// An approval that was given.
struct Given {
    seat: String,
    stage: usize,
    /// The index of the approver.
    by: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Result {
    Open(usize),
    Approved,
    Rejected,
}

impl Figures {
    pub(super) fn counts(self) -> [(&'static str, u64); 8] {
        [
            ("votes", self.votes),
            ("second stages", self.second_stages),
            ("emails by the sweep", self.emails_by_the_sweep),
            ("hand-overs", self.hand_overs),
            ("escalations", self.escalations),
            ("votes of receivers", self.receivers),
            ("votes of leads", self.leads),
            ("votes of substitutes", self.substitutes),
        ]
    }

    fn of(row: &Approval, tally: &Tally) -> Self {
        let votes_of = |people: &[&str]| {
            let voters = row.votes.iter().map(|vote| vote.ballot.person);
            let voters = voters.filter(|&it| people.contains(&address(row, it)));
            voters.count() as u64
        };
        Self {
            votes: row.votes.len() as u64,
            second_stages: u64::from(tally.openings > 0),
            emails_by_the_sweep: 0,
            hand_overs: row.plan.hand_overs.len() as u64,
            escalations: row.escalations().count() as u64,
            receivers: votes_of(&RECEIVERS),
            leads: votes_of(&[LEAD]),
            substitutes: votes_of(&[SUBSTITUTE]),
        }
    }
}

impl SeenVotes {
    /// Checks the votes of a row, and what it makes of them. Called after each write.
    pub(super) fn check(&mut self, row: &Approval) {
        let hand_overs = &row.plan.hand_overs;
        let is_appended =
            row.votes.starts_with(&self.votes) && hand_overs.starts_with(&self.hand_overs);
        assert!(is_appended, "{APPENDED}: {row:?}");
        let is_added =
            row.votes.len() > self.votes.len() || hand_overs.len() > self.hand_overs.len();
        assert!(!(is_added && self.is_closed), "{CLOSED}: {row:?}");
        let tally = Tally::of(row);
        let result = tally.result(row);
        match row.state {
            State::Approved { .. } => assert_eq!(result, Result::Approved, "{QUORUM}: {row:?}"),
            State::Rejected(_) => assert_eq!(result, Result::Rejected, "{VETO}: {row:?}"),
            _ => assert!(matches!(result, Result::Open(_)), "{VETO}: {row:?}"),
        }
        self.check_hand_overs(row, &tally);
        self.check_asked(row, &tally);
        self.check_escalations(row, &tally);
        if let Some(late) = &row.late {
            let has_voted = |vote: &Vote| row.approvers[vote.ballot.person].address == late.by;
            assert!(!row.votes.iter().any(has_voted), "{ONCE}: {row:?}");
        }
        self.votes.clone_from(&row.votes);
        self.hand_overs.clone_from(hand_overs);
        self.is_closed = row.state != State::Pending;
        self.figures = Figures::of(row, &tally);
    }

    fn check_hand_overs(&self, row: &Approval, tally: &Tally) {
        let hand_overs = &row.plan.hand_overs;
        for (index, it) in hand_overs.iter().enumerate() {
            let mut earlier = hand_overs[..index].iter();
            let is_first = !earlier.any(|other| other.from == it.from);
            let has_voted = row.votes.iter().any(|vote| vote.ballot.person == it.from);
            let receiver = address(row, it.to);
            let is_new = !(0..it.to).any(|other| address(row, other) == receiver);
            assert!(
                is_first && !has_voted && is_new && RECEIVERS.contains(&receiver),
                "{MOVED}: {row:?}"
            );
        }
        for it in &hand_overs[self.hand_overs.len()..] {
            assert!(!tally.has_vote(&seat(row, it.from)), "{MOVED}: {row:?}");
        }
    }

    /// Checks that those who had a seat of a stage while it was open were asked, and no one else but leads.
    fn check_asked(&mut self, row: &Approval, tally: &Tally) {
        for index in 0..row.approvers.len() {
            let has_handed_over = row.plan.hand_overs.iter().any(|it| it.from == index);
            if !has_handed_over && tally.is_open_to(row, &seat(row, index)) {
                self.asked.insert(index);
            }
        }
        for (index, approver) in row.approvers.iter().enumerate() {
            let is_asked = approver.request_delivery().is_some();
            if seat(row, index) != LEAD {
                assert_eq!(is_asked, self.asked.contains(&index), "{ASKED}: {row:?}");
            } else if is_asked && self.asked.insert(index) {
                let last = row.history.last().unwrap().at;
                let may_vote = row.escalations().next().is_some() || tally.is_overdue(row, last);
                assert!(may_vote, "{ESCALATED}: {row:?}");
            }
        }
    }

    fn check_escalations(&mut self, row: &Approval, tally: &Tally) {
        let escalations: Vec<Timestamp> = row.escalations().collect();
        assert!(
            escalations.len() <= 1 + tally.openings,
            "{ESCALATED}: {row:?}"
        );
        for at in &escalations[self.escalations..] {
            assert!(tally.is_overdue(row, *at), "{ESCALATED}: {row:?}");
        }
        self.escalations = escalations.len();
    }

    pub(super) fn figures(&self, emails_by_the_sweep: u64) -> Figures {
        Figures {
            emails_by_the_sweep,
            ..self.figures
        }
    }
}

/// Checks the emails of a request some time after the last fault: those who vote in a seat of the open stage have
/// theirs, and no one of a later stage; and a stage that has stayed open is escalated, whichever clocks the votes and
/// the sweep have. Returns how many of a second stage took a second attempt.
pub(super) fn check_mails(row: &Approval, mails: &[Mail], now: Timestamp) -> u64 {
    let tally = Tally::of(row);
    let is_pending = row.state == State::Pending && now < row.request.expires_at;
    let is_escalated = row.escalations().next().is_some();
    if is_pending && tally.is_overdue(row, now - WITHIN) {
        // Who may vote in time may vote before the sweep asks them.
        let is_done = tally.is_escalated(row) || tally.has_vote(LEAD);
        assert!(is_done, "{ESCALATED}, in the end: {row:?}");
    }
    let mut by_the_sweep = 0;
    for (index, approver) in row.approvers.iter().enumerate() {
        let seat = seat(row, index);
        let has_email = mails
            .iter()
            .any(|it| it.to == address(row, index) && it.answers.is_none());
        let is_lead = seat == LEAD;
        assert!(
            is_lead || tally.has_opened(&seat) || !has_email,
            "{ASKED}, not before: {row:?}"
        );
        let is_due = tally.is_open_to(row, &seat) || (is_lead && is_escalated);
        let is_of_first = STAGES[0].0.contains(&seat.as_str());
        let delivery = approver.request_delivery();
        let attempts = delivery.map_or(0, |it| it.attempts);
        let is_sent = delivery.is_some_and(|it| matches!(it.state, DeliveryState::Sent(_)));
        by_the_sweep += u64::from(!is_of_first && is_sent && attempts > 1);
        let has_handed_over = row.plan.hand_overs.iter().any(|it| it.from == index);
        if is_pending && is_due && !has_handed_over && !tally.has_vote(&seat) {
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
        for (index, vote) in row.votes.iter().enumerate() {
            let Result::Open(open) = tally.result(row) else {
                panic!("{CLOSED}: {row:?}");
            };
            let ballot = &vote.ballot;
            let (seat, by) = (seat(row, ballot.person), ballot.person);
            assert!(!tally.rejections.contains(&seat), "{ONCE}: {row:?}");
            let earlier = tally.approvals.iter().position(|it| it.seat == seat);
            let mut stage = open;
            let is_revoked = earlier.is_some();
            if let Some(earlier) = earlier {
                let given = tally.approvals.remove(earlier);
                stage = given.stage;
                // An approval can only be taken back, by the person who gave it.
                let is_theirs = given.by == by && ballot.verdict == Verdict::Reject;
                assert!(is_theirs, "{ONCE}: {row:?}");
            }
            let is_in_turn = is_revoked
                || match seat.as_str() {
                    LEAD => tally.is_overdue(row, ballot.at),
                    seat => STAGES[open].0.contains(&seat),
                };
            assert!(is_in_turn, "{IN_TURN}: {row:?}");
            match ballot.verdict {
                Verdict::Approve => tally.approvals.push(Given { seat, stage, by }),
                Verdict::Reject => tally.rejections.push(seat),
            }
            if stage == 0 {
                tally.first_ended = tally.first_ended.max(Some(ballot.at));
            }
            if open == 0 && tally.result(row) == Result::Open(1) {
                tally.openings += 1;
                tally.opened_by = index + 1;
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
        let given = self.approvals.iter().filter(|it| it.stage == stage);
        STAGES[stage].1.saturating_sub(given.count())
    }

    fn has_vote(&self, seat: &str) -> bool {
        let approved = self.approvals.iter().any(|it| it.seat == seat);
        approved || self.rejections.iter().any(|it| it == seat)
    }

    /// Whether the seats without a vote are enough, those asked by escalation included, each for one approval.
    fn can_be_met(&self) -> bool {
        let waiting = |stage: usize| {
            let seats = STAGES[stage].0.iter().chain([&LEAD]);
            seats.copied().filter(|it| !self.has_vote(it))
        };
        let all: BTreeSet<&str> = waiting(0).chain(waiting(1)).collect();
        let [first, second] = [0, 1].map(|stage| self.missing(stage));
        first <= waiting(0).count() && second <= waiting(1).count() && first + second <= all.len()
    }

    /// Whether the seat is one of the stage that is open.
    fn is_open_to(&self, row: &Approval, seat: &str) -> bool {
        let result = self.result(row);
        matches!(result, Result::Open(stage) if STAGES[stage].0.contains(&seat))
    }

    /// Whether the seat is one of a stage that was opened.
    fn has_opened(&self, seat: &str) -> bool {
        let last = usize::from(self.openings > 0);
        let mut opened = STAGES[..=last].iter();
        opened.any(|(people, _)| people.contains(&seat))
    }

    /// Whether the stage that is open was escalated, after the vote that opened it.
    fn is_escalated(&self, row: &Approval) -> bool {
        let opened_by = if self.missing(0) == 0 {
            self.opened_by
        } else {
            0
        };
        let votes = [EventKind::VotedToApprove, EventKind::VotedToReject];
        let events = row.history.split_inclusive(|it| votes.contains(&it.what));
        let mut since = events.skip(opened_by).flatten();
        since.any(|it| it.what == EventKind::Escalated)
    }

    /// Whether the stage that is open has stayed open for so long that a lead is asked.
    fn is_overdue(&self, row: &Approval, at: Timestamp) -> bool {
        let first_ended = self.first_ended.filter(|_| self.missing(0) == 0);
        let opened_at = first_ended.unwrap_or(row.request.requested_at);
        at >= opened_at + row.request.expires_at.since(opened_at) / 10
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

fn address(row: &Approval, approver: usize) -> &str {
    row.approvers[approver].address.as_str()
}

/// The seat in which an approver votes, by the person who had it first. Alice has two addresses.
fn seat(row: &Approval, approver: usize) -> String {
    let hand_overs = row.plan.hand_overs.iter().rev();
    let first = hand_overs.fold(approver, |it, hand_over| {
        if hand_over.to == it {
            hand_over.from
        } else {
            it
        }
    });
    match address(row, first) {
        SUBSTITUTE => "bob@example.com".to_owned(),
        person => person.replace("a.work@", "alice@"),
    }
}
