//! Exhaustive model of people who are away: two approvals of two people of finance, and a lead who is asked by
//! escalation. The first of finance, or the lead, is absent and has a substitute. They vote and revoke in every order;
//! time passes, and the sweep runs or does not. The guarantees are derived from the votes and the emails anew.

use std::num::NonZeroU8;
use std::time::Duration;

use human_oversight::domain::{
    Approval, Ask, Ballot, DecisionStep, Escalation, EventKind, Notice, Origin, Plan, PolicyOrigin,
    Stage, State, Status, Substitute, Verdict, Words,
};
use human_oversight::values::{Digest, Timestamp};
use stateright::{Model, Property};

use super::model_row::Row;
use super::{check_all, find_each, record};
use crate::forms::{form, record_ballot, revoke};
use crate::lifecycle::{approver, request_of};

const LIFE: Duration = Duration::from_secs(400);

const FIRST: usize = 0;
const LEAD: usize = 2;
const SUBSTITUTE: usize = 3;
const PEOPLE: usize = 4;

/// The times: the submit, the escalation, the deadline.
const ESCALATION: u8 = 1;
const DEADLINE: u8 = 2;

fn at(tick: u8) -> Timestamp {
    let requested_at = Timestamp::parse("2026-11-22T17:30:00.000Z").unwrap();
    requested_at + LIFE / 2 * u32::from(tick)
}

fn plan(rejections: u8, absent: usize) -> Plan {
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
        escalation: Some(Escalation {
            after_percent: needed(50),
            from: vec!["leads".to_owned()],
            to: vec![LEAD],
        }),
        substitutes: vec![Substitute {
            of: absent,
            by: SUBSTITUTE,
            from: at(0),
            // The absence covers the opening of the stage, or its escalation.
            until: at(if absent == LEAD { 2 } else { 1 }),
        }],
        ..Plan::of_requester(0)
    }
}

#[derive(Clone, Debug, PartialEq, Hash)]
struct World {
    tick: u8,
    row: Row,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Action {
    Tick,
    Vote(usize, Verdict),
    Revoke(usize),
    Sweep,
}

/// Bugs seeded into the gate, to prove that the model detects each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bug {
    None,
    /// The substitute and the absent person are two votes.
    PairVotesTwice,
    /// The lead votes before the escalation.
    EarlyVote,
    /// The sweep escalates before it is due.
    EarlyEscalation,
    /// Each sweep escalates.
    RepeatedEscalation,
    /// What no one has decided is approved by the escalation.
    ApprovedByEscalation,
    /// The rejection of one ends what the lead could still approve.
    LeadForgotten,
    /// The substitute of the lead votes before the escalation.
    EarlySubstitute,
    /// The escalation does not ask the substitute of the lead.
    SubstituteForgotten,
}

struct Gate {
    rejections: u8,
    absent: usize,
    bug: Bug,
}

impl Gate {
    fn vote(&self, row: &mut Approval, person: usize, verdict: Verdict, now: Timestamp) {
        let mut judged = row.clone();
        match self.bug {
            Bug::PairVotesTwice if person == SUBSTITUTE => {
                judged
                    .votes
                    .retain(|vote| vote.ballot.person != self.absent);
            }
            Bug::EarlyVote if person == LEAD => {
                judged.plan.stages[0].asks[0].members.push(LEAD);
            }
            Bug::EarlySubstitute if person == SUBSTITUTE => {
                judged.plan.stages[0].asks[0].members.push(LEAD);
            }
            _ => {}
        }
        if let DecisionStep::Sign(ballot) = judged.judge_form(&form(person, verdict, None), now) {
            let plan = row.plan.clone();
            if self.bug == Bug::LeadForgotten {
                row.plan.escalation = None;
            }
            record_ballot(row, ballot, LIFE);
            row.plan = plan;
        }
    }

