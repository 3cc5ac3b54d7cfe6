//! Who must agree to a request, and whether the votes so far decide it.

use std::num::NonZeroU8;
use std::time::Duration;

use super::decision::Verdict;
use super::grant::GrantTerms;
use super::vote::{Ballot, COMMENT_CHARS, Place, VOTE_COMMENT_CHARS, Vote};
use crate::policy::{CommentRule, Pointer, Source};
use crate::values::{Digest, Timestamp};

/// Who must agree to a request. Fixed when the request is submitted, but for the seats that are handed over: a later
/// policy does not change it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    pub origin: Origin,
    /// The stages, opened one after another. Empty where the policy itself decides: then no votes approve.
    pub stages: Vec<Stage>,
    /// The number of rejections that reject the request.
    pub rejections: NonZeroU8,
    /// Whether people must sign in to vote.
    pub sign_in: bool,
    /// When a vote needs a comment.
    pub comment: CommentRule,
    /// No approval counts before this time has passed since its stage opened.
    pub not_before: Duration,
    /// The parameters that people see first.
    pub summary: Vec<Pointer>,
    /// The reasons for a rejection that the page offers; empty where the operator's settings have them.
    pub reject_reasons: Vec<String>,
    /// The time to claim an approval; `None` leaves it to the operator's setting.
    pub run_within: Option<Duration>,
    /// What a standing grant may be that is given with the approval; `None` where none may be given.
    pub grants: Option<GrantTerms>,
    /// Who is asked too when a stage stays open.
    pub escalation: Option<Escalation>,
    /// Who may vote in place of absent people.
    pub substitutes: Vec<Substitute>,
    /// The channels to notify.
    pub tell: Vec<String>,
    /// The seats that were handed over since, in order. Stored apart from the rest, which never changes.
    pub hand_overs: Vec<HandOver>,
}

/// Who made a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The agent named the approvers; the decision of one is enough.
    Requester,
    /// The operator's policy.
    Policy(PolicyOrigin),
}

/// The part of the policy that applied to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyOrigin {
    /// SHA-256 of the policy's text.
    pub digest: Digest,
    /// The ids of the rules that applied.
    pub rules: Vec<String>,
    /// Why they applied, in words for people.
    pub facts: Vec<String>,
}

/// What must be agreed before the next stage opens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stage {
    /// All of them must be met.
    pub asks: Vec<Ask>,
}

/// A number of approvals that must come from certain people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ask {
    /// The name of the group, or `requested` for the people whom the agent named.
    pub from: String,
    /// The indexes of its members among the approvers.
    pub members: Vec<usize>,
    pub needed: NonZeroU8,
}

/// The people who are asked too, once for each stage that stays open: they can give any approval that the stage
/// lacks. No ask names them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Escalation {
    /// The share of the time from the opening of the stage to the deadline, in percent.
    pub after_percent: NonZeroU8,
    /// The names of their groups.
    pub from: Vec<String>,
    /// Their indexes among the approvers.
    pub to: Vec<usize>,
}

/// A person who may vote in place of another one, of whom the policy says that they are absent, in each stage that
/// opens in that time. Of the two, one vote counts. No ask names the substitute, who may be that of several people, and
/// votes in the place of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Substitute {
    /// The index of the absent person.
    pub of: usize,
    /// The index of the substitute.
    pub by: usize,
    pub from: Timestamp,
    /// The end of the absence, which is not part of it.
    pub until: Timestamp,
}

/// A seat that was handed over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HandOver {
    /// The index of the approver who had the seat.
    pub from: usize,
    /// The index of the one who has it since then, unless they handed it over too.
    pub to: usize,
    /// Why, in the words of the approver who had it.
    pub reason: String,
    pub at: Timestamp,
}

impl CommentRule {
    /// Whether such a vote needs a comment.
    pub(super) fn applies_to(self, verdict: Verdict) -> bool {
        match self {
            Self::Never => false,
            Self::OnReject => verdict == Verdict::Reject,
            Self::Always => true,
        }
    }
}

/// What the votes of a request amount to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tally {
    /// Votes are missing in this stage, the first with an unmet ask.
    Open {
        stage: usize,
    },
    Approved,
    Rejected,
}

impl Plan {
    /// The name of the people whom the agent names, among the groups.
    pub const REQUESTED: &str = Source::REQUESTED;

    /// One approval, of any of the `count` people whom the agent named.
    pub fn of_requester(count: usize) -> Self {
        let ask = Ask {
            from: Self::REQUESTED.to_owned(),
            members: (0..count).collect(),
            needed: NonZeroU8::MIN,
        };
        Self {
            origin: Origin::Requester,
            stages: vec![Stage { asks: vec![ask] }],
            rejections: NonZeroU8::MIN,
            sign_in: false,
            comment: CommentRule::Never,
            not_before: Duration::ZERO,
            summary: Vec::new(),
            reject_reasons: Vec::new(),
            run_within: None,
            grants: None,
            escalation: None,
            substitutes: Vec::new(),
            tell: Vec::new(),
            hand_overs: Vec::new(),
        }
    }

    /// The policy that made the plan.
    pub fn policy(&self) -> Option<&PolicyOrigin> {
        match &self.origin {
            Origin::Requester => None,
            Origin::Policy(policy) => Some(policy),
        }
    }

