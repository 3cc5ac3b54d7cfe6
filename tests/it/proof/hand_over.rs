//! Exhaustive model of hand-overs: two approvals of finance, of which Alice and Bob are members, and a list with two more
//! people and the one for whom the agent acts. Those who have a place vote, revoke, and hand it over to anyone, in every
//! order. The guarantees are derived from the votes and the hand-overs anew.

use std::num::NonZeroU8;
use std::time::Duration;

use human_oversight::domain::{
    Approval, Ask, Ballot, DecisionStep, HandOver, HandOverStep, HandOverWish, Origin, Plan,
    PolicyOrigin, Stage, Status, Verdict,
};
use human_oversight::values::{Address, Digest, Timestamp};
use stateright::{Model, Property};

use super::model_row::Row;
use super::{check_all, find_each, record};
use crate::forms::{form, record_ballot, revoke};
use crate::lifecycle::{approver, request_of};

const LIFE: Duration = Duration::from_secs(400);
/// The first two are members of finance; the agent acts for the last one.
const PEOPLE: [&str; 5] = ["alice", "bob", "carol", "dave", "erin"];
const MEMBERS: usize = 2;
const ACTED_FOR: usize = 4;

fn now() -> Timestamp {
    Timestamp::parse("2026-11-22T17:30:00.000Z").unwrap()
}

fn address(person: usize) -> Address {
    Address::parse(&format!("{}@example.com", PEOPLE[person])).unwrap()
}

fn plan(rejections: u8) -> Plan {
    let needed = |count| NonZeroU8::new(count).unwrap();
    let ask = Ask {
        from: "finance".to_owned(),
        members: vec![0, 1],
        needed: needed(2),
    };
    Plan {
        origin: Origin::Policy(PolicyOrigin {
            digest: Digest([0; 32]),
            rules: vec!["payments".to_owned()],
            facts: Vec::new(),
        }),
        stages: vec![Stage { asks: vec![ask] }],
        rejections: needed(rejections),
        ..Plan::of_requester(0)
    }
}

#[derive(Clone, Debug, PartialEq, Hash)]
struct World {
    row: Row,
    /// The people, as numbers of [`PEOPLE`], in the order in which they became approvers.
    people: Vec<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Action {
    Vote(usize, Verdict),
    Revoke(usize),
    /// The approver hands over to the person of this number.
    HandOver(usize, usize),
}

/// Bugs seeded into the gate, to prove that the model detects each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bug {
    None,
    /// Who handed over votes all the same.
    GiverVotes,
    /// The receiver has a place already.
    ReceiverHasAPlace,
    ReceiverIsActedFor,
    /// Who has voted hands the place over.
    VotedPlaceMoves,
    /// A place is handed over twice.
    PlaceMovesTwice,
    /// The place ends with its giver, so that two people can no longer approve.
    PlaceIsLost,
}

struct Gate {
    rejections: u8,
    bug: Bug,
}

impl Gate {
    fn vote(&self, row: &mut Approval, person: usize, verdict: Verdict) {
        let mut judged = row.clone();
        if self.bug == Bug::GiverVotes && judged.plan.hand_over_by(person).is_some() {
            judged.plan.hand_overs.clear();
        }
        if let DecisionStep::Sign(ballot) = judged.judge_form(&form(person, verdict, None), now()) {
            record_ballot(row, ballot, LIFE);
        }
    }

    fn hand_over(&self, row: &mut Approval, from: usize, to: usize) {
        let mut judged = row.clone();
        match self.bug {
            Bug::ReceiverHasAPlace => {
                let mut approvers = judged.approvers.iter_mut();
                if let Some(holder) = approvers.find(|it| it.address == address(to)) {
                    holder.address = Address::parse("other@example.com").unwrap();
                }
            }
            Bug::ReceiverIsActedFor => judged.request.on_behalf_of = None,
            Bug::VotedPlaceMoves => judged.votes.clear(),
            Bug::PlaceMovesTwice => judged.plan.hand_overs.retain(|it| it.from != from),
            _ => {}
        }
        if from >= judged.approvers.len() {
            return;
        }
        let candidates: Vec<Address> = (0..PEOPLE.len()).map(address).collect();
        let wish = HandOverWish {
            to: Some(address(to)),
            reason: "Leave".to_owned(),
        };
        let form = form(from, Verdict::Reject, None).form;
        let step = judged.judge_hand_over(&form, &wish, &candidates, now());
        if let HandOverStep::Record(receiver) = step {
            let receiver = approver(receiver.as_str());
            row.record_hand_over(from, receiver, wish.reason, now());
            if self.bug == Bug::PlaceIsLost {
                row.plan.stages[0].asks[0].members.retain(|&it| it != from);
            }
        }
    }
}

