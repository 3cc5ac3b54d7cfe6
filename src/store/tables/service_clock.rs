//! How far the clock of this machine is off that of the table service, by the dates of its answers.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use reqwest::header::{DATE, HeaderMap};

use crate::values::Timestamp;

/// From this many seconds on it is logged.
const LOGGED_FROM: u64 = 30;

const LOGGED_EVERY: Duration = Duration::from_secs(15 * 60);

/// The difference that the last answer showed.
#[derive(Debug, Default)]
pub(super) struct ServiceClock {
    /// The seconds by which this machine is ahead.
    ahead: AtomicI64,
    logged_at: Mutex<Option<Instant>>,
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
        let ahead = now - date.unix_seconds();
        self.ahead.store(ahead, Ordering::Relaxed);
        if ahead.unsigned_abs() > LOGGED_FROM && self.is_to_be_logged() {
            tracing::error!(
                ahead_s = ahead,
                "the clock of this machine differs from that of the table service"
            );
        }
    }

    /// The seconds by which this machine is ahead of the service, as far as it is known.
    pub(super) fn ahead(&self) -> i64 {
        self.ahead.load(Ordering::Relaxed)
    }

    fn is_to_be_logged(&self) -> bool {
        let mut logged_at = self
            .logged_at
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let is_due = logged_at.is_none_or(|at| at.elapsed() >= LOGGED_EVERY);
        if is_due {
            *logged_at = Some(Instant::now());
        }
        is_due
    }
}
