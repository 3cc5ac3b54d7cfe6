//! Standing grants under every order of their writes: processes with clocks of their own read a row, change it and
//! write it if it is unchanged; any of them may crash between two steps, or lose the response of a write. A request is
//! submitted again while it is under way, or after a crash.
//!
//! What is checked: a grant approves no more requests than its count; none after its end, by the clock of the process
//! that approves; none after a rejection or a pause is acknowledged, nor is then claimed what it has approved. Each seeded
//! bug breaks one of these.

use std::collections::BTreeMap;
use std::time::Duration;

use human_oversight::domain::{Assurance, Grant, GrantEnd, GrantScope, Grants, SignedGrant};
use human_oversight::values::{Address, ApprovalId, Digest, Owner, Timestamp};

use super::dice::{Case, Dice, first};
use super::{cases, record};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bug {
    None,
    /// A use is written whatever the row has become since.
    UnconditionalWrite,
    /// The request is inserted before its use is taken.
    InsertFirst,
    /// A use is given back when the response of the insert is lost.
    RefundAfterLostInsert,
    /// A request has the use that another one took.
    UseOfAnother,
    /// A request has its use of a grant that has ended.
    UseOfEnded,
    /// A repeated write of a new grant begins its count anew.
    GivenAgain,
    /// A grant is added whatever was rejected since its approval.
    RejectionForgotten,
    /// A rejection is acknowledged, and the grants are ended after that.
    RejectionFirst,
    /// A pause is acknowledged, and the grants are ended after that.
    PauseFirst,
    /// The end of a grant is not looked at.
    NoEnd,
    /// What a grant has approved is claimed that is not in the row any more.
    MissingInForce,
}

/// What one process is about to do.
enum Step {
    /// Submits the request with this number, perhaps not for the first time.
    Use(usize),
    WriteUse {
        request: usize,
        grants: Grants,
        version: u64,
        id: String,
        at: Timestamp,
    },
    Insert {
        request: usize,
        id: String,
        /// The use that the insert follows; `None` if it is still to be taken.
        taken_at: Option<Timestamp>,
    },
    Refund(String),
    /// Claims a request that this grant has approved.
    Claim(String),
    /// The approval is stored; the grant is not yet.
    Give {
        signed: Box<SignedGrant>,
        voided: u64,
    },
    /// Ends the grants, before or after that is acknowledged.
    End(GrantEnd),
    /// What ended these grants is acknowledged.
    Acknowledge(GrantEnd, Vec<String>),
}

struct World {
    bug: Bug,
    dice: Dice,
    time: Timestamp,
    /// The row, with the time of its last write.
    grants: Grants,
    version: u64,
    written_at: Timestamp,
    /// What the processes are about to do.
    steps: Vec<(usize, Step)>,
    /// The requests that were submitted.
    submitted: usize,
    /// The grant of each request that was approved.
    approved: BTreeMap<usize, String>,
    /// The grants that were approved, and those of which the end is acknowledged.
    known: Vec<String>,
    ended: Vec<String>,
    claims: usize,
    failure: Option<&'static str>,
}

const COUNT: &str = "a grant approves no more than its count";
const END: &str = "a grant approves nothing after its end";
const ENDED: &str = "a grant approves nothing after what ends it is acknowledged";
const CLAIMED: &str = "what a grant has approved is not claimed after what ends it is acknowledged";

const USES: u16 = 2;
const LASTS: Duration = Duration::from_secs(100);

fn start() -> Timestamp {
    Timestamp::parse("2026-11-22T17:30:00.000Z").unwrap()
}

fn scope() -> GrantScope {
    GrantScope {
        owner: Owner::Local,
        agent: "Agent".to_owned(),
        action: "Restart".to_owned(),
        digest: Digest([1; 32]),
        on_behalf_of: None,
    }
}

impl World {
    fn new(bug: Bug, seed: u64) -> Self {
        Self {
            bug,
            dice: Dice(seed),
            time: start(),
            grants: Grants::default(),
            version: 0,
            written_at: start(),
            steps: Vec::new(),
            submitted: 0,
            approved: BTreeMap::new(),
            known: Vec::new(),
            ended: Vec::new(),
            claims: 0,
            failure: None,
        }
    }

    /// What a process takes for the time: the clocks are up to 90 s apart, and none is behind the last write.
    fn now(&self, process: usize) -> Timestamp {
        let ahead = 45 * u64::try_from(process % 3).unwrap();
        (self.time + Duration::from_secs(ahead)).max(self.written_at)
    }

    fn write(&mut self, grants: Grants, at: Timestamp) {
        self.grants = grants;
        self.version += 1;
        self.written_at = self.written_at.max(at);
    }

