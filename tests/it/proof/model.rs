//! Exhaustive model of the lifecycle: two approvers who disagree, the sweep, and two agents that share
//! one approval apply the transitions of `src/domain/` in every order, with every fault, at every
//! relevant time. The guarantees are checked in every reachable state.
//!
//! A call reads and evaluates the row in one step, and stores the result in a second step with a conditional write.
//! Other calls may run between the two. (Reading and evaluating form one step because a concurrent write either causes
//! a conflict or comes too late to change the response.) A write may be lost, or be applied while its response is lost;
//! then the caller retries. A gate that crashes during a call looks the same to the caller. An agent may crash and
//! restart without memory. The operator may pause once, at any time after the approval, and resume; or, in other runs,
//! revoke. So may the approver; the operator revokes in one step, because the approver's call is a write of the same
//! kind. Somewhere between gate and agents, the permit of a granted claim may be recorded and shown to any agent. Email
//! is not modelled.

mod guarantees;
mod handlers;

use std::time::Duration;

use human_oversight::domain::{Approval, Status, Verdict};
use human_oversight::values::Timestamp;
use stateright::{Checker, Model, Property};

use super::model_row::Row;
use super::{cases, find_each, record};
use crate::lifecycle::mailed;
use guarantees::{CLAIMED_IN_TIME, IN_TIME, ONCE, ONLY_CLAIMED, PAST, PAUSED, RESPONSES, REVOKED};
use handlers::{Bug, NO_NOTICES, permit, revoke_for_operator};

/// The relevant times: the start; the last millisecond before the deadline; the deadline, when an
/// approval given at the start lapses and the outcome of a claim made at the start becomes unknown; and
/// a time at which every later approval has lapsed and every later outcome is unknown.
const TIMES: [u64; 4] = [0, LIFE - 1, LIFE, 2 * LIFE];

/// Milliseconds until a request expires, an approval lapses, and a missing outcome becomes unknown.
const LIFE: u64 = 300_000;

const WITHIN: Duration = Duration::from_millis(LIFE);

fn at(point: u8) -> Timestamp {
    let requested_at = Timestamp::parse("2026-11-22T17:30:00.000Z").unwrap();
    requested_at + Duration::from_millis(TIMES[usize::from(point)])
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Role {
    Approver(Verdict),
    Sweep,
    /// One of the two agents may also withdraw the request.
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
    Sweep,
    Status,
    Claim,
    Report,
    Withdraw,
    /// The approver revokes their approval.
    Revoke,
}

/// The response to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Response {
    /// The approver's decision is recorded.
    Recorded,
    /// The request was closed before.
    AlreadyClosed,
    /// The decision came after the deadline.
    Late,
    /// The call failed and changed nothing. The gate never sends this when a write's outcome is unknown.
    Failed,
    /// The status, from a call that writes nothing.
    Status(Status),
    /// The claim is refused because of this status.
    Refused(Status),
    /// The claim is refused because of a pause.
    Paused,
    /// The action may run.
    Granted,
    Reported,
    Withdrawn,
    /// The approval is revoked: nothing runs.
    Revoked,
    /// It cannot be revoked: it was claimed, or has lapsed.
    NotRevoked,
    SweepDone,
}

/// The conditional write of a call, between evaluation and storage.
#[derive(Clone, Debug, PartialEq, Hash)]
struct PreparedWrite {
    call: Call,
    version: u8,
    next: Row,
    response: Response,
    /// For a claim that is granted: when it read the pause, and whether it was paused then.
    pause_read: Option<(u8, bool)>,
}

/// The operator's pause.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Pause {
    Never,
    Since(u8),
    Resumed,
}

/// The state of an actor between two calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Stage {
    Ready,
    MayRun,
    HasRun,
    Done(Response),
}

#[derive(Clone, Debug, PartialEq, Hash)]
struct Actor {
    stage: Stage,
    call: Option<PreparedWrite>,
    /// Counts an agent's restarts: each has a new nonce.
    life: u8,
    ran: u8,
}

