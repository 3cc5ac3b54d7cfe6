//! Compares the clock of this machine with that of the table service, by the dates of its answers.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use reqwest::header::{DATE, HeaderMap};

use crate::store::clock_difference::ClockDifference;
use crate::values::Timestamp;

const LOGGED_EVERY: Duration = Duration::from_secs(15 * 60);

/// The difference that the last answer showed.
#[derive(Debug, Default)]
pub(super) struct ServiceClock(Mutex<Seen>);

#[derive(Debug, Default)]
struct Seen {
    difference: Option<ClockDifference>,
    logged_at: Option<Instant>,
    /// Whether the end of a difference that was logged is to be logged.
    is_logged: bool,
}

impl ServiceClock {
    /// Compares the date of an answer that arrived just now. An answer without a date changes nothing.
    pub(super) fn compare(&self, headers: &HeaderMap) {
        let date = headers.get(DATE).and_then(|date| date.to_str().ok());
        let Some(date) = date.and_then(Timestamp::parse_http) else {
            return;
        };
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let now = now.map_or(0, |it| i64::try_from(it.as_secs()).unwrap_or(i64::MAX));
        let difference = ClockDifference::new(now - date.unix_seconds());
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        seen.difference = Some(difference);
        if !difference.is_noticeable() {
            if std::mem::take(&mut seen.is_logged) {
                tracing::info!(
                    "the clock of this machine agrees with that of the table service again"
                );
            }
        } else if seen.logged_at.is_none_or(|at| at.elapsed() >= LOGGED_EVERY) {
            (seen.logged_at, seen.is_logged) = (Some(Instant::now()), true);
            tracing::error!(
                ahead_s = difference.ahead(),
                "the clock of this machine differs from that of the table service"
            );
        }
    }

    pub(super) fn difference(&self) -> Option<ClockDifference> {
        let seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        seen.difference
    }
}