    fn signed(&mut self, at: Timestamp) -> SignedGrant {
        let id = format!("g{}", self.known.len());
        self.known.push(id.clone());
        let grant = Grant {
            given_with: ApprovalId::new("Agent", &id).unwrap(),
            id,
            scope: scope(),
            rules: Digest([2; 32]),
            uses: USES,
            given_at: at,
            until: at + LASTS,
            giver: Address::parse("alice@example.com").unwrap(),
            assurance: Assurance::Link,
        };
        SignedGrant {
            grant,
            proof: String::new(),
        }
    }

    /// Whether the bug acknowledges this before it ends the grants.
    fn is_first(&self, by: GrantEnd) -> bool {
        matches!(
            (self.bug, by),
            (Bug::RejectionFirst, GrantEnd::Rejection) | (Bug::PauseFirst, GrantEnd::Pause)
        )
    }

    /// Begins what a process may do at any time.
    fn begin(&mut self, process: usize) {
        let step = match self.dice.below(14) {
            12.. if !self.approved.is_empty() => {
                let approved = self.dice.below(self.approved.len());
                Step::Claim(self.approved.values().nth(approved).unwrap().clone())
            }
            0..3 => {
                let voided = self.grants.voided;
                let signed = Box::new(self.signed(self.now(process)));
                Step::Give { signed, voided }
            }
            3 => self.ending(GrantEnd::Rejection),
            4 => self.ending(GrantEnd::Pause),
            // A new request, or one of the last again, which may be under way.
            _ => {
                let back = self.dice.below(4).saturating_sub(1).min(self.submitted);
                self.submitted += usize::from(back == 0);
                Step::Use(self.submitted - back)
            }
        };
        self.steps.push((process, step));
    }

    fn ending(&self, by: GrantEnd) -> Step {
        if self.is_first(by) {
            Step::Acknowledge(by, self.known.clone())
        } else {
            Step::End(by)
        }
    }

    fn play(&mut self, process: usize, step: Step) {
        let next = match step {
            // A repeat of what is stored takes no use.
            Step::Use(request) if self.approved.contains_key(&request) => None,
            Step::Use(request) => self.take(process, request),
            Step::WriteUse {
                request, version, ..
            } if version != self.version && self.bug != Bug::UnconditionalWrite => {
                Some(Step::Use(request))
            }
            Step::WriteUse {
                request,
                grants,
                id,
                at,
                ..
            } => {
                self.check_use(&id, at);
                self.write(grants, at);
                let taken_at = Some(at);
                (self.bug != Bug::InsertFirst).then_some(Step::Insert {
                    request,
                    id,
                    taken_at,
                })
            }
            // Its repeat was faster.
            Step::Insert { request, .. } if self.approved.contains_key(&request) => None,
            Step::Insert {
                request,
                id,
                taken_at,
            } => {
                self.approved.insert(request, id.clone());
                let uses = self.approved.values().filter(|it| **it == id).count();
                if uses > usize::from(USES) {
                    self.failure = Some(COUNT);
                }
                let refunds = self.bug == Bug::RefundAfterLostInsert && self.dice.below(4) == 0;
                match taken_at {
                    None => self.take(process, request),
                    Some(_) => refunds.then_some(Step::Refund(id)),
                }
            }
            Step::Refund(id) => {
                let mut grants = self.grants.clone();
                let mut held = grants.held.iter_mut();
                if let Some(held) = held.find(|held| held.signed.grant.id == id) {
                    held.used = held.used.saturating_sub(1);
                }
                self.write(grants, self.now(process));
                None
            }
            Step::Claim(id) => {
                self.claim(process, &id);
                None
            }
            Step::Give { signed, voided } => self.give(process, *signed, voided),
            Step::End(by) => {
                let mut grants = self.grants.clone();
                grants.void(by, self.now(process), |_| true);
                self.write(grants, self.now(process));
                let known = self.known.clone();
                (!self.is_first(by)).then_some(Step::Acknowledge(by, known))
            }
            Step::Acknowledge(by, known) => {
                self.ended.extend(known);
                self.is_first(by).then_some(Step::End(by))
            }
        };
        // A process may crash between two steps; what it was about to do is not done.
        if let Some(next) = next.filter(|_| self.dice.below(12) > 0) {
            self.steps.push((process, next));
        }
    }

