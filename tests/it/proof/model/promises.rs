//! What always holds, and what can happen.

use human_oversight::domain::{Approval, EventKind, Execution, State, Status};
use stateright::Property;

use super::handlers::is_decided_by;
use super::{Actor, Gate, Stage, Told, World};

pub(super) const PAST: &str = "what has happened stays";
pub(super) const ONE_END: &str = "one final decision, told by the history";
pub(super) const IN_TIME: &str = "no decision after the deadline";
pub(super) const CLAIMED_IN_TIME: &str = "no claim after the lapse";
pub(super) const ONCE: &str = "it runs at most once";
pub(super) const ONLY_CLAIMED: &str = "it runs only when claimed";
pub(super) const TOLD: &str = "everybody was told what the row says";
const EARLY_TIMEOUT: &str = "told of a timeout while a decision made in time is being written";

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
                    if !matches!(execution, Execution::Awaited | Execution::Lapsed { .. })
            );
            is_claimed || world.actors.iter().all(|actor| actor.ran == 0)
        }),
        Property::always(TOLD, |_, world: &World| {
            let mut actors = world.actors.iter().enumerate();
            actors.all(|(index, actor)| was_told_the_truth(&world.row.approval, index, actor))
        }),
        Property::sometimes("executed", |_, world: &World| ran_as(world, "Executed")),
        Property::sometimes("lapsed", |_, world: &World| ran_as(world, "Lapsed")),
        Property::sometimes("unknown", |_, world: &World| {
            ran_as(world, "ExecutionUnknown")
        }),
        Property::sometimes("rejected", |_, world: &World| is(world, Status::Rejected)),
        Property::sometimes("timed out", |_, world: &World| is(world, Status::Timeout)),
        Property::sometimes("cancelled", |_, world: &World| is(world, Status::Cancelled)),
        Property::sometimes("answered late", |_, world: &World| {
            world.row.approval.late.is_some()
        }),
        Property::sometimes("reported late", |_, world: &World| {
            let history = &world.row.approval.history;
            history
                .iter()
                .any(|event| event.what == EventKind::ReportedLate)
        }),
        Property::sometimes("told that another decided", |_, world: &World| {
            let loser = |actor: &Actor| actor.stage == Stage::Done(Told::Another);
            world.actors.iter().any(loser)
        }),
        // The limit of what a reading can say, known and harmless: whoever hears it does not run.
        Property::sometimes(EARLY_TIMEOUT, |_, world: &World| {
            let told = Stage::Done(Told::Stands(Status::Timeout));
            is(world, Status::Approved) && world.actors.iter().any(|it| it.stage == told)
        }),
    ]
}

const ENDS: [EventKind; 4] = [
    EventKind::Approved,
    EventKind::Rejected,
    EventKind::TimedOut,
    EventKind::Cancelled,
];

/// What an agent or an approver was told, against the row.
fn was_told_the_truth(row: &Approval, index: usize, actor: &Actor) -> bool {
    let stored = row.state.status();
    match actor.stage {
        Stage::Ready => true,
        // One that has run goes on in whatever way the row went on.
        Stage::MayRun | Stage::HasRun => stored == Status::Approved,
        Stage::Done(Told::Recorded) => is_decided_by(row, index),
        Stage::Done(Told::Another) => stored != Status::Pending && !is_decided_by(row, index),
        Stage::Done(Told::Late) => stored == Status::Timeout && row.late.is_some(),
        Stage::Done(Told::Failed) => !is_decided_by(row, index),
        // A reading writes nothing, and a deadline is a matter of the clock.
        Stage::Done(Told::Stands(Status::Timeout)) => actor.ran == 0,
        Stage::Done(Told::Stands(told) | Told::Refused(told)) => stored == told,
        Stage::Done(Told::Reported) => row
            .history
            .iter()
            .any(|event| event.what == EventKind::Executed),
        Stage::Done(Told::Withdrawn) => stored == Status::Cancelled,
        Stage::Done(Told::Granted | Told::Tidied) => false,
    }
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