    /// Whether votes are stored one by one: where the agent chose, the one vote is the decision.
    pub fn keeps_votes(&self) -> bool {
        self.policy().is_some()
    }

    /// The most characters of a comment.
    pub fn longest_comment(&self) -> usize {
        if self.keeps_votes() {
            VOTE_COMMENT_CHARS
        } else {
            COMMENT_CHARS
        }
    }

    /// What the votes amount to. Rejected means that enough people rejected, or that an ask can no longer
    /// be met by its members who have not voted.
    pub fn tally(&self, votes: &[Vote]) -> Tally {
        self.tally_ballots(&ballots_of(votes))
    }

    pub(super) fn tally_ballots(&self, ballots: &[&Ballot]) -> Tally {
        let ballots = effective(ballots);
        let rejections = ballots.iter().filter(|it| it.verdict == Verdict::Reject);
        let is_rejected = rejections.count() >= self.rejections.get().into();
        if is_rejected || self.stages.is_empty() || !self.can_be_met(&ballots) {
            return Tally::Rejected;
        }
        match self.unmet(&ballots).next() {
            Some(Place { stage, .. }) => Tally::Open { stage },
            None => Tally::Approved,
        }
    }

    /// The unmet asks of the open stage.
    pub(super) fn open_places(&self, votes: &[Vote]) -> Vec<Place> {
        let ballots = counted(votes);
        let open = self.unmet(&ballots).next().map(|place| place.stage);
        let places = self.unmet(&ballots);
        places
            .take_while(|place| Some(place.stage) == open)
            .collect()
    }

    pub fn ask(&self, place: Place) -> &Ask {
        &self.stages[place.stage].asks[place.ask]
    }

    /// The asks of a stage, each with the approvals that it has.
    pub fn asks_of(&self, stage: usize, votes: &[Vote]) -> Vec<(&Ask, usize)> {
        let ballots = counted(votes);
        let asks = self.stages[stage].asks.iter().enumerate();
        let asks = asks.map(|(index, ask)| (ask, given(Place { stage, ask: index }, &ballots)));
        asks.collect()
    }

    /// The indexes of all whom it names.
    pub(super) fn people(&self) -> impl Iterator<Item = usize> {
        let asks = self.stages.iter().flat_map(|stage| &stage.asks);
        let members = asks.flat_map(|ask| ask.members.iter().copied());
        let escalated = self.escalation.iter();
        let escalated = escalated.flat_map(|it| it.to.iter().copied());
        let substitutes = self.substitutes.iter().flat_map(|it| [it.of, it.by]);
        members.chain(escalated).chain(substitutes)
    }

    /// Who votes in the seats of a stage's members, and of the substitutes of those who are absent when it opens; each
    /// once.
    pub(super) fn people_of(&self, stage: usize, opened_at: Timestamp) -> Vec<usize> {
        let asks = self.stages.get(stage).map_or(&[][..], |it| &it.asks[..]);
        let mut people: Vec<usize> = asks.iter().flat_map(|ask| ask.members.clone()).collect();
        let substitutes = self.substitutes.iter();
        let substitutes = substitutes.filter(|it| people.contains(&it.of) && it.covers(opened_at));
        let substitutes: Vec<usize> = substitutes.map(|it| it.by).collect();
        people.extend(substitutes);
        for person in &mut people {
            *person = self.holder(*person);
        }
        people.sort_unstable();
        people.dedup();
        people
    }

    pub(super) fn unmet<'a>(&'a self, ballots: &'a [&Ballot]) -> impl Iterator<Item = Place> + 'a {
        let places = self.places();
        places.filter(|&place| given(place, ballots) < self.ask(place).needed.get().into())
    }

    pub(super) fn places(&self) -> impl Iterator<Item = Place> {
        let stages = self.stages.iter().enumerate();
        stages.flat_map(|(stage, it)| {
            let asks = 0..it.asks.len();
            asks.map(move |ask| Place { stage, ask })
        })
    }
}

impl HandOver {
    /// The most characters of a reason.
    pub const REASON_CHARS: usize = 500;
}

impl Substitute {
    /// Whether the person is absent at `at`.
    pub(super) fn covers(&self, at: Timestamp) -> bool {
        (self.from..self.until).contains(&at)
    }
}

pub(super) fn ballots_of(votes: &[Vote]) -> Vec<&Ballot> {
    votes.iter().map(|vote| &vote.ballot).collect()
}

/// The ballots that count, of votes.
pub(super) fn counted(votes: &[Vote]) -> Vec<&Ballot> {
    effective(&ballots_of(votes))
}

/// The ballot of each person that counts: their last one.
fn effective<'a>(ballots: &[&'a Ballot]) -> Vec<&'a Ballot> {
    let is_last = |index: usize, ballot: &Ballot| {
        let later = &ballots[index + 1..];
        !later.iter().any(|it| it.person == ballot.person)
    };
    let counted = ballots.iter().enumerate();
    let counted = counted.filter(|(index, ballot)| is_last(*index, ballot));
    counted.map(|(_, ballot)| *ballot).collect()
}

pub(super) fn given(place: Place, ballots: &[&Ballot]) -> usize {
    let approvals = ballots.iter().filter(|it| it.verdict == Verdict::Approve);
    approvals.filter(|ballot| ballot.place == place).count()
}
