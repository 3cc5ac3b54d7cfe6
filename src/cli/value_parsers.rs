//! How the values of options are read.

use std::time::Duration;

pub(crate) fn seconds(value: &str) -> Result<Duration, &'static str> {
    let seconds = value.parse();
    seconds
        .map(Duration::from_secs)
        .map_err(|_| "it must be a whole number of seconds")
}

pub(crate) fn days(value: &str) -> Result<u64, &'static str> {
    let days = value.parse();
    days.map_err(|_| "it must be a whole number of days")
}
