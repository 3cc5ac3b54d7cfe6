//! Exhaustive model of the outbox of a standing row: a grant that the operator ends, or its time, and two processes that
//! queue the giver's notice in the row of the request, lease, send, and record, while the channel asks for a pause, the
//! operator sends again, responses of writes are lost, and processes die at any moment.

use std::time::Duration;

use human_oversight::domain::{
    Approval, Assurance, ChannelAttempt, ChannelReadiness, ChannelResult, DeliveryFault,
    DeliveryState, Grant, GrantEnd, GrantScope, Grants, Notice, NotificationSettings, SendResult,
    SignedGrant, StandingFact,
};
use human_oversight::values::{Address, Digest, Owner, Timestamp};
use stateright::{Model, Property};

use super::{check_all, find_each, record};
use crate::lifecycle::{approver, request_of};

/// Longer than a lease and than the pauses of the first attempts.
const STEP: Duration = Duration::from_secs(400);
const STEPS: u8 = 2;
/// In the last step the grant's time is over.
const LASTS: Duration = Duration::from_secs(700);
/// The most attempts that are looked at.
const ATTEMPTS: u32 = 3;
/// The event of the grant's end; the first one is that it was given.
const ENDED: usize = 2;
const GIVER: &str = "alice@example.com";

#[derive(Clone, Debug, PartialEq)]
struct World {
    grants: Grants,
    request: Approval,
    steps: u8,
    processes: [Option<Held>; 2],
    /// The number of the last lease of the grant's end.
    leases: u8,
    /// How often the channel has accepted the grant's end.
    accepted: u8,
    /// How many emails about the grant's end were sent.
    mails: u8,
    is_recorded: bool,
    is_redelivered: bool,
    sent_together: bool,
    sent_again: bool,
    /// Whether a result was recorded for an attempt of which it is not.
    foreign_result: bool,
}