    fn sweep(&self, row: &mut Approval, now: Timestamp) {
        row.apply_timeouts(LIFE, now);
        if self.bug == Bug::RepeatedEscalation {
            let mut history = row.history.clone();
            row.history
                .retain(|event| event.what != EventKind::Escalated);
            let kept = row.history.len();
            row.escalate(now);
            history.extend_from_slice(&row.history[kept..]);
            row.history = history;
        }
        if self.bug == Bug::SubstituteForgotten {
            row.plan.substitutes.clear();
        }
        if self.bug == Bug::EarlyEscalation {
            row.escalate(at(ESCALATION));
        }
        let before = row.history.len();
        row.escalate(now);
        row.plan.substitutes = plan(self.rejections, self.absent).substitutes;
        if self.bug == Bug::ApprovedByEscalation && row.history.len() > before {
            let ballot = Ballot {
                person: LEAD,
                place: super::votes::place(0),
                seat: LEAD,
                assurance: human_oversight::domain::Assurance::Link,
                verdict: Verdict::Approve,
                words: Words::default(),
                at: now,
            };
            row.plan.stages[0].asks.clear();
            record_ballot(row, ballot, LIFE);
            row.plan = plan(self.rejections, self.absent);
        }
    }
}

impl Model for Gate {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        let approvers =
            ["a", "b", "lead", "substitute"].map(|name| approver(&format!("{name}@example.com")));
        let request = request_of(at(0), LIFE);
        let approval = Approval::with_plan(
            request,
            plan(self.rejections, self.absent),
            approvers.into(),
        );
        vec![World {
            tick: 0,
            row: Row::of(approval, 0),
        }]
    }

    fn actions(&self, world: &World, actions: &mut Vec<Action>) {
        if world.tick < DEADLINE {
            actions.push(Action::Tick);
        }
        actions.push(Action::Sweep);
        for person in 0..PEOPLE {
            let votes = [Verdict::Approve, Verdict::Reject];
            actions.extend(votes.map(|verdict| Action::Vote(person, verdict)));
            actions.push(Action::Revoke(person));
        }
    }

    fn next_state(&self, before: &World, action: Action) -> Option<World> {
        let mut row = Approval::clone(&before.row.approval);
        let mut tick = before.tick;
        let now = at(tick);
        match action {
            Action::Tick => tick += 1,
            Action::Vote(person, verdict) => self.vote(&mut row, person, verdict, now),
            Action::Revoke(person) => drop(revoke(&mut row, person, now)),
            Action::Sweep => self.sweep(&mut row, now),
        }
        let world = World {
            tick,
            row: Row::of(row, 0),
        };
        (world != *before).then_some(world)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let always = Property::<Self>::always;
        let sometimes = Property::<Self>::sometimes;
        vec![
            always(TWO_PEOPLE, |gate, world| {
                let approved = status(world) == Status::Approved;
                !approved || gate.seats(world, Verdict::Approve).len() == 2
            }),
            always(ONE_OF_THE_PAIR, |gate, world| {
                let pair = [gate.absent, SUBSTITUTE];
                pair.iter()
                    .filter(|person| ballots(world).any(|it| it.person == **person))
                    .count()
                    < 2
            }),
            always(NOT_BEFORE, |gate, world| {
                ballots(world).all(|it| gate.seat(it.person) != LEAD || it.at >= at(ESCALATION))
            }),
            always(ASKED_IN_TIME, |gate, world| {
                let events = &world.row.approval.history;
                let mut asked = events.iter().filter(|it| it.what == EventKind::Escalated);
                let lead = &world.row.approval.approvers[LEAD];
                let is_asked = lead.request_delivery().is_some();
                let substitute = &world.row.approval.approvers[SUBSTITUTE];
                let substitute_is_asked = substitute.request_delivery().is_some();
                let first = asked.next();
                let has_voted = ballots(world).any(|it| gate.seat(it.person) == LEAD);
                asked.next().is_none()
                    && (is_asked || has_voted || first.is_none())
                    && (first.is_some() || !is_asked)
                    && first.is_none_or(|it| (at(ESCALATION)..at(DEADLINE)).contains(&it.at))
                    && (!is_asked || world.tick >= ESCALATION)
                    && (gate.absent != LEAD || is_asked == substitute_is_asked)
            }),
            always(TOLD_ONCE, |_, world| {
                let people = &world.row.approval.approvers;
                people.iter().all(|person| {
                    let of = |notice| {
                        person
                            .deliveries
                            .iter()
                            .filter(move |it| it.notice == notice)
                            .count()
                    };
                    of(Notice::Request) <= 1 && of(Notice::Escalation) <= 1
                })
            }),
            always(OPEN_WHILE_POSSIBLE, |gate, world| {
                let rejections = gate.seats(world, Verdict::Reject).len();
                let is_rejected = matches!(world.row.approval.state, State::Rejected(_));
                // Three seats, of which two must approve: one rejection leaves enough.
                !is_rejected || rejections >= usize::from(gate.rejections)
            }),
            always(CONSISTENT, |_, world| {
                let row = &world.row.approval;
                row.history_is_consistent() && row.check_votes().is_ok()
            }),
            sometimes(
                "approved by the escalation and the substitute",
                |gate, world| {
                    let by = |person| ballots(world).any(|it| it.person == person);
                    let is_escalated = gate.absent == LEAD || by(LEAD);
                    status(world) == Status::Approved && is_escalated && by(SUBSTITUTE)
                },
            ),
            sometimes("approved after a rejection", |gate, world| {
                status(world) == Status::Approved && !gate.seats(world, Verdict::Reject).is_empty()
                    || world.row.approval.plan.rejections.get() == 1
            }),
        ]
    }
}

