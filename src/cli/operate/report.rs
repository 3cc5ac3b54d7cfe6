//! What a command of the operator's finds, and how it is printed.

use std::process::ExitCode;

use human_oversight::app::Executing;
use human_oversight::domain::{Pause, PauseScope};
use human_oversight::values::Owner;
use human_oversight_protocol::operate::DamagedPause;

use super::super::output::plain;

/// Prints a line.
pub(super) type Print = fn(&str);

/// The state after a command.
pub(crate) struct Report {
    /// Whether there was a pause to end.
    pub(crate) done: bool,
    pub(crate) pauses: Vec<Pause>,
    /// Rows of pauses that cannot be trusted.
    pub(crate) damaged: Vec<DamagedPause>,
    pub(crate) executing: Executing,
    /// The number of open requests in the scope, unless an older gate does not say.
    pub(crate) open: Option<usize>,
}

/// Prints the rows of pauses that cannot be trusted. The exit code is 2 if there are any.
pub(super) fn print_damaged(damaged: &[DamagedPause], print: Print) -> ExitCode {
    for DamagedPause { row, cause, scope } in damaged {
        let (row, cause) = (plain(row), plain(cause));
        let way_out = match scope {
            Some(scope) => format!(
                "It names {}: `pause` or `resume` with that scope replaces or removes it.",
                plain(scope)
            ),
            None => "It does not say what it pauses: `purge --damaged` removes it.".to_owned(),
        };
        print(&format!(
            "The standing row {row} stops everything, and is none of the pauses: {cause}. {way_out}"
        ));
    }
    ExitCode::from(if damaged.is_empty() { 0 } else { 2 })
}

/// Prints how many requests are open, of those that were counted.
pub(super) fn print_open(open: Option<usize>, scope: &PauseScope, print: Print) {
    let covered = match scope {
        PauseScope::All => "in all",
        PauseScope::Owner(_) | PauseScope::Agent(_) => "in this scope",
    };
    match (open, scope) {
        (None, _) => {}
        (Some(0), PauseScope::All) => print("No open request."),
        (Some(0), PauseScope::Owner(Owner::Key(_) | Owner::Identity(_))) => print(
            "No open request in this scope. Check the name; the requests of agents that HO_AGENT_KEYS gives this credential are \
             not counted.",
        ),
        (Some(0), _) => print("No open request in this scope. Check the name."),
        (Some(1), _) => print(&format!("1 open request {covered}.")),
        (Some(number), _) => print(&format!("{number} open requests {covered}.")),
    }
}

pub(super) fn print_executing(executing: &Executing, print: Print) {
    let Executing {
        actions,
        unreadable,
        ..
    } = executing;
    match actions.len() {
        0 => print("Nothing is executing."),
        number => print(&format!(
            "{number} executing, which nothing here can stop (id, agent, claimed at):"
        )),
    }
    for action in actions {
        let agent = plain(action.id.agent());
        print(&format!("  {}  {agent}  {}", action.id, action.since));
    }
    if *unreadable > 0 {
        print(&format!(
            "{unreadable} requests cannot be read; each of them may be open or executing: see `verify`."
        ));
    }
}