/// What a process holds.
#[derive(Clone, Debug, PartialEq)]
enum Held {
    /// It has queued the notices of these events in the row of the request.
    Notified(Vec<usize>),
    Leased {
        attempt: ChannelAttempt,
        /// The step in which it was leased: the lease ends with it.
        step: u8,
        lease: u8,
    },
    Answered {
        attempt: ChannelAttempt,
        step: u8,
        lease: u8,
        answer: Answer,
        /// Whether it was recorded, and the response of that write lost.
        is_stored: bool,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Answer {
    Accepted,
    /// With a pause that the channel asks for.
    Busy,
    /// The channel was not called.
    Postponed,
}

impl std::hash::Hash for World {
    fn hash<H: std::hash::Hasher>(&self, hasher: &mut H) {
        let deliveries = &self.grants.outbox.deliveries;
        let notices = self.request.approvers.iter().flat_map(|it| &it.deliveries);
        let rest = (self.leases, self.accepted, self.mails, self.is_recorded);
        let flags = (
            self.is_redelivered,
            self.sent_together,
            self.sent_again,
            self.foreign_result,
        );
        format!(
            "{} {deliveries:?} {:?} {:?} {:?} {} {:?} {rest:?} {flags:?}",
            self.grants.outbox.last,
            notices.collect::<Vec<_>>(),
            self.grants
                .held
                .iter()
                .map(|it| it.ended)
                .collect::<Vec<_>>(),
            self.grants
                .outbox
                .for_givers()
                .map(|it| it.number)
                .collect::<Vec<_>>(),
            self.steps,
            self.processes,
        )
        .hash(hasher);
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Action {
    EndByOperator,
    PassTime,
    /// Reads the row, and queues the notices of givers in the row of the request.
    Notify(usize),
    RecordGivers(usize),
    Lease(usize),
    Send(usize, Answer),
    /// Whether the response of the write arrives; else it is made again.
    Record(usize, bool),
    Die(usize),
    Redeliver,
    Mail,
}

/// Bugs seeded into the gate, to prove that the model detects each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bug {
    None,
    /// An end is stored without its event.
    EndsWithoutEvent,
    /// An end that is announced is announced again when its time is over.
    AnnouncesAgain,
    /// That the giver is to be notified is crossed off before it is queued.
    CrossesOffFirst,
    /// The notice is queued again whatever became of it.
    QueuesNoticeAgain,
    /// The lease is not stored before the message is sent.
    SendsWithoutLease,
    /// What the operator sends again begins with the first attempt.
    RedeliveryReusesNumbers,
    /// An attempt that was postponed gives its number back.
    PostponementReusesNumbers,
}

struct Gate(Bug);

fn start() -> Timestamp {
    Timestamp::parse("2026-11-22T17:30:00.000Z").unwrap()
}

fn now(world: &World) -> Timestamp {
    start() + STEP * world.steps.into()
}

fn signed(request: &Approval) -> SignedGrant {
    SignedGrant {
        grant: Grant {
            id: "5f0c2a9e41d7b386".to_owned(),
            scope: GrantScope {
                owner: Owner::Local,
                agent: "agent".to_owned(),
                action: "Delete".to_owned(),
                digest: Digest([1; 32]),
                on_behalf_of: None,
            },
            rules: Digest([2; 32]),
            uses: 5,
            given_at: start(),
            until: start() + LASTS,
            giver: Address::parse(GIVER).unwrap(),
            assurance: Assurance::Link,
            given_with: request.request.id.clone(),
        },
        proof: String::new(),
    }
}

fn notice_is_due(world: &World) -> bool {
    let mut notices = world.request.approvers[0].deliveries.iter();
    let notice = notices.find(|it| it.notice == Notice::GrantEnd);
    notice.is_some_and(|it| matches!(it.state, DeliveryState::Queued(at) if at <= now(world)))
}

impl Gate {
    fn end(&self, world: &mut World) -> Option<()> {
        let id = world.grants.held[0].signed.grant.id.clone();
        let before = world.grants.outbox.clone();
        let now = now(world);
        world
            .grants
            .end(&id, GrantEnd::Operator, now)
            .then_some(())?;
        if self.0 == Bug::EndsWithoutEvent {
            world.grants.outbox = before;
        }
        Some(())
    }

    fn notify(&self, world: &mut World, process: usize) -> Option<()> {
        let events: Vec<_> = world.grants.outbox.for_givers().cloned().collect();
        let numbers: Vec<usize> = events.iter().map(|it| it.number).collect();
        (!numbers.is_empty()).then_some(())?;
        if self.0 == Bug::CrossesOffFirst {
            world.grants.outbox.record_givers(&numbers);
            // The process dies before the other write.
            return Some(());
        }
        let now = now(world);
        for event in events {
            match event.fact {
                StandingFact::GrantGiven(grant) => {
                    world.request.queue_grant_end(&grant.giver, grant.until);
                }
                StandingFact::GrantEnded(grant, by) => {
                    world.request.hasten_grant_end(&grant, by, now);
                    if self.0 == Bug::QueuesNoticeAgain {
                        let deliveries = &mut world.request.approvers[0].deliveries;
                        for notice in deliveries.iter_mut() {
                            notice.state = DeliveryState::Queued(now);
                        }
                    }
                }
                StandingFact::PauseStarted(_) | StandingFact::PauseEnded(_) => {}
            }
        }
        world.processes[process] = Some(Held::Notified(numbers));
        Some(())
    }

    fn lease(&self, world: &mut World, process: usize) -> Option<()> {
        let now = now(world);
        let mut grants = world.grants.clone();
        grants.expire(now);
        if self.0 == Bug::AnnouncesAgain && grants.outbox.last == ENDED {
            let held = &grants.held[0];
            if held.ended.is_some() && now >= held.signed.grant.until {
                let mut again = grants.outbox.events[ENDED - 1].clone();
                again.number += 1;
                grants.outbox.last += 1;
                grants.outbox.events.push(again);
            }
        }
        let leased = grants.outbox.lease(|_| ChannelReadiness::default(), now);
        if leased.is_empty() && grants == world.grants {
            return None;
        }
        let attempt = leased.into_iter().next();
        if attempt.as_ref().is_some_and(|it| it.number > ATTEMPTS) {
            return None;
        }
        if self.0 != Bug::SendsWithoutLease || attempt.is_none() {
            world.grants = grants;
        }
        if let Some(attempt) = attempt {
            world.leases += 1;
            world.processes[process] = Some(Held::Leased {
                attempt,
                step: world.steps,
                lease: world.leases,
            });
        }
        Some(())
    }

    /// A process sends only while its lease lasts.
    fn send(world: &mut World, process: usize, answer: Answer) -> Option<()> {
        let Some(Held::Leased {
            attempt,
            step,
            lease,
        }) = world.processes[process].clone()
        else {
            return None;
        };
        (step == world.steps).then_some(())?;
        let other_sends = match &world.processes[1 - process] {
            Some(Held::Leased { step, .. }) => *step == world.steps,
            Some(Held::Answered {
                step,
                answer,
                is_stored,
                ..
            }) => *step == world.steps && *answer != Answer::Postponed && !is_stored,
            _ => false,
        };
        world.sent_together |= other_sends && answer != Answer::Postponed;
        world.sent_again |= world.is_recorded && answer != Answer::Postponed;
        world.accepted += u8::from(answer == Answer::Accepted);
        world.processes[process] = Some(Held::Answered {
            attempt,
            step,
            lease,
            answer,
            is_stored: false,
        });
        Some(())
    }

    fn record(&self, world: &mut World, process: usize, arrives: bool) -> Option<()> {
        let now = now(world);
        let held = world.processes[process].clone()?;
        let Held::Answered {
            attempt,
            lease,
            answer,
            ..
        } = held
        else {
            return None;
        };
        let before = world.grants.clone();
        let result = match answer {
            Answer::Accepted => ChannelResult::Sent,
            Answer::Busy => {
                let asked = Some(Duration::from_secs(350));
                ChannelResult::Failed(DeliveryFault::Unavailable, asked)
            }
            Answer::Postponed => ChannelResult::Postponed(Duration::from_secs(120)),
        };
        world.grants.outbox.record(&attempt, result, now);
        let is_recorded = world.grants != before;
        if is_recorded {
            world.foreign_result |= lease != world.leases;
            world.is_recorded |= answer == Answer::Accepted;
            if self.0 == Bug::PostponementReusesNumbers && answer == Answer::Postponed {
                let ended = world.grants.outbox.deliveries.iter_mut();
                for delivery in ended.filter(|it| it.event == ENDED) {
                    delivery.attempts -= 1;
                    delivery.uncounted -= 1;
                }
            }
        }
        if arrives {
            world.processes[process] = None;
        } else {
            let Some(Held::Answered { is_stored, .. }) = &mut world.processes[process] else {
                return None;
            };
            (is_recorded && !*is_stored).then_some(())?;
            *is_stored = true;
        }
        Some(())
    }

    fn redeliver(&self, world: &mut World) -> Option<()> {
        (!world.is_redelivered).then_some(())?;
        let now = now(world);
        (world.grants.outbox.queue_again(now) > 0).then_some(())?;
        world.is_redelivered = true;
        if self.0 == Bug::RedeliveryReusesNumbers {
            for delivery in &mut world.grants.outbox.deliveries {
                if matches!(delivery.state, DeliveryState::Queued(_)) {
                    delivery.attempts = 0;
                    delivery.uncounted = 0;
                }
            }
        }
        Some(())
    }

    fn mail(world: &mut World) -> Option<()> {
        let now = now(world);
        let leased = world
            .request
            .lease_deliveries(NotificationSettings::ALL, now);
        let attempt = leased
            .into_iter()
            .find(|it| it.notice == Notice::GrantEnd)?;
        world
            .request
            .record_delivery_result(attempt, SendResult::Sent, now);
        world.mails += 1;
        Some(())
    }
}

impl Model for Gate {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        let mut request = Approval::new(
            request_of(start(), Duration::from_secs(100_000)),
            vec![approver(GIVER)],
        );
        // Nothing but the grant is looked at.
        request.approvers[0].deliveries.clear();
        let mut grants = Grants::default();
        let channels = ["ledger".to_owned()];
        assert!(grants.add(signed(&request), 0, &channels, start()));
        let given = grants
            .outbox
            .lease(|_| ChannelReadiness::default(), start());
        grants
            .outbox
            .record(&given[0], ChannelResult::Sent, start());
        vec![World {
            grants,
            request,
            steps: 0,
            processes: [None, None],
            leases: 0,
            accepted: 0,
            mails: 0,
            is_recorded: false,
            is_redelivered: false,
            sent_together: false,
            sent_again: false,
            foreign_result: false,
        }]
    }

    fn actions(&self, world: &World, actions: &mut Vec<Action>) {
        actions.extend([
            Action::EndByOperator,
            Action::PassTime,
            Action::Redeliver,
            Action::Mail,
        ]);
        for process in 0..2 {
            match &world.processes[process] {
                None => actions.extend([Action::Notify(process), Action::Lease(process)]),
                Some(Held::Notified(_)) => {
                    actions.extend([Action::RecordGivers(process), Action::Die(process)]);
                }
                Some(Held::Leased { .. }) => {
                    let answers = [Answer::Accepted, Answer::Busy, Answer::Postponed];
                    actions.extend(answers.map(|it| Action::Send(process, it)));
                    actions.push(Action::Die(process));
                }
                Some(Held::Answered { .. }) => {
                    actions.extend([true, false].map(|it| Action::Record(process, it)));
                    actions.push(Action::Die(process));
                }
            }
        }
    }

    fn next_state(&self, before: &World, action: Action) -> Option<World> {
        let mut world = before.clone();
        match action {
            Action::EndByOperator => self.end(&mut world)?,
            Action::PassTime if world.steps < STEPS => world.steps += 1,
            Action::PassTime => return None,
            Action::Notify(process) => self.notify(&mut world, process)?,
            Action::RecordGivers(process) => {
                let Some(Held::Notified(numbers)) = world.processes[process].take() else {
                    return None;
                };
                world.grants.outbox.record_givers(&numbers);
            }
            Action::Lease(process) => self.lease(&mut world, process)?,
            Action::Send(process, answer) => Self::send(&mut world, process, answer)?,
            Action::Record(process, arrives) => self.record(&mut world, process, arrives)?,
            Action::Die(process) => world.processes[process] = None,
            Action::Redeliver => self.redeliver(&mut world)?,
            Action::Mail => Self::mail(&mut world)?,
        }
        // It does not matter which process is which.
        if format!("{:?}", world.processes[0]) > format!("{:?}", world.processes[1]) {
            world.processes.swap(0, 1);
        }
        Some(world)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let always = Property::<Self>::always;
        let sometimes = Property::<Self>::sometimes;
        vec![
            always(ONE_END, |_, world| {
                let outbox = &world.grants.outbox;
                let is_end = |fact: &StandingFact| matches!(fact, StandingFact::GrantEnded(..));
                let ends = outbox.events.iter().filter(|it| is_end(&it.fact)).count();
                let is_kept = outbox.deliveries.iter().any(|it| {
                    let waits = matches!(
                        it.state,
                        DeliveryState::Queued(_) | DeliveryState::Sending(_)
                    );
                    it.event == ENDED && (waits || world.accepted > 0)
                });
                let has_ended = world.grants.held[0].ended.is_some();
                ends <= 1 && (ends == 0 || is_kept) && (ends == 1 || !has_ended)
            }),
            always(GIVER_LEARNS, |_, world| {
                let has_ended = world.grants.held[0].ended.is_some();
                let waits = world.grants.outbox.for_givers().next().is_some();
                !has_ended || world.mails > 0 || notice_is_due(world) || waits
            }),
            always(ONE_MAIL, |_, world| world.mails <= 1),
            always(ONE_SENDER, |_, world| !world.sent_together),
            always(NOT_AGAIN, |_, world| !world.sent_again),
            always(OWN_RESULT, |_, world| !world.foreign_result),
            sometimes(
                "the giver has the email, the channel the event",
                |_, world| world.mails == 1 && world.is_recorded,
            ),
            sometimes("what the operator sends again is accepted", |_, world| {
                world.is_redelivered && world.is_recorded
            }),
            sometimes("time ends the grant", |_, world| {
                world.grants.held[0].ended.is_none() && world.grants.outbox.last == ENDED
            }),
        ]
    }
}

const ONE_END: &str = "an end has one event, which is accepted or waits to be sent";
const GIVER_LEARNS: &str = "the giver gets an email of an end by the operator, or it waits";
const ONE_MAIL: &str = "the giver gets one email";
const ONE_SENDER: &str = "one process sends an attempt";
const NOT_AGAIN: &str = "what is recorded as sent is not sent again";
const OWN_RESULT: &str = "a result is recorded for its own attempt alone";

#[test]
fn every_order_of_ends_notices_attempts_and_deaths_loses_nothing() {
    let states = check_all(Gate(Bug::None));
    record("standing", &[("states", states)]);
}

#[test]
fn each_bug_seeded_into_the_outbox_of_grants_is_found() {
    let found = [
        (Bug::EndsWithoutEvent, ONE_END),
        (Bug::AnnouncesAgain, ONE_END),
        (Bug::CrossesOffFirst, GIVER_LEARNS),
        (Bug::QueuesNoticeAgain, ONE_MAIL),
        (Bug::SendsWithoutLease, ONE_SENDER),
        (Bug::RedeliveryReusesNumbers, OWN_RESULT),
        (Bug::PostponementReusesNumbers, OWN_RESULT),
    ];
    find_each("standing-bugs", &found, Gate);
}
