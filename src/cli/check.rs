//! `human-oversight check --upgrade`: says what changes for a gate with these settings.

use std::process::ExitCode;

use human_oversight::config::{Config, upgrade_items};

use super::maintenance::say;

/// Prints each change that affects the gate, and what to set; then the settings that cannot be used. The exit
/// code is 2 if there is one of these, or else 1 if something changes.
pub(crate) fn run() -> ExitCode {
    let lookup = |name: &str| std::env::var(name).ok();
    let items = upgrade_items(lookup);
    for item in &items {
        say(&format!(
            "{}: {}\n  {}",
            item.setting, item.change, item.remedy
        ));
    }
    let mut errors = Config::unusable_settings(lookup);
    // A change explains them.
    errors.retain(|error| !items.iter().any(|item| item.setting == error.name()));
    for error in &errors {
        eprintln!("human-oversight check: {error}");
    }
    match (errors.is_empty(), items.is_empty()) {
        (false, _) => ExitCode::from(2),
        (true, false) => ExitCode::FAILURE,
        (true, true) => {
            say("Nothing changes for a gate with these settings.");
            ExitCode::SUCCESS
        }
    }
}