    /// Reads the row, and takes a use of what it holds, unless the request has one.
    fn take(&mut self, process: usize, request: usize) -> Option<Step> {
        let (mut grants, version, at) = (self.grants.clone(), self.version, self.now(process));
        let judged_at = if self.bug == Bug::NoEnd { start() } else { at };
        if self.bug == Bug::UseOfEnded {
            for held in &mut grants.held {
                held.ended = held.ended.filter(|_| held.taken_by.is_empty());
            }
        }
        let named = match self.bug {
            Bug::UseOfAnother => request / 2,
            _ => request,
        };
        let named = ApprovalId::new("Agent", &named.to_string()).unwrap();
        let before = grants.clone();
        let id = grants.take(&scope(), &named, judged_at, |_| true)?.grant.id;
        let inserts_first = self.bug == Bug::InsertFirst && self.dice.below(2) == 0;
        Some(if grants == before {
            self.check_use(&id, at);
            let taken_at = Some(at);
            Step::Insert {
                request,
                id,
                taken_at,
            }
        } else if inserts_first {
            Step::Insert {
                request,
                id,
                taken_at: None,
            }
        } else {
            Step::WriteUse {
                request,
                grants,
                version,
                id,
                at,
            }
        })
    }

    fn claim(&mut self, process: usize, id: &str) {
        let mut held = self.grants.held.iter();
        let held = held.find(|held| held.signed.grant.id == id);
        let is_in_time = held.is_none_or(|held| held.is_in_force(self.now(process)));
        let is_claimed = match self.grants.has_ended(id) {
            Some(has_ended) => !has_ended && is_in_time,
            None => self.bug == Bug::MissingInForce,
        };
        self.claims += usize::from(is_claimed);
        if is_claimed && self.ended.iter().any(|ended| ended == id) {
            self.failure = Some(CLAIMED);
        }
    }

    fn give(&mut self, process: usize, signed: SignedGrant, voided: u64) -> Option<Step> {
        let mut grants = self.grants.clone();
        let voided_before = match self.bug {
            Bug::RejectionForgotten => grants.voided,
            _ => voided,
        };
        if self.bug == Bug::GivenAgain {
            grants.held.retain(|held| held.signed != signed);
        }
        let now = self.now(process);
        grants
            .add(signed.clone(), voided_before, &[], now)
            .then_some(())?;
        if grants != self.grants {
            self.write(grants, now);
        }
        // The response of the write may be lost; then it is repeated.
        let is_lost = self.dice.below(3) == 0;
        let signed = Box::new(signed);
        is_lost.then_some(Step::Give { signed, voided })
    }

    /// What must hold when a use is taken.
    fn check_use(&mut self, id: &str, at: Timestamp) {
        let mut held = self.grants.held.iter();
        let held = held.find(|held| held.signed.grant.id == id);
        if held.is_some_and(|held| at >= held.signed.grant.until) {
            self.failure = Some(END);
        }
        if self.ended.iter().any(|ended| ended == id) {
            self.failure = Some(ENDED);
        }
    }

    /// Plays a number of steps, or until a guarantee is broken. Returns it, and how many requests were approved and
    /// claimed.
    fn run(mut self) -> (Option<&'static str>, usize, usize) {
        for _ in 0..150 {
            if self.steps.is_empty() || self.dice.below(3) == 0 {
                let process = self.dice.below(5);
                self.begin(process);
            } else {
                let chosen = self.dice.below(self.steps.len());
                let (process, step) = self.steps.swap_remove(chosen);
                self.play(process, step);
            }
            self.time = self.time + Duration::from_secs(self.dice.below(4) as u64);
            if self.failure.is_some() {
                break;
            }
        }
        (self.failure, self.approved.len(), self.claims)
    }
}

#[test]
fn no_order_of_writes_gains_a_use_of_a_grant() {
    let seeds = cases(5_000, 500_000);
    let (mut uses, mut claims) = (0, 0);
    for seed in first()..first() + seeds {
        let _case = Case(seed);
        let (failure, used, claimed) = World::new(Bug::None, seed).run();
        assert_eq!(failure, None);
        uses += used as u64;
        claims += claimed as u64;
    }
    assert!(uses > seeds && claims > 0, "{uses} {claims}");
    record(
        "grants",
        &[("orders", seeds), ("uses", uses), ("claims", claims)],
    );
}

#[test]
fn each_seeded_bug_of_grants_is_found() {
    for (bug, expected) in [
        (Bug::UnconditionalWrite, COUNT),
        (Bug::InsertFirst, COUNT),
        (Bug::RefundAfterLostInsert, COUNT),
        (Bug::UseOfAnother, COUNT),
        (Bug::UseOfEnded, ENDED),
        (Bug::GivenAgain, COUNT),
        (Bug::RejectionForgotten, ENDED),
        (Bug::RejectionFirst, ENDED),
        (Bug::PauseFirst, ENDED),
        (Bug::NoEnd, END),
        (Bug::MissingInForce, CLAIMED),
    ] {
        let mut found = (first()..first() + 5_000).map(|seed| World::new(bug, seed).run().0);
        let is_found = found.any(|failure| failure == Some(expected));
        assert!(is_found, "{bug:?}: {expected}");
    }
}
