//! The lifecycle, exhaustively: two approvers who disagree, the sweep and two agents that share one
//! approval make the product's own moves (`src/approval.rs`) in every order, with every fault, at
//! every time that matters; what always holds is checked in every state there is.
//!
//! A call reads the row and judges it, and writes what came of it on the condition that nobody wrote in
//! between: two steps, and anything may happen between them. (Reading and judging are one: what others
//! write in between leads to a conflict, or comes too late to change the answer.) A write may not be
//! applied, or be applied and its answer lost; then the caller calls again. A gate that dies in a call
//! looks the same from outside. An agent may die and begin anew without memory. Mails are left out.

mod handlers;
mod promises;

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use human_oversight::domain::{Approval, Status, Verdict};
use human_oversight::values::Timestamp;
use stateright::{Checker, HasDiscoveries, Model, Property};

use super::{cases, record};
use crate::lifecycle::mailed;
use handlers::{Bug, NO_NOTES};
use promises::{CLAIMED_IN_TIME, IN_TIME, ONCE, ONLY_CLAIMED, PAST, TOLD};

/// The times that matter: at once; the last moment of the request's life; the end of it, when an
/// approval given at once lapses and a report about a claim made at once is missed; and when all else
/// has lapsed and is missed.
const TIMES: [u64; 4] = [0, LIFE - 1, LIFE, 2 * LIFE];

/// In milliseconds, as long as an approval may wait for its claim and a claim for its report.
const LIFE: u64 = 300_000;

const WITHIN: Duration = Duration::from_millis(LIFE);

fn at(point: u8) -> Timestamp {
    let asked_at = Timestamp::parse("2026-11-22T17:30:00.000Z").unwrap();
    asked_at + Duration::from_millis(TIMES[usize::from(point)])
}

/// A row as it is stored.
#[derive(Clone, Debug)]
struct Row {
    approval: Arc<Approval>,
    version: u8,
    /// The hash of all in it that changes, made once.
    print: u64,
}

impl Row {
    fn of(approval: Approval, version: u8) -> Self {
        let mut hasher = DefaultHasher::new();
        let Approval {
            state,
            approvers,
            late,
            history,
            ..
        } = &approval;
        format!("{state:?}{approvers:?}{late:?}{history:?}").hash(&mut hasher);
        Self {
            approval: Arc::new(approval),
            version,
            print: hasher.finish(),
        }
    }
}

impl PartialEq for Row {
    fn eq(&self, other: &Self) -> bool {
        (self.version, self.print) == (other.version, other.print)
    }
}

impl Hash for Row {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        (self.version, self.print).hash(hasher);
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Role {
    Approver(Verdict),
    Sweep,
    /// One may also take the request back.
    Agent {
        withdraws: bool,
    },
}

const ROLES: [Role; 5] = [
    Role::Approver(Verdict::Approve),
    Role::Approver(Verdict::Reject),
    Role::Sweep,
    Role::Agent { withdraws: false },
    Role::Agent { withdraws: true },
];

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Call {
    Decide,
    Tidy,
    Status,
    Claim,
    Report,
    Withdraw,
}

/// What a caller was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Told {
    /// The decision stands as the approver made it.
    Recorded,
    /// Another one does.
    Another,
    /// It came after the deadline.
    Late,
    /// It failed, and nothing happened. The gate never says so of a write that it is unsure of.
    Failed,
    /// How the request stands, by a call that writes nothing.
    Stands(Status),
    /// The approval cannot be claimed, as the request stands so.
    Refused(Status),
    /// The action may run.
    Granted,
    Reported,
    Withdrawn,
    Tidied,
}

/// A call that has judged its row, and is about to write if the version is still this one.
#[derive(Clone, Debug, PartialEq, Hash)]
struct Judged {
    call: Call,
    version: u8,
    next: Row,
    told: Told,
}

/// Where somebody is between two calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Stage {
    Ready,
    MayRun,
    HasRun,
    Done(Told),
}

#[derive(Clone, Debug, PartialEq, Hash)]
struct Actor {
    stage: Stage,
    call: Option<Judged>,
    /// Which life of an agent this is: a new one brings a new nonce.
    life: u8,
    ran: u8,
}

#[derive(Clone, Debug, PartialEq, Hash)]
struct World {
    now: u8,
    row: Row,
    actors: Vec<Actor>,
    faults: u8,
    /// Whether a write ever changed what had happened.
    rewritten: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Action {
    /// Time goes on.
    Tick,
    /// Somebody calls: the row is read and judged.
    Call(usize, Call),
    Write(usize),
    /// The write is applied, and nobody hears of it.
    WriteAndLose(usize),
    /// The write is not applied.
    LoseWrite(usize),
    Run(usize),
    /// An agent dies and begins anew.
    Crash(usize),
}

struct Gate {
    faults: u8,
    bug: Bug,
}

impl Model for Gate {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        let actor = Actor {
            stage: Stage::Ready,
            call: None,
            life: 0,
            ran: 0,
        };
        vec![World {
            now: 0,
            row: Row::of(mailed(at(0), WITHIN, NO_NOTES), 0),
            actors: vec![actor; ROLES.len()],
            faults: self.faults,
            rewritten: false,
        }]
    }

