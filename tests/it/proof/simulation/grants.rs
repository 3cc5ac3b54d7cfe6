//! Requests for exactly the same, of which one is approved with a standing grant: later ones are approved by it, until it
//! is used up or has ended, through different processes.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use human_oversight::domain::{Decider, State, Verdict};
use human_oversight::store::Store;

use super::actor::{Actor, Next, REQUESTS, Role, id};
use super::ledger::Fact;
use super::process::Scene;
use super::{
    Random, Service, Settings, WITHIN, cases, record, record_sums, run_all, run_with, seeds, sums,
};

const COUNT: &str = "a grant approves no more than its count";
const ENDED: &str = "a grant approves nothing after what ends it is acknowledged";
const CLAIMED: &str = "what a grant approved is not claimed after what ends it is acknowledged";

/// The uses of the grant.
const USES: u16 = 2;

const POLICY: &str = r#"
version = 1
[groups]
operators = ["alice@example.com"]
[[rule]]
id = "restarts"
effect = "require"
stages = [{ from = "operators" }]
grants = "8h"
"#;

/// What was seen of the grant.
#[derive(Default)]
pub(super) struct SeenGrants {
    /// Whether one is to be given.
    are_expected: bool,
    is_given: bool,
    has_ended: bool,
    /// The requests that were submitted, and those of them that were submitted after the end.
    submitted: BTreeSet<usize>,
    late: BTreeSet<usize>,
    /// The same of claims.
    claimed: BTreeSet<usize>,
    claimed_late: BTreeSet<usize>,
}

/// The actors: the approver of the first request gives a grant of this many uses; those of the others decide little.
pub(super) fn new_actors(random: &mut Random, uses: u16) -> Vec<Actor> {
    let actor = |role, request, next| Actor::new(role, request, next, Some(1));
    let mut actors = Vec::new();
    for request in 0..REQUESTS {
        actors.push(actor(Role::Agent { submits: true }, request, Next::Submit));
        let decision = match request {
            0 => Next::ApproveWithGrant(uses),
            _ => random.of(&[Next::Nothing, Next::Nothing, Next::Approve, Next::Reject]),
        };
        actors.push(actor(Role::Approver(0), request, decision));
    }
    actors.push(actor(Role::Sweep, 0, Next::Sweep));
    actors
}

impl SeenGrants {
    pub(super) fn new(scene: Scene) -> Self {
        Self {
            are_expected: matches!(scene, Scene::Grants(_)),
            ..Self::default()
        }
    }

    /// Whether a request is submitted later: most wait for the grant, and the last also for its end.
    pub(super) fn waits(&self, request: usize, random: &mut Random) -> bool {
        let waits = match request {
            0 => false,
            1 | 2 => !self.is_given,
            _ => !self.has_ended,
        };
        self.are_expected && waits && !random.one_in(12)
    }

    pub(super) fn are_expected(&self) -> bool {
        self.are_expected
    }

    pub(super) fn is_given(&self) -> bool {
        self.is_given
    }

    /// A request is about to be submitted, perhaps not for the first time.
    pub(super) fn submit(&mut self, request: usize) {
        if self.submitted.insert(request) && self.has_ended {
            self.late.insert(request);
        }
    }

    /// A request is about to be claimed, perhaps not for the first time.
    pub(super) fn claim(&mut self, request: usize) {
        if self.claimed.insert(request) && self.has_ended {
            self.claimed_late.insert(request);
        }
    }

    /// Takes a fact of a call, which began after the grant was given or not. A call that ends grants ends only those that
    /// were given before.
    pub(super) fn add(&mut self, fact: &Fact, begun_with_grant: bool) {
        match fact {
            Fact::GrantGiven(_) => self.is_given = true,
            Fact::GrantEnded | Fact::VoteRevoked(_) | Fact::Voted(_, Verdict::Reject) => {
                self.has_ended |= begun_with_grant;
            }
            _ => {}
        }
    }

    /// Operations are paused, which ends grants for good.
    pub(super) fn pause(&mut self) {
        self.has_ended |= self.is_given;
    }

    /// Checks what the grant has approved. Returns how many requests that are.
    pub(super) async fn check(&self, store: &Store) -> u64 {
        let (mut uses, mut claimed_late) = (0, None);
        for request in 0..REQUESTS {
            let Ok(row) = store.get(&id(request)).await else {
                continue;
            };
            let decision = row.approval.decision();
            if decision.is_some_and(|it| matches!(it.by, Decider::Grant(_))) {
                uses += 1;
                assert!(!self.late.contains(&request), "{ENDED}: request {request}");
                let execution = match &row.approval.state {
                    State::Approved { execution, .. } => execution.word(),
                    _ => None,
                };
                let is_claimed = execution.is_some_and(|it| !["Lapsed", "Revoked"].contains(&it));
                if is_claimed && self.claimed_late.contains(&request) {
                    claimed_late = Some(request);
                }
            }
        }
        // One that is used up has ended before.
        if uses < u64::from(USES) {
            assert_eq!(claimed_late, None, "{CLAIMED}");
        }
        assert!(uses <= u64::from(USES), "{COUNT}: {uses}");
        uses
    }
}

fn settings(dir: &Path, uses: u16) -> Settings {
    let life = 5 * WITHIN.as_secs();
    Settings::with_policy(dir, life, Scene::Grants(uses), Some(POLICY))
}

#[test]
fn grants_stay_true_under_every_fault() {
    let seeds = seeds(cases(30, 5_000));
    let results = run_all(&seeds, |dir| settings(dir, USES));
    let sums = sums(&seeds, &results);
    record_sums("simulation-grants", &sums);
    if seeds.len() > 1 {
        assert!(sums["uses of grants"] > 0, "{sums:?}");
    }
}

#[test]
fn each_bug_seeded_into_grants_is_found() {
    type Bug = (&'static str, u16, fn(&Service), &'static str);
    let bugs: [Bug; 4] = [
        ("one use too many", USES + 1, |_| {}, COUNT),
        (
            "uses forgotten",
            USES,
            Service::forget_changed_grants,
            COUNT,
        ),
        ("end forgotten", USES, Service::forget_changed_grants, ENDED),
        (
            "end forgotten at the claim",
            USES,
            Service::forget_changed_grants,
            CLAIMED,
        ),
    ];
    for (name, uses, change, violates) in bugs {
        let found = (0..200).find(|&seed| {
            let dir = tempfile::tempdir().unwrap();
            let settings = settings(dir.path(), uses);
            let run = || run_with(seed, &settings, change);
            let panic = catch_unwind(AssertUnwindSafe(run)).err();
            let violation = panic.as_ref().and_then(|it| it.downcast_ref::<String>());
            violation.is_some_and(|it| it.contains(violates))
        });
        let seed = found.unwrap_or_else(|| panic!("no seed finds: {name}"));
        eprintln!("{name}: seed {seed} violates \"{violates}\"");
    }
    record(
        "simulation-grants-bugs",
        &[("seeded bugs found", bugs.len() as u64)],
    );
}