impl Model for Gate {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        let mut request = request_of(now(), LIFE);
        request.on_behalf_of = Some(address(ACTED_FOR));
        let approvers = (0..MEMBERS).map(|it| approver(address(it).as_str()));
        let approval = Approval::with_plan(request, plan(self.rejections), approvers.collect());
        vec![World {
            row: Row::of(approval, 0),
            people: (0..MEMBERS).collect(),
        }]
    }

    fn actions(&self, world: &World, actions: &mut Vec<Action>) {
        for person in 0..world.people.len() {
            let votes = [Verdict::Approve, Verdict::Reject];
            actions.extend(votes.map(|verdict| Action::Vote(person, verdict)));
            actions.push(Action::Revoke(person));
            actions.extend((0..PEOPLE.len()).map(|to| Action::HandOver(person, to)));
        }
    }

    fn next_state(&self, before: &World, action: Action) -> Option<World> {
        let mut row = Approval::clone(&before.row.approval);
        // What is left of a bug's row moves no further.
        if row.approvers.len() > PEOPLE.len() {
            return None;
        }
        match action {
            Action::Vote(person, verdict) => self.vote(&mut row, person, verdict),
            Action::Revoke(person) => drop(revoke(&mut row, person, now())),
            Action::HandOver(from, to) => self.hand_over(&mut row, from, to),
        }
        let number = |it: &Address| (0..PEOPLE.len()).position(|person| address(person) == *it);
        let people = row.approvers.iter().filter_map(|it| number(&it.address));
        let world = World {
            people: people.collect(),
            row: Row::of(row, 0),
        };
        (world != *before).then_some(world)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let always = Property::<Self>::always;
        let sometimes = Property::<Self>::sometimes;
        vec![
            always(TWO_PEOPLE, |_, world| {
                let approving = approving(world);
                let mut places: Vec<usize> = approving.iter().map(|&it| place(world, it)).collect();
                places.sort_unstable();
                status(world) != Status::Approved || (approving.len(), places) == (2, vec![0, 1])
            }),
            always(ONE_VOTER, |_, world| {
                let voters = |of: usize| {
                    let mut voters: Vec<usize> = ballots(world)
                        .map(|it| it.person)
                        .filter(|&it| place(world, it) == of)
                        .collect();
                    voters.dedup();
                    voters.len()
                };
                (0..MEMBERS).all(|of| voters(of) < 2)
            }),
            always(NOT_THE_GIVER, |_, world| {
                let hand_overs = hand_overs(world).iter();
                let mut givers = hand_overs.map(|it| it.from);
                givers.all(|giver| ballots(world).all(|it| it.person != giver))
            }),
            always(ONE_PLACE, |_, world| {
                let mut people = world.people.clone();
                people.sort_unstable();
                people.dedup();
                people.len() == world.people.len()
            }),
            always(MOVES_ONCE, |_, world| {
                let givers = hand_overs(world).iter().map(|it| it.from);
                let mut givers: Vec<usize> = givers.collect();
                givers.sort_unstable();
                givers.dedup();
                givers.len() == hand_overs(world).len()
            }),
            always(NOT_FOR_ONESELF, |_, world| {
                !world.people.contains(&ACTED_FOR)
            }),
            always(OPEN_WHILE_POSSIBLE, |_, world| {
                let mut rejections = ballots(world).filter(|it| it.verdict == Verdict::Reject);
                status(world) != Status::Rejected || rejections.next().is_some()
            }),
            always(SOMEONE_CAN_VOTE, |_, world| {
                let row = &world.row.approval;
                let mut people = 0..row.approvers.len();
                status(world) != Status::Pending || people.any(|it| row.can_vote(it, now()))
            }),
            always(CONSISTENT, |_, world| {
                let row = &world.row.approval;
                row.history_is_consistent() && row.check_votes().is_ok()
            }),
            sometimes("approved by two receivers", |_, world| {
                let is_receiver = |it: &usize| *it >= MEMBERS;
                status(world) == Status::Approved && approving(world).iter().all(is_receiver)
            }),
            sometimes("a place that moved on", |_, world| {
                let moved = hand_overs(world).iter().any(|it| it.from >= MEMBERS);
                moved && status(world) == Status::Approved
            }),
        ]
    }
}

const TWO_PEOPLE: &str = "approved only by two people, one in each place";
const ONE_VOTER: &str = "one person votes in each place";
const NOT_THE_GIVER: &str = "who handed a place over has no vote";
const ONE_PLACE: &str = "no person has two places";
const MOVES_ONCE: &str = "a place is handed on by the person who has it";
const NOT_FOR_ONESELF: &str = "the person acted for gets no place";
const OPEN_WHILE_POSSIBLE: &str = "nothing is rejected without a rejection";
const SOMEONE_CAN_VOTE: &str = "a pending request has a person who can vote";
const CONSISTENT: &str = "the history, the hand-overs and the votes explain the state";

fn ballots(world: &World) -> impl Iterator<Item = &Ballot> {
    world.row.approval.votes.iter().map(|vote| &vote.ballot)
}

fn hand_overs(world: &World) -> &[HandOver] {
    &world.row.approval.plan.hand_overs
}

fn status(world: &World) -> Status {
    world.row.approval.state.status()
}

/// The member whose place an approver has or had, by following the hand-overs back.
fn place(world: &World, person: usize) -> usize {
    let mut of = person;
    while let Some(hand_over) = hand_overs(world).iter().find(|it| it.to == of) {
        of = hand_over.from;
    }
    of
}

/// The approvers whose last ballot approves.
fn approving(world: &World) -> Vec<usize> {
    let last = |person| ballots(world).filter(|it| it.person == person).last();
    (0..world.people.len())
        .filter(|&it| last(it).is_some_and(|ballot| ballot.verdict == Verdict::Approve))
        .collect()
}

#[test]
fn every_order_of_votes_and_hand_overs_keeps_the_guarantees() {
    let mut states = 0;
    for rejections in [1, 2] {
        let bug = Bug::None;
        states += check_all(Gate { rejections, bug });
    }
    record("hand-over", &[("states", states)]);
}

#[test]
fn each_bug_seeded_into_handing_over_is_found() {
    let found = [
        (Bug::GiverVotes, NOT_THE_GIVER),
        (Bug::ReceiverHasAPlace, ONE_PLACE),
        (Bug::ReceiverIsActedFor, NOT_FOR_ONESELF),
        (Bug::VotedPlaceMoves, NOT_THE_GIVER),
        (Bug::PlaceMovesTwice, MOVES_ONCE),
        (Bug::PlaceIsLost, SOMEONE_CAN_VOTE),
    ];
    let with = |bug| Gate { rejections: 2, bug };
    find_each("hand-over-bugs", &found, with);
}
