//! How the values of options are read.

use std::time::Duration;

use human_oversight::config::is_gate_id;
use human_oversight::values::{Address, Timestamp};
use human_oversight_protocol::types::TIMEOUT_SECONDS;

pub(crate) fn seconds(value: &str) -> Result<Duration, &'static str> {
    let seconds = value.parse();
    seconds
        .map(Duration::from_secs)
        .map_err(|_| "it must be a whole number of seconds")
}

/// The time for a decision, in the limits of the gate.
pub(crate) fn timeout(value: &str) -> Result<Duration, &'static str> {
    let is_allowed = |time: &Duration| TIMEOUT_SECONDS.contains(&time.as_secs());
    let time = seconds(value).ok().filter(is_allowed);
    time.ok_or("it must be a whole number of seconds from 10 to 2592000 (30 days)")
}

pub(crate) fn days(value: &str) -> Result<u64, &'static str> {
    let days = value.parse();
    days.map_err(|_| "it must be a whole number of days")
}

/// A day, from its start in UTC, or a time.
pub(crate) fn date(value: &str) -> Result<Timestamp, &'static str> {
    let day = || Timestamp::parse(&format!("{value}T00:00:00Z"));
    let time = Timestamp::parse(value).or_else(day);
    time.ok_or("it must be a date such as 2026-11-01, or a time such as 2026-11-01T08:00:00Z")
}

/// The id of one gate.
pub(crate) fn gate_id(value: &str) -> Result<String, &'static str> {
    let id = Some(value).filter(|id| is_gate_id(id)).map(str::to_owned);
    id.ok_or("it must be the HO_GATE_ID of a gate, as a line of the copy names it")
}

pub(crate) fn address(value: &str) -> Result<Address, String> {
    Address::parse(value).map_err(|why| format!("it {why}"))
}
