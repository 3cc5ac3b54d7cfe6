//! Exhaustive model of delivery reports: the emails of two approvers are sent, again after a lost answer, while the
//! mail service reports on them, in any order, repeatedly and before the answer to the email, and the approvers decide
//! and the deadline passes. Each call reads and evaluates the row in one step, and writes it in a second, on condition
//! that it has not changed; a report and another call are under way at a time.

use std::time::Duration;

use human_oversight::domain::{
    Approval, DecisionStep, DeliveryFault, DeliveryState, Notice, NotificationSettings,
    SendAttempt, SendResult, State, Status, Verdict,
};
use human_oversight::values::Timestamp;
use stateright::{Model, Property};

use super::model_row::Row;
use super::{check_all, find_each, record};
use crate::forms::{form, record_ballot};
use crate::lifecycle::{approver, request_of};

const LIFE: Duration = Duration::from_secs(300);

/// The start, a time after the send lease and the pause before the next attempt, and the deadline, in seconds.
const TIMES: [u64; 3] = [0, 100, 300];

const NO_NOTICES: NotificationSettings = NotificationSettings {
    reminders: false,
    outcome: false,
    withdrawn: false,
};

fn at(point: u8) -> Timestamp {
    let start = Timestamp::parse("2026-11-22T17:30:00.000Z").unwrap();
    start + Duration::from_secs(TIMES[usize::from(point)])
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Call {
    /// The sweep leases what is due, and stores timeouts.
    Sweep,
    /// The result of the last attempt to email an approver: accepted, or the answer was lost.
    Result(usize, bool),
    /// The mail service reports that the email of an approver bounced.
    Bounced(usize),
    /// It reports that the email was delivered.
    Delivered(usize),
    Decide(usize, Verdict),
}

#[derive(Clone, Debug, PartialEq, Hash)]
struct Write {
    call: Call,
    next: Row,
}

#[derive(Clone, Debug, PartialEq, Hash)]
struct World {
    now: u8,
    row: Row,
    writes: Vec<Write>,
    /// Of each approver, the number of the attempt whose result is not known yet.
    sending: [Option<u32>; 2],
    /// The attempts that there were when a bounce was acknowledged.
    bounced: [Option<u32>; 2],
    /// The status in which it ended first.
    end: Option<Status>,
    rewritten: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Action {
    Tick,
    Call(Call),
    Write(usize),
}

/// Bugs seeded into the gate, to prove that the model detects each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bug {
    None,
    /// A report is written whatever has happened since its row was read.
    UnconditionalReport,
    /// A report ends what is decided.
    EndsWhatIsDecided,
    /// One email that bounced ends the request.
    OneEndsAll,
    /// What bounced ends nothing.
    EndsNothing,
    /// A report of a delivery follows that of a bounce, and counts.
    DeliveredLater,
    /// The answer to the email counts after the report.
    ResultOverReport,
    /// The report counts for the other approver.
    OtherApprover,
}

struct Gate(Bug);

fn status(row: &Approval) -> Status {
    row.state.status()
}

fn delivery(row: &Approval, person: usize) -> (DeliveryState, u32) {
    let delivery = row.approvers[person].request_delivery().unwrap();
    (delivery.state, delivery.attempts)
}

fn has_failed(row: &Approval, person: usize) -> bool {
    matches!(delivery(row, person).0, DeliveryState::Failed(_))
}

fn set_state(row: &mut Approval, person: usize, state: DeliveryState) {
    let mut deliveries = row.approvers[person].deliveries.iter_mut();
    let request = deliveries.find(|it| it.notice == Notice::Request);
    request.unwrap().state = state;
}

impl Gate {
    fn bounce(&self, row: &mut Approval, person: usize, now: Timestamp) {
        let before = row.clone();
        let person = match self.0 {
            Bug::OtherApprover => 1 - person,
            _ => person,
        };
        row.record_non_delivery(person, Notice::Request, now);
        let is_pending = before.state == State::Pending;
        match self.0 {
            Bug::EndsWhatIsDecided if (0..2).all(|it| has_failed(row, it)) && !is_pending => {
                row.state = State::Undeliverable { at: now };
            }
            Bug::OneEndsAll if is_pending => {
                for other in 0..2 {
                    row.record_non_delivery(other, Notice::Request, now);
                }
                if !has_failed(&before, 1 - person) {
                    set_state(row, 1 - person, delivery(&before, 1 - person).0);
                }
            }
            Bug::EndsNothing if is_pending => {
                row.state = State::Pending;
                row.history.clone_from(&before.history);
            }
            _ => {}
        }
    }

    fn evaluate(&self, world: &World, call: Call, row: &mut Approval) {
        let now = at(world.now);
        match call {
            Call::Sweep => {
                row.apply_timeouts(LIFE, now);
                row.lease_deliveries(NO_NOTICES, now);
            }
            Call::Result(person, is_accepted) => {
                let Some(number) = world.sending[person] else {
                    return;
                };
                if self.0 == Bug::ResultOverReport && is_accepted {
                    set_state(row, person, DeliveryState::Sent(now));
                }
                let leased_until = match row.approvers[person].deliveries[0].state {
                    DeliveryState::Sending(until) => until,
                    _ => now,
                };
                let attempt = SendAttempt {
                    approver: person,
                    notice: Notice::Request,
                    number,
                    leased_until,
                };
                let result = if is_accepted {
                    SendResult::Sent
                } else {
                    SendResult::Failed(DeliveryFault::Unavailable, None)
                };
                row.record_delivery_result(attempt, result, now);
            }
            Call::Bounced(person) => self.bounce(row, person, now),
            Call::Delivered(person) => {
                if self.0 == Bug::DeliveredLater {
                    set_state(row, person, DeliveryState::Sent(now));
                }
            }
            Call::Decide(person, verdict) => {
                if let DecisionStep::Sign(ballot) =
                    row.judge_form(&form(person, verdict, None), now)
                {
                    record_ballot(row, ballot, LIFE);
                }
            }
        }
    }

    /// Ends a call, whose row is stored.
    fn end(world: &mut World, call: Call) {
        match call {
            Call::Sweep => {
                for person in 0..2 {
                    let (state, attempts) = delivery(&world.row.approval, person);
                    if matches!(state, DeliveryState::Sending(_)) {
                        world.sending[person] = Some(attempts);
                    }
                }
            }
            Call::Result(person, _) => world.sending[person] = None,
            Call::Bounced(person) => {
                let (_, attempts) = delivery(&world.row.approval, person);
                world.bounced[person].get_or_insert(attempts);
            }
            _ => {}
        }
    }
}

impl Model for Gate {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        let approvers = ["alice@example.com", "bob@example.com"].map(approver);
        let mut approval = Approval::new(request_of(at(0), LIFE), approvers.into());
        assert_eq!(approval.lease_deliveries(NO_NOTICES, at(0)).len(), 2);
        vec![World {
            now: 0,
            row: Row::of(approval, 0),
            writes: Vec::new(),
            sending: [Some(1); 2],
            bounced: [None; 2],
            end: None,
            rewritten: false,
        }]
    }

    fn actions(&self, world: &World, actions: &mut Vec<Action>) {
        if usize::from(world.now) + 1 < TIMES.len() {
            actions.push(Action::Tick);
        }
        actions.extend((0..world.writes.len()).map(Action::Write));
        if world.writes.len() < 2 {
            let people = (0..2).flat_map(|it| {
                [
                    Call::Result(it, true),
                    Call::Result(it, false),
                    Call::Bounced(it),
                    Call::Delivered(it),
                ]
            });
            let others = [
                Call::Sweep,
                Call::Decide(0, Verdict::Approve),
                Call::Decide(1, Verdict::Reject),
            ];
            let is_report = |call: &Call| matches!(call, Call::Bounced(_));
            let races = |call: &Call| {
                world
                    .writes
                    .iter()
                    .all(|it| is_report(&it.call) || is_report(call))
            };
            let calls = people.chain(others).filter(races);
            actions.extend(calls.map(Action::Call));
        }
    }

    fn next_state(&self, before: &World, action: Action) -> Option<World> {
        let mut world = before.clone();
        match action {
            Action::Tick => world.now += 1,
            Action::Call(call) => {
                let mut row = Approval::clone(&world.row.approval);
                self.evaluate(before, call, &mut row);
                if row == *world.row.approval {
                    Self::end(&mut world, call);
                } else {
                    let next = Row::of(row, 0);
                    let write = Write { call, next };
                    if world.writes.contains(&write) {
                        return None;
                    }
                    world.writes.push(write);
                    // In either order they are one state.
                    world.writes.sort_by_key(|it| it.next.fingerprint);
                }
            }
            Action::Write(index) => {
                let write = world.writes.remove(index);
                // The others conflict: their callers read the row again.
                let overwrites = self.0 == Bug::UnconditionalReport;
                let is_report = |it: &Write| matches!(it.call, Call::Bounced(_));
                world.writes.retain(|it| overwrites && is_report(it));
                let past = &world.row.approval.history;
                world.rewritten |= !write.next.approval.history.starts_with(past);
                world.row = write.next;
                Self::end(&mut world, write.call);
                let status = status(&world.row.approval);
                if status != Status::Pending {
                    world.end.get_or_insert(status);
                }
            }
        }
        (world != *before).then_some(world)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let always = Property::<Self>::always;
        let sometimes = Property::<Self>::sometimes;
        vec![
            always(PAST, |_, world| !world.rewritten),
            always(ONE_END, |_, world| {
                let now = status(&world.row.approval);
                world.end.is_none_or(|end| end == now)
            }),
            always(STAYS, |_, world| {
                let mut people = world.bounced.iter().enumerate();
                people.all(|(it, bounced)| {
                    // Between two attempts, an end has dropped it.
                    let state = delivery(&world.row.approval, it).0;
                    let is_over =
                        matches!(state, DeliveryState::Failed(_) | DeliveryState::Dropped(_));
                    bounced.is_none() || is_over
                })
            }),
            always(NOT_AGAIN, |_, world| {
                let mut people = world.bounced.iter().enumerate();
                people.all(|(it, bounced)| {
                    bounced.is_none_or(|attempts| delivery(&world.row.approval, it).1 == attempts)
                })
            }),
            always(AT_ONCE, |_, world| {
                let status = world.row.approval.status(at(world.now));
                status != Status::Pending || !all_bounced(world)
            }),
            always(NOT_EARLY, |_, world| {
                let row = &world.row.approval;
                status(row) != Status::Undeliverable || (0..2).all(|it| has_failed(row, it))
            }),
            always(CONSISTENT, |_, world| {
                world.row.approval.history_is_consistent()
            }),
            sometimes("undeliverable", |_, world| {
                status(&world.row.approval) == Status::Undeliverable
            }),
            sometimes("decided by the one whose email arrived", |_, world| {
                let is_rejected = status(&world.row.approval) == Status::Rejected;
                is_rejected && world.bounced[0].is_some() && world.bounced[1].is_none()
            }),
            sometimes("decided, and then all emails bounced", |_, world| {
                status(&world.row.approval) == Status::Approved && all_bounced(world)
            }),
            sometimes("reported before the answer to the email", |_, world| {
                world.bounced[0].is_some() && world.sending[0].is_some()
            }),
            sometimes("sent again, and then reported", |_, world| {
                world.bounced[0] == Some(2)
            }),
        ]
    }
}

fn all_bounced(world: &World) -> bool {
    world.bounced.iter().all(Option::is_some)
}

const PAST: &str = "history is append-only";
const ONE_END: &str = "an end is final";
const STAYS: &str = "what was reported as failed stays failed";
const NOT_AGAIN: &str = "what was reported as failed is not sent again";
const AT_ONCE: &str = "a request of which every email failed is not pending";
const NOT_EARLY: &str = "undeliverable only when every email failed";
const CONSISTENT: &str = "the history explains the state";

#[test]
fn every_order_of_reports_results_and_decisions_keeps_the_guarantees() {
    let states = check_all(Gate(Bug::None));
    record("delivery", &[("states", states)]);
}

#[test]
fn each_bug_seeded_into_delivery_reports_is_found() {
    let found = [
        (Bug::UnconditionalReport, PAST),
        (Bug::EndsWhatIsDecided, ONE_END),
        (Bug::OneEndsAll, NOT_EARLY),
        (Bug::EndsNothing, AT_ONCE),
        (Bug::DeliveredLater, STAYS),
        (Bug::ResultOverReport, STAYS),
        (Bug::OtherApprover, STAYS),
    ];
    find_each("delivery-bugs", &found, Gate);
}
