//! Generated plans and votes: a plan is stuck exactly when no further votes can approve, and no sequence of
//! votes approves with fewer people than the plan needs. The oracle tries every continuation.

use std::num::NonZeroU8;
use std::time::Duration;

use human_oversight::domain::{
    Approval, Ask, DecisionStep, Origin, Plan, PolicyOrigin, Stage, State, Status, Verdict,
};
use human_oversight::values::{Digest, Timestamp};

use super::dice::{Case, Dice, first};
use super::{cases, record};
use crate::forms::{form, record_ballot};
use crate::lifecycle::{approver, request_of};

const LIFE: Duration = Duration::from_secs(300);

fn now() -> Timestamp {
    Timestamp::parse("2026-11-22T17:30:00.000Z").unwrap()
}

/// A plan for up to five people in up to two stages of up to two asks, satisfiable or not.
fn plan(dice: &mut Dice, people: usize) -> Plan {
    let stages = (0..=dice.below(2)).map(|stage| {
        let asks = (0..=dice.below(2)).map(|ask| {
            let members: Vec<usize> = (0..people).filter(|_| dice.below(2) == 0).collect();
            Ask {
                from: format!("group-{stage}-{ask}"),
                needed: NonZeroU8::new(1 + u8::try_from(dice.below(2)).unwrap()).unwrap(),
                members,
            }
        });
        Stage {
            asks: asks.collect(),
        }
    });
    Plan {
        origin: Origin::Policy(PolicyOrigin {
            digest: Digest([0; 32]),
            rules: vec!["rule".to_owned()],
            facts: Vec::new(),
        }),
        stages: stages.collect(),
        rejections: NonZeroU8::new(1 + u8::try_from(dice.below(3)).unwrap()).unwrap(),
        ..Plan::of_requester(0)
    }
}

fn approval(dice: &mut Dice) -> Approval {
    let people = 1 + dice.below(5);
    let approvers = (0..people).map(|person| approver(&format!("p{person}@example.com")));
    let plan = plan(dice, people);
    Approval::with_plan(request_of(now(), LIFE), plan, approvers.collect())
}

/// Votes as the gate does; returns whether the vote counted.
fn vote(approval: &mut Approval, person: usize, verdict: Verdict) -> bool {
    match approval.judge_form(&form(person, verdict, None), now()) {
        DecisionStep::Sign(ballot) => {
            record_ballot(approval, ballot, LIFE);
            true
        }
        DecisionStep::Done(_) => false,
    }
}

/// Whether some order of further approvals approves, were the plan not known to be stuck.
fn can_be_approved(approval: &Approval) -> bool {
    if approval.status(now()) == Status::Approved {
        return true;
    }
    (0..approval.approvers.len()).any(|person| {
        let mut next = approval.clone();
        vote(&mut next, person, Verdict::Approve) && can_be_approved(&next)
    })
}

/// The approvals that an approved request has, for each ask, each of another person.
fn is_quorate(approval: &Approval) -> bool {
    let votes = approval.votes.iter().map(|vote| &vote.ballot);
    let approvals: Vec<_> = votes.filter(|it| it.verdict == Verdict::Approve).collect();
    let people: std::collections::HashSet<usize> = approvals.iter().map(|it| it.person).collect();
    let stages = approval.plan.stages.iter().enumerate();
    let mut asks = stages.flat_map(|(stage, it)| {
        let asks = it.asks.iter().enumerate();
        asks.map(move |(ask, it)| (stage, ask, it))
    });
    people.len() == approvals.len()
        && asks.all(|(stage, ask, it)| {
            let own = approvals.iter().filter(|ballot| {
                (ballot.place.stage, ballot.place.ask) == (stage, ask)
                    && it.members.contains(&ballot.person)
            });
            own.count() >= usize::from(it.needed.get())
        })
}

#[test]
fn a_generated_plan_is_open_exactly_while_it_can_be_approved() {
    let seeds = cases(2_000, 50_000);
    let (mut votes, mut approved, mut stuck) = (0, 0, 0);
    for seed in first()..first() + seeds {
        let _case = Case(seed);
        let mut dice = Dice(seed);
        let mut approval = approval(&mut dice);
        for _ in 0..2 * approval.approvers.len() {
            let person = dice.below(approval.approvers.len());
            let verdict = match dice.below(4) {
                0 => Verdict::Reject,
                _ => Verdict::Approve,
            };
            if !vote(&mut approval, person, verdict) {
                continue;
            }
            votes += 1;
            let rejections = approval.votes.iter();
            let rejections = rejections.filter(|it| it.ballot.verdict == Verdict::Reject);
            let is_vetoed = rejections.count() >= usize::from(approval.plan.rejections.get());
            match &approval.state {
                State::Pending => {
                    assert!(!is_vetoed && can_be_approved(&approval), "{approval:?}");
                }
                State::Approved { .. } => {
                    approved += 1;
                    assert!(is_quorate(&approval), "{approval:?}");
                }
                State::Rejected(_) if is_vetoed => {}
                State::Rejected(_) => {
                    // Nothing could have approved any more.
                    stuck += 1;
                    let mut open = approval.clone();
                    open.state = State::Pending;
                    assert!(!can_be_approved(&open), "{approval:?}");
                }
                other => panic!("{other:?}"),
            }
            assert_eq!(approval.check_votes(), Ok(()));
            assert!(approval.history_is_consistent());
        }
    }
    let figures = [
        ("plans", seeds),
        ("votes", votes),
        ("approved", approved),
        ("stuck", stuck),
    ];
    record("plans", &figures);
}
