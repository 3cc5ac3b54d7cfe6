//! Generated plans and votes: a plan is stuck exactly when no further votes can approve, and no sequence of
//! votes approves with fewer people than the plan needs. The oracle tries every continuation.

use std::num::NonZeroU8;
use std::time::Duration;

use human_oversight::domain::{
    Approval, Ask, Assurance, Ballot, DecisionStep, Origin, Place, Plan, PolicyOrigin, Stage,
    State, Status, Verdict, Vote, Words,
};
use human_oversight::values::{Digest, Timestamp};

use super::dice::{Case, Dice, first};
use super::{cases, record};
use crate::forms::{form, record_ballot, revoke};
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

/// For which ask a vote counts, of those that the person can vote for.
#[derive(Clone, Copy, PartialEq)]
enum Choice {
    /// As the gate chooses.
    Gate,
    /// A bug: the first unmet one, whether or not the plan can still be met.
    First,
}

/// Votes as the gate does; returns whether the vote counted.
fn vote(approval: &mut Approval, person: usize, verdict: Verdict, choice: Choice) -> bool {
    let DecisionStep::Sign(mut ballot) = approval.judge_form(&form(person, verdict, None), now())
    else {
        return false;
    };
    if choice == Choice::First {
        let unmet = unmet(approval).into_iter();
        let mut named = unmet.filter(|it| approval.plan.ask(*it).members.contains(&person));
        ballot.place = named.next().expect("the vote counts for an ask");
    }
    record_ballot(approval, ballot, LIFE);
    true
}

/// The unmet asks of the open stage.
fn unmet(approval: &Approval) -> Vec<Place> {
    let stages = approval.plan.stages.iter().enumerate();
    let unmet = stages.map(|(stage, it)| {
        let asks = it.asks.iter().enumerate();
        let places = asks.filter(|(ask, it)| {
            let place = Place { stage, ask: *ask };
            let own = last_ballots(approval)
                .into_iter()
                .filter(|it| it.place == place && it.verdict == Verdict::Approve);
            own.count() < usize::from(it.needed.get())
        });
        places.map(|(ask, _)| Place { stage, ask }).collect()
    });
    unmet
        .into_iter()
        .find(|it: &Vec<Place>| !it.is_empty())
        .unwrap_or_default()
}

/// The last ballot of each person.
fn last_ballots(approval: &Approval) -> Vec<&Ballot> {
    let people = 0..approval.approvers.len();
    let last = |person| {
        let mut votes = approval.votes.iter().rev().map(|vote| &vote.ballot);
        votes.find(|it| it.person == person)
    };
    people.filter_map(last).collect()
}

/// Whether some order of further approvals, each for some ask, meets every ask.
fn can_be_approved(approval: &Approval) -> bool {
    let unmet = unmet(approval);
    unmet.is_empty()
        || (0..approval.approvers.len()).any(|person| {
            let has_voted = approval.votes.iter().any(|it| it.ballot.person == person);
            let mut named = unmet.iter().filter(|it| {
                let ask = approval.plan.ask(**it);
                !has_voted && ask.members.contains(&person)
            });
            named.any(|place| {
                let mut next = approval.clone();
                next.votes.push(approval_of(person, *place));
                can_be_approved(&next)
            })
        })
}

fn approval_of(person: usize, place: Place) -> Vote {
    Vote {
        ballot: Ballot {
            person,
            place,
            seat: person,
            assurance: Assurance::Link,
            verdict: Verdict::Approve,
            words: Words::default(),
            at: now(),
        },
        receipt: "vote".to_owned(),
    }
}

/// Whether an approval ended the request as rejected.
fn is_rejected_by_approval(approval: &Approval) -> bool {
    let last = approval.votes.last().map(|it| it.ballot.verdict);
    matches!(approval.state, State::Rejected(_)) && last == Some(Verdict::Approve)
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
            if !vote(&mut approval, person, verdict, Choice::Gate) {
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
                    assert!(!can_be_approved(&approval), "{approval:?}");
                }
                other => panic!("{other:?}"),
            }
            assert!(!is_rejected_by_approval(&approval), "{approval:?}");
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

/// Plans in which one person is of two asks, of one stage or of two; and each takes three rejections.
fn shared_plans() -> [Plan; 2] {
    let ask = |from: &str, members: &[usize]| Ask {
        from: from.to_owned(),
        members: members.to_vec(),
        needed: NonZeroU8::MIN,
    };
    let asks = || [ask("finance", &[0, 1, 2]), ask("security", &[2, 3])];
    let stage = |asks: &[Ask]| Stage {
        asks: asks.to_vec(),
    };
    let stages = asks().map(|it| stage(&[it]));
    [vec![stage(&asks())], stages.to_vec()].map(|stages| Plan {
        stages,
        rejections: NonZeroU8::new(3).unwrap(),
        ..plan(&mut Dice(0), 4)
    })
}

/// Looks at every order of votes and revocations that follows; returns how many states there are.
fn every_order(approval: &Approval, choice: Choice, found: &mut bool) -> u64 {
    *found |= is_rejected_by_approval(approval);
    if approval.status(now()) != Status::Pending {
        return 1;
    }
    assert!(choice == Choice::First || can_be_approved(approval));
    let people = 0..approval.approvers.len();
    let following = people.flat_map(|person| {
        let voted = [Verdict::Approve, Verdict::Reject].map(|verdict| {
            let mut next = approval.clone();
            vote(&mut next, person, verdict, choice).then_some(next)
        });
        let mut next = approval.clone();
        revoke(&mut next, person, now());
        let revoked = (next.votes.len() > approval.votes.len()).then_some(next);
        voted.into_iter().chain([revoked]).flatten()
    });
    let states = following.map(|next| every_order(&next, choice, found));
    1 + states.sum::<u64>()
}

/// Whether some order of votes and revocations ends with an approval that rejects; and the number of states.
fn search(choice: Choice) -> (bool, u64) {
    let (mut found, mut states) = (false, 0);
    for plan in shared_plans() {
        let approvers = (0..4).map(|person| approver(&format!("p{person}@example.com")));
        let request = request_of(now(), LIFE);
        let approval = Approval::with_plan(request, plan, approvers.collect());
        states += every_order(&approval, choice, &mut found);
    }
    (found, states)
}

#[test]
fn no_order_of_votes_ends_with_an_approval_that_rejects() {
    let (is_found, states) = search(Choice::Gate);
    assert!(!is_found);
    record("places", &[("states", states)]);
}

#[test]
fn an_approval_that_counts_for_the_first_ask_is_found() {
    assert!(search(Choice::First).0);
}