#[derive(Clone, Debug, PartialEq, Hash)]
struct World {
    now: u8,
    row: Row,
    actors: Vec<Actor>,
    faults: u8,
    pause: Pause,
    /// Whether a write ever changed the past history.
    rewritten: bool,
    /// Whether a claim was granted that read the pause, or was written more than 10 s after it was set.
    claimed_while_paused: bool,
    /// Whether a revocation by the operator was acknowledged.
    revoked_by_operator: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Action {
    /// The clock advances to the next relevant time, by more than 10 s.
    Tick,
    Pause,
    Resume,
    /// The operator revokes the approval.
    Revoke,
    /// A call reads and evaluates the row.
    Call(usize, Call),
    Write(usize),
    /// The write is applied, and its response is lost.
    WriteAndLose(usize),
    /// The write is not applied.
    LoseWrite(usize),
    Run(usize),
    /// An agent crashes and restarts.
    Crash(usize),
    /// An agent gets the permit of an earlier claim as the answer to its own.
    Replay(usize),
}

/// Whether an actor revokes, or has.
fn revokes(actor: &Actor) -> bool {
    let is_revocation = |write: &PreparedWrite| write.call == Call::Revoke;
    actor.call.as_ref().is_some_and(is_revocation)
        || matches!(
            actor.stage,
            Stage::Done(Response::Revoked | Response::NotRevoked)
        )
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
            row: Row::of(mailed(at(0), WITHIN, NO_NOTICES), 0),
            actors: vec![actor; ROLES.len()],
            faults: self.faults,
            pause: Pause::Never,
            rewritten: false,
            claimed_while_paused: false,
            revoked_by_operator: false,
        }]
    }

    fn actions(&self, world: &World, actions: &mut Vec<Action>) {
        if usize::from(world.now) + 1 < TIMES.len() {
            actions.push(Action::Tick);
        }
        match world.pause {
            // An earlier pause stops the same claims.
            Pause::Never
                if world.row.approval.state.status() == Status::Approved
                    && !world.revoked_by_operator =>
            {
                actions.push(Action::Revoke);
                if !world.actors.iter().any(revokes) {
                    actions.push(Action::Pause);
                }
            }
            Pause::Since(_) => actions.push(Action::Resume),
            Pause::Never | Pause::Resumed => {}
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
                        Role::Sweep => &[Call::Sweep],
                        Role::Agent { withdraws: false } => &[Call::Status, Call::Claim],
                        Role::Agent { withdraws: true } => {
                            &[Call::Status, Call::Claim, Call::Withdraw]
                        }
                    };
                    actions.extend(calls.iter().map(|call| Action::Call(index, *call)));
                }
                (None, Stage::MayRun) => actions.push(Action::Run(index)),
                (None, Stage::HasRun) => actions.push(Action::Call(index, Call::Report)),
                (None, Stage::Done(Response::Recorded))
                    if ROLES[index] == Role::Approver(Verdict::Approve)
                        && world.pause == Pause::Never =>
                {
                    actions.push(Action::Call(index, Call::Revoke));
                }
                (None, Stage::Done(_)) => continue,
            }
            let is_idle = actor.call.is_none() && actor.stage == Stage::Ready;
            if is_agent && is_idle {
                actions.push(Action::Replay(index));
            }
            if is_agent && !is_idle && world.faults > 0 {
                actions.push(Action::Crash(index));
            }
        }
    }

    fn next_state(&self, before: &World, action: Action) -> Option<World> {
        let mut world = before.clone();
        match action {
            Action::Tick => world.now += 1,
            Action::Revoke => {
                let mut approval = Approval::clone(&world.row.approval);
                if revoke_for_operator(&mut approval, at(world.now)) != Ok(true) {
                    return None;
                }
                world.row = Row::of(approval, world.row.version + 1);
                world.revoked_by_operator = true;
            }
            Action::Pause => world.pause = Pause::Since(world.now),
            Action::Resume => world.pause = Pause::Resumed,
            Action::Call(index, call) => {
                let (now, row) = (world.now, &world.row);
                let paused = matches!(world.pause, Pause::Since(_));
                let actor = &mut world.actors[index];
                let mut approval = Approval::clone(&row.approval);
                let mut response = self.evaluate(index, actor.life, call, &mut approval, now);
                if response == Response::Granted && paused && self.bug != Bug::PauseFromACache {
                    approval.clone_from(&row.approval);
                    response = Response::Paused;
                }
                if approval == *row.approval {
                    self.respond(actor, response);
                } else {
                    actor.call = Some(PreparedWrite {
                        call,
                        version: row.version,
                        next: Row::of(approval, row.version + 1),
                        response,
                        pause_read: (response == Response::Granted).then_some((now, paused)),
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
                let PreparedWrite { response, .. } = actor.call.take()?;
                if self.bug == Bug::RespondedBeforeWritten {
                    self.respond(actor, response);
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
            Action::Replay(index) => {
                let actor = &mut world.actors[index];
                let recorded = permit(&world.row.approval)?;
                if !self.accepts(recorded, index, actor.life) {
                    return None;
                }
                self.respond(actor, Response::Granted);
            }
        }
        Some(world)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        guarantees::all()
    }
}

#[test]
fn every_order_of_transitions_and_faults_keeps_the_guarantees() {
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
        (Bug::SharedNonce, ONCE),
        (Bug::NoClaim, ONLY_CLAIMED),
        (Bug::LostResponseIsFailure, RESPONSES),
        (Bug::RespondedBeforeWritten, RESPONSES),
        (Bug::RerunAfterCrash, ONCE),
        (Bug::AnyPermit, ONCE),
        (Bug::PauseFromACache, PAUSED),
        (Bug::LateClaim, PAUSED),
        (Bug::RevocationUnseen, REVOKED),
        (Bug::RevocationOverClaim, REVOKED),
    ];
    find_each("model-bugs", &found, |bug| Gate { faults: 1, bug });
}
