//! Exhaustive model of the outbox: a request with one channel, which is submitted and withdrawn, and two processes that
//! lease, send and record, and die at any moment. The channel accepts, refuses, or accepts while the answer is lost.

use std::num::NonZeroU8;
use std::time::Duration;

use human_oversight::domain::{
    Approval, Ask, ChannelAttempt, ChannelReadiness, ChannelResult, DeliveryFault, DeliveryState,
    Origin, Plan, PolicyOrigin, Stage,
};
use human_oversight::values::{Digest, Timestamp};
use stateright::{Model, Property};

use super::{check_all, find_each, record};
use crate::lifecycle::{approver, request_of};

const LIFE: Duration = Duration::from_secs(100_000);
/// Longer than a lease and than the pauses of the first attempts.
const STEP: Duration = Duration::from_secs(400);
const STEPS: u8 = 3;
/// The most attempts that are looked at.
const ATTEMPTS: u32 = 2;

fn start() -> Timestamp {
    Timestamp::parse("2026-11-22T17:30:00.000Z").unwrap()
}

fn plan() -> Plan {
    let ask = Ask {
        from: "finance".to_owned(),
        members: vec![0],
        needed: NonZeroU8::MIN,
    };
    Plan {
        origin: Origin::Policy(PolicyOrigin {
            digest: Digest([0; 32]),
            rules: vec!["payments".to_owned()],
            facts: Vec::new(),
        }),
        stages: vec![Stage { asks: vec![ask] }],
        tell: vec!["ledger".to_owned()],
        ..Plan::of_requester(0)
    }
}

#[derive(Clone, Debug, PartialEq)]
struct World {
    row: Approval,
    steps: u8,
    processes: [Option<Held>; 2],
    /// How often the channel has accepted each event.
    accepted: [u8; 2],
    /// Which events were recorded as sent.
    recorded: [bool; 2],
    /// Whether two processes ever sent the same event under a lease.
    sent_together: bool,
    /// Whether an event was sent after that.
    sent_again: bool,
}

/// What a process has leased.
#[derive(Clone, Debug, PartialEq)]
struct Held {
    attempt: ChannelAttempt,
    /// The step in which it was leased: the lease ends with it.
    step: u8,
    /// Whether the channel has accepted it, once it has answered.
    accepted: Option<bool>,
}

impl std::hash::Hash for World {
    fn hash<H: std::hash::Hasher>(&self, hasher: &mut H) {
        format!("{self:?}").hash(hasher);
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Action {
    Withdraw,
    PassTime,
    Lease(usize),
    /// Whether the channel accepts, and whether its answer arrives.
    Send(usize, bool, bool),
    Record(usize),
    Die(usize),
}

/// Bugs seeded into the gate, to prove that the model detects each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bug {
    None,
    /// The lease is not stored before the message is sent.
    SendsWithoutLease,
    /// An event is not queued in the write that stores it.
    ForgetsEvent,
    /// A delivery counts as sent once it is leased.
    SentWhenLeased,
    /// A refusal ends the delivery.
    RefusalIsFinal,
    /// A lease of another process counts for nothing.
    IgnoresLeases,
    /// What was sent is leased again.
    LeasesWhatWasSent,
}

struct Gate(Bug);

impl Gate {
    fn now(world: &World) -> Timestamp {
        start() + STEP * world.steps.into()
    }

    fn lease(&self, world: &mut World, process: usize) -> Option<()> {
        let now = Self::now(world);
        let mut row = world.row.clone();
        for delivery in &mut row.outbox {
            let is_again = match delivery.state {
                DeliveryState::Sending(_) => self.0 == Bug::IgnoresLeases,
                DeliveryState::Sent(_) => self.0 == Bug::LeasesWhatWasSent,
                _ => false,
            };
            if is_again {
                delivery.state = DeliveryState::Queued(now);
            }
        }
        let leased = row.lease_channel_deliveries(|_| ChannelReadiness::default(), now);
        // One message a process: what else was leased is sent when its lease ends.
        let attempt = leased.into_iter().next()?;
        if attempt.number > ATTEMPTS {
            return None;
        }
        if self.0 != Bug::SendsWithoutLease {
            world.row = row;
        }
        if self.0 == Bug::SentWhenLeased {
            let result = ChannelResult::Sent;
            world.row.record_channel_result(&attempt, result, now);
        }
        world.processes[process] = Some(Held {
            attempt,
            step: world.steps,
            accepted: None,
        });
        Some(())
    }

    /// A process sends only while its lease lasts.
    fn send(&self, world: &mut World, process: usize, accepts: bool, arrives: bool) -> Option<()> {
        let held = world.processes[process].clone()?;
        if held.step != world.steps || held.accepted.is_some() {
            return None;
        }
        let event = held.attempt.event;
        let other = world.processes[1 - process].as_ref();
        let sends_the_same = |it: &Held| it.attempt.event == event && it.step == world.steps;
        world.sent_together |= other.is_some_and(sends_the_same);
        world.sent_again |= world.recorded[usize::from(event > 1)];
        world.accepted[usize::from(event > 1)] += u8::from(accepts);
        world.processes[process] = arrives.then_some(Held {
            accepted: Some(accepts),
            ..held
        });
        Some(())
    }

