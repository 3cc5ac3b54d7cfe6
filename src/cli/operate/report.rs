//! What a command of the operator's finds, and how it is printed.

use human_oversight::app::Executing;
use human_oversight::domain::{Pause, PauseScope};

use super::super::output::{plain, say};

/// The state after a command.
pub(crate) struct Report {
    /// Whether there was a pause to end.
    pub(crate) done: bool,
    pub(crate) pauses: Vec<Pause>,
    pub(crate) executing: Executing,
    /// The number of open requests in the scope, unless an older gate does not say.
    pub(crate) open: Option<usize>,
}

/// Prints how many requests are open, of those that were counted.
pub(super) fn print_open(open: Option<usize>, scope: &PauseScope) {
    let covered = match scope {
        PauseScope::All => "in all",
        PauseScope::Owner(_) | PauseScope::Agent(_) => "in this scope",
    };
    match (open, scope) {
        (None, _) => {}
        (Some(0), PauseScope::All) => say("No open request."),
        (Some(0), _) => say("No open request in this scope. Check the name."),
        (Some(1), _) => say(&format!("1 open request {covered}.")),
        (Some(number), _) => say(&format!("{number} open requests {covered}.")),
    }
}

pub(super) fn print_executing(executing: &Executing) {
    let Executing {
        actions,
        unreadable,
        ..
    } = executing;
    match actions.len() {
        0 => say("Nothing is executing."),
        number => say(&format!(
            "{number} executing, which nothing here can stop (id, agent, claimed at):"
        )),
    }
    for action in actions {
        let agent = plain(action.id.agent());
        say(&format!("  {}  {agent}  {}", action.id, action.since));
    }
    if *unreadable > 0 {
        say(&format!(
            "{unreadable} requests cannot be read; each of them may be open or executing: see `verify`."
        ));
    }
}