const TWO_PEOPLE: &str =
    "approved only by two people, of whom the absent person and the substitute are one";
const ONE_OF_THE_PAIR: &str = "of the absent person and the substitute one votes";
const NOT_BEFORE: &str = "the lead and the lead's substitute vote only after the escalation";
const ASKED_IN_TIME: &str = "the lead, with the lead's substitute, is asked once, when the escalation is due and before the deadline";
const TOLD_ONCE: &str = "each person is asked once and told of the escalation once";
const OPEN_WHILE_POSSIBLE: &str = "what the lead can still approve stays open";
const CONSISTENT: &str = "the history and the votes explain the state";

fn ballots(world: &World) -> impl Iterator<Item = &Ballot> {
    world.row.approval.votes.iter().map(|vote| &vote.ballot)
}

fn status(world: &World) -> Status {
    world.row.approval.state.status()
}

impl Gate {
    fn seat(&self, person: usize) -> usize {
        if person == SUBSTITUTE {
            self.absent
        } else {
            person
        }
    }

    /// The seats whose last ballot is this.
    fn seats(&self, world: &World, verdict: Verdict) -> Vec<usize> {
        let last = |of| {
            ballots(world)
                .filter(|it| self.seat(it.person) == of)
                .last()
        };
        let people = [FIRST, 1, LEAD].into_iter();
        people
            .filter(|&it| last(it).is_some_and(|ballot| ballot.verdict == verdict))
            .collect()
    }
}

#[test]
fn every_order_of_votes_sweeps_and_times_keeps_the_guarantees() {
    let mut states = 0;
    for rejections in [1, 2] {
        for absent in [FIRST, LEAD] {
            let bug = Bug::None;
            states += check_all(Gate {
                rejections,
                absent,
                bug,
            });
        }
    }
    record("away", &[("states", states)]);
}

#[test]
fn each_bug_seeded_into_escalation_and_absence_is_found() {
    let found = [
        (Bug::PairVotesTwice, ONE_OF_THE_PAIR),
        (Bug::EarlyVote, NOT_BEFORE),
        (Bug::EarlyEscalation, ASKED_IN_TIME),
        (Bug::RepeatedEscalation, ASKED_IN_TIME),
        (Bug::ApprovedByEscalation, TWO_PEOPLE),
        (Bug::LeadForgotten, OPEN_WHILE_POSSIBLE),
        (Bug::EarlySubstitute, NOT_BEFORE),
        (Bug::SubstituteForgotten, ASKED_IN_TIME),
    ];
    let with = |bug| Gate {
        rejections: 2,
        absent: match bug {
            Bug::EarlySubstitute | Bug::SubstituteForgotten => LEAD,
            _ => FIRST,
        },
        bug,
    };
    find_each("away-bugs", &found, with);
}