    fn record(&self, world: &mut World, process: usize) -> Option<()> {
        let now = Self::now(world);
        let held = world.processes[process].take()?;
        let result = match (held.accepted?, self.0) {
            (true, _) => ChannelResult::Sent,
            (false, Bug::RefusalIsFinal) => ChannelResult::Off,
            (false, _) => ChannelResult::Failed(DeliveryFault::Unavailable, None),
        };
        let before = world.row.clone();
        world.row.record_channel_result(&held.attempt, result, now);
        // The result of an attempt that another one has followed is not recorded.
        let is_recorded = world.row != before && result == ChannelResult::Sent;
        world.recorded[usize::from(held.attempt.event > 1)] |= is_recorded;
        Some(())
    }
}

impl Model for Gate {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        let request = request_of(start(), LIFE);
        let approvers = vec![approver("alice@example.com")];
        vec![World {
            row: Approval::with_plan(request, plan(), approvers),
            steps: 0,
            processes: [None, None],
            accepted: [0, 0],
            recorded: [false, false],
            sent_together: false,
            sent_again: false,
        }]
    }

    fn actions(&self, world: &World, actions: &mut Vec<Action>) {
        actions.extend([Action::Withdraw, Action::PassTime]);
        for process in 0..2 {
            match &world.processes[process] {
                None => actions.push(Action::Lease(process)),
                Some(Held { accepted: None, .. }) => {
                    for accepts in [false, true] {
                        actions.extend([true, false].map(|it| Action::Send(process, accepts, it)));
                    }
                    actions.push(Action::Die(process));
                }
                Some(_) => {
                    actions.extend([Action::Record(process), Action::Die(process)]);
                }
            }
        }
    }

    fn next_state(&self, before: &World, action: Action) -> Option<World> {
        let mut world = before.clone();
        match action {
            Action::Withdraw => {
                world.row.withdraw(Self::now(before)).ok()?;
                if self.0 == Bug::ForgetsEvent {
                    world.row.outbox.pop();
                }
            }
            Action::PassTime if world.steps < STEPS => world.steps += 1,
            Action::PassTime => return None,
            Action::Lease(process) => self.lease(&mut world, process)?,
            Action::Send(process, accepts, arrives) => {
                self.send(&mut world, process, accepts, arrives)?;
            }
            Action::Record(process) => self.record(&mut world, process)?,
            Action::Die(process) => world.processes[process] = None,
        }
        Some(world)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let always = Property::<Self>::always;
        let sometimes = Property::<Self>::sometimes;
        vec![
            always(NOTHING_IS_LOST, |_, world| {
                let events = [1, world.row.history.len()];
                (0..events.len()).all(|index| {
                    let event = events[index];
                    let mut deliveries = world.row.outbox.iter().filter(|it| it.event == event);
                    deliveries.next().is_some_and(|delivery| {
                        let waits = matches!(
                            delivery.state,
                            DeliveryState::Queued(_) | DeliveryState::Sending(_)
                        );
                        waits || world.accepted[usize::from(event > 1)] > 0
                    }) && deliveries.next().is_none()
                })
            }),
            always(ONE_SENDER, |_, world| !world.sent_together),
            always(NOT_AGAIN, |_, world| !world.sent_again),
            sometimes("both events are recorded as sent", |_, world| {
                let outbox = &world.row.outbox;
                let is_sent = |state: &DeliveryState| matches!(state, DeliveryState::Sent(_));
                outbox.len() == 2 && outbox.iter().all(|it| is_sent(&it.state))
            }),
            sometimes(
                "an event is accepted twice, since an answer was lost",
                |_, world| world.accepted.iter().any(|&times| times > 1),
            ),
        ]
    }
}

const NOTHING_IS_LOST: &str = "each event is accepted, or waits to be sent";
const ONE_SENDER: &str = "one process sends an attempt";
const NOT_AGAIN: &str = "what is recorded as sent is not sent again";

#[test]
fn every_order_of_leases_answers_and_deaths_loses_no_event() {
    let states = check_all(Gate(Bug::None));
    record("outbox", &[("states", states)]);
}

#[test]
fn each_bug_seeded_into_the_outbox_is_found() {
    let found = [
        (Bug::SendsWithoutLease, ONE_SENDER),
        (Bug::ForgetsEvent, NOTHING_IS_LOST),
        (Bug::SentWhenLeased, NOTHING_IS_LOST),
        (Bug::RefusalIsFinal, NOTHING_IS_LOST),
        (Bug::IgnoresLeases, ONE_SENDER),
        (Bug::LeasesWhatWasSent, NOT_AGAIN),
    ];
    find_each("outbox-bugs", &found, Gate);
}