    fn actions(&self, world: &World, actions: &mut Vec<Action>) {
        if usize::from(world.now) + 1 < TIMES.len() {
            actions.push(Action::Tick);
        }
        for (index, actor) in world.actors.iter().enumerate() {
            let is_agent = matches!(ROLES[index], Role::Agent { .. });
            match (&actor.call, actor.stage) {
                (Some(_), _) => {
                    actions.push(Action::Write(index));
                    if world.faults > 0 {
                        actions.push(Action::WriteAndLose(index));
                        actions.push(Action::LoseWrite(index));
                    }
                }
                (None, Stage::Ready) => {
                    let calls: &[Call] = match ROLES[index] {
                        Role::Approver(_) => &[Call::Decide],
                        Role::Sweep => &[Call::Tidy],
                        Role::Agent { withdraws: false } => &[Call::Status, Call::Claim],
                        Role::Agent { withdraws: true } => {
                            &[Call::Status, Call::Claim, Call::Withdraw]
                        }
                    };
                    actions.extend(calls.iter().map(|call| Action::Call(index, *call)));
                }
                (None, Stage::MayRun) => actions.push(Action::Run(index)),
                (None, Stage::HasRun) => actions.push(Action::Call(index, Call::Report)),
                (None, Stage::Done(_)) => continue,
            }
            let is_idle = actor.call.is_none() && actor.stage == Stage::Ready;
            if is_agent && !is_idle && world.faults > 0 {
                actions.push(Action::Crash(index));
            }
        }
    }

    fn next_state(&self, before: &World, action: Action) -> Option<World> {
        let mut world = before.clone();
        match action {
            Action::Tick => world.now += 1,
            Action::Call(index, call) => {
                let (now, row) = (world.now, &world.row);
                let actor = &mut world.actors[index];
                let mut approval = Approval::clone(&row.approval);
                let told = self.judge(index, actor.life, call, &mut approval, now);
                if approval == *row.approval {
                    self.tell(actor, told);
                } else {
                    actor.call = Some(Judged {
                        call,
                        version: row.version,
                        next: Row::of(approval, row.version + 1),
                        told,
                    });
                }
            }
            Action::Write(index) => self.write(&mut world, index, true)?,
            Action::WriteAndLose(index) => {
                self.write(&mut world, index, false)?;
                world.faults -= 1;
            }
            Action::LoseWrite(index) => {
                let actor = &mut world.actors[index];
                let Judged { told, .. } = actor.call.take()?;
                if self.bug == Bug::AnsweredBeforeWritten {
                    self.tell(actor, told);
                }
                world.faults -= 1;
            }
            Action::Run(index) => {
                let actor = &mut world.actors[index];
                actor.ran += 1;
                actor.stage = Stage::HasRun;
            }
            Action::Crash(index) => {
                let actor = &mut world.actors[index];
                actor.call = None;
                actor.stage = Stage::Ready;
                if self.bug != Bug::RerunAfterCrash {
                    actor.life += 1;
                }
                world.faults -= 1;
            }
        }
        Some(world)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        promises::all()
    }
}

#[test]
fn every_order_of_moves_and_faults_keeps_the_promises() {
    let gate = Gate {
        faults: u8::try_from(cases(1, 3)).unwrap(),
        bug: Bug::None,
    };
    let checked = gate.checker().spawn_bfs().join();
    checked.assert_properties();
    assert!(checked.is_done());
    record(
        "model",
        &[
            ("faults", cases(1, 3)),
            ("states", checked.unique_state_count() as u64),
            ("steps of the longest way", checked.max_depth() as u64),
        ],
    );
}

#[test]
fn each_seeded_bug_is_found() {
    let found = [
        (Bug::UnconditionalWrite, PAST),
        (Bug::UnconditionalSweep, PAST),
        (Bug::UnconditionalClaim, PAST),
        (Bug::ExpiryOnlyInTheSweep, IN_TIME),
        (Bug::LapseOnlyInTheSweep, CLAIMED_IN_TIME),
        (Bug::ClaimForAnybody, ONCE),
        (Bug::NoClaim, ONLY_CLAIMED),
        (Bug::LostAnswerIsFailure, TOLD),
        (Bug::AnsweredBeforeWritten, TOLD),
        (Bug::RerunAfterCrash, ONCE),
    ];
    for (bug, promise) in found {
        let gate = Gate { faults: 1, bug };
        let checker = gate
            .checker()
            .finish_when(HasDiscoveries::AllOf([promise].into()));
        let found = checker.spawn_bfs().join();
        let way = found.discovery(promise);
        let way = way.unwrap_or_else(|| panic!("{bug:?} breaks nothing"));
        eprintln!(
            "{bug:?}: {promise}, broken in {} steps",
            way.into_actions().len()
        );
    }
    record("model-bugs", &[("seeded bugs found", found.len() as u64)]);
}
