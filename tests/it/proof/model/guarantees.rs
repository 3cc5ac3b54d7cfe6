//! The properties of the model: what holds in every state, and which states must be reachable.

use human_oversight::domain::{EventKind, Execution, State, Status};
use stateright::Property;

use super::handlers::is_decided_by;
use super::{Actor, Gate, Pause, Response, Stage, World, at};

pub(super) const PAST: &str = "history is append-only";
pub(super) const ONE_END: &str = "one final decision, consistent with the history";
pub(super) const IN_TIME: &str = "no decision after the deadline";
pub(super) const CLAIMED_IN_TIME: &str = "no claim after the lapse";
pub(super) const ONCE: &str = "the action runs at most once";
pub(super) const ONLY_CLAIMED: &str = "the action runs only when claimed";
pub(super) const RESPONSES: &str = "every response matches the row";
pub(super) const PAUSED: &str = "nothing is claimed while paused";
pub(super) const REVOKED: &str = "nothing runs after a revocation is acknowledged";
const EARLY_TIMEOUT: &str = "a timeout is reported while a decision made in time is being written";

pub(super) fn all() -> Vec<Property<Gate>> {
    vec![
        Property::always(PAST, |_, world: &World| !world.rewritten),
        Property::always(ONE_END, |_, world: &World| {
            let row = &world.row.approval;
            let ends = row
                .history
                .iter()
                .filter(|event| ENDS.contains(&event.what));
            row.history_is_consistent() && ends.count() <= 1
        }),
        Property::always(IN_TIME, |_, world: &World| {
            let row = &world.row.approval;
            row.decision()
                .is_none_or(|decision| decision.at < row.request.expires_at)
        }),
        Property::always(CLAIMED_IN_TIME, |_, world: &World| {
            let row = &world.row.approval;
            let claims = row
                .history
                .iter()
                .filter(|it| it.what == EventKind::Claimed);
            claims.into_iter().all(
                |claim| matches!(row.state, State::Approved { run_by, .. } if claim.at < run_by),
            )
        }),
        Property::always(ONCE, |_, world: &World| {
            world.actors.iter().map(|actor| actor.ran).sum::<u8>() <= 1
        }),
        Property::always(ONLY_CLAIMED, |_, world: &World| {
            let is_claimed = matches!(
                &world.row.approval.state,
                State::Approved { execution, .. }
                    if !matches!(
                        execution,
                        Execution::Awaited | Execution::Lapsed { .. } | Execution::Revoked { .. }
                    )
            );
            is_claimed || world.actors.iter().all(|actor| actor.ran == 0)
        }),
        Property::always(PAUSED, |_, world: &World| !world.claimed_while_paused),
        Property::always(REVOKED, |_, world: &World| {
            let is_revoked = world.revoked_by_operator || has_response(world, Response::Revoked);
            let runs = |actor: &Actor| {
                actor.ran > 0 || matches!(actor.stage, Stage::MayRun | Stage::HasRun)
            };
            !is_revoked || ran_as(world, "Revoked") && !world.actors.iter().any(runs)
        }),
        Property::always(RESPONSES, |_, world: &World| {
            let mut actors = world.actors.iter().enumerate();
            actors.all(|(index, actor)| response_matches_row(world, index, actor))
        }),
        Property::sometimes("executed after a pause", |_, world: &World| {
            world.pause == Pause::Resumed && ran_as(world, "Executed")
        }),
        Property::sometimes("executed", |_, world: &World| ran_as(world, "Executed")),
        Property::sometimes("lapsed", |_, world: &World| ran_as(world, "Lapsed")),
        Property::sometimes("unknown", |_, world: &World| {
            ran_as(world, "ExecutionUnknown")
        }),
        Property::sometimes("revoked", |_, world: &World| ran_as(world, "Revoked")),
        Property::sometimes("executed, and too late to revoke", |_, world: &World| {
            has_response(world, Response::NotRevoked) && ran_as(world, "Executed")
        }),
        Property::sometimes("rejected", |_, world: &World| is(world, Status::Rejected)),
        Property::sometimes("timed out", |_, world: &World| is(world, Status::Timeout)),
        Property::sometimes("cancelled", |_, world: &World| is(world, Status::Cancelled)),
        Property::sometimes("decided late", |_, world: &World| {
            world.row.approval.late.is_some()
        }),
        Property::sometimes("reported late", |_, world: &World| {
            let history = &world.row.approval.history;
            history
                .iter()
                .any(|event| event.what == EventKind::ReportedLate)
        }),
        Property::sometimes("closed by the other approver", |_, world: &World| {
            has_response(world, Response::AlreadyClosed)
        }),
        // A known, harmless limit of a status request: the agent that receives it does not run.
        Property::sometimes(EARLY_TIMEOUT, |_, world: &World| {
            let timed_out = Stage::Done(Response::Status(Status::Timeout));
            is(world, Status::Approved) && world.actors.iter().any(|it| it.stage == timed_out)
        }),
    ]
}

const ENDS: [EventKind; 4] = [
    EventKind::Approved,
    EventKind::Rejected,
    EventKind::TimedOut,
    EventKind::Cancelled,
];

/// Whether the last response to an agent or approver agrees with the row.
fn response_matches_row(world: &World, index: usize, actor: &Actor) -> bool {
    let row = &world.row.approval;
    let stored = row.state.status();
    match actor.stage {
        Stage::Ready => true,
        // The claim was granted, so the row stays approved, whatever the state of its execution.
        Stage::MayRun | Stage::HasRun => stored == Status::Approved,
        Stage::Done(Response::Recorded) => is_decided_by(row, index),
        Stage::Done(Response::AlreadyClosed) => {
            stored != Status::Pending && !is_decided_by(row, index)
        }
        Stage::Done(Response::Late) => stored == Status::Timeout && row.late.is_some(),
        Stage::Done(Response::Failed) => !is_decided_by(row, index),
        // A status request writes nothing, so a timeout depends only on the clock.
        Stage::Done(Response::Status(Status::Timeout)) => actor.ran == 0,
        Stage::Done(Response::Status(status) | Response::Refused(status)) => stored == status,
        Stage::Done(Response::Reported) => row
            .history
            .iter()
            .any(|event| event.what == EventKind::Executed),
        Stage::Done(Response::Withdrawn) => stored == Status::Cancelled,
        Stage::Done(Response::Revoked) => ran_as(world, "Revoked"),
        Stage::Done(Response::NotRevoked) => {
            let execution = row.execution(at(world.now));
            execution
                .is_some_and(|it| !matches!(it, Execution::Awaited | Execution::Revoked { .. }))
        }
        Stage::Done(Response::Granted | Response::Paused | Response::SweepDone) => false,
    }
}

fn has_response(world: &World, response: Response) -> bool {
    let mut actors = world.actors.iter();
    actors.any(|actor| actor.stage == Stage::Done(response))
}

fn is(world: &World, status: Status) -> bool {
    world.row.approval.state.status() == status
}

fn ran_as(world: &World, word: &str) -> bool {
    match &world.row.approval.state {
        State::Approved { execution, .. } => execution.word() == Some(word),
        _ => false,
    }
}
