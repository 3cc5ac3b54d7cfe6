//! `human-oversight check --upgrade`: says what changes for a gate with these settings.

use std::process::ExitCode;

use anyhow::Context;
use human_oversight::config::upgrade_items;

use super::maintenance::say;

/// Prints each change that affects the gate, and what to set. The exit code is 1 if there is one.
///
/// # Errors
/// When a setting cannot be used.
pub(crate) fn run() -> anyhow::Result<ExitCode> {
    let items = upgrade_items(|name| std::env::var(name).ok());
    let items = items.context("the settings cannot be checked")?;
    for item in &items {
        say(&format!(
            "{}: {}\n  {}",
            item.setting, item.change, item.remedy
        ));
    }
    if items.is_empty() {
        say("Nothing changes for a gate with these settings.");
        Ok(ExitCode::SUCCESS)
    } else {
        Ok(ExitCode::FAILURE)
    }
}
