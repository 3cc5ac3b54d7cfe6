//! Repeating a write that conflicts with other writers.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::keys::random_bytes;
use crate::store::StoreError;

/// How long a write is repeated at least. Where many write to one row, as to that of a rule's `limit`, each waits for all
/// others.
const RETRY_FOR: Duration = Duration::from_secs(10);

/// How many attempts there are at least: one may take as long as all of them.
const LEAST_ATTEMPTS: u32 = 7;

/// The factor of the longest pause between attempts.
const LONGEST_PAUSE: u32 = 12;

/// The attempts at a write, each of which reads the row again.
pub(super) struct Retries {
    give_up_at: Instant,
    /// How many there were.
    attempts: u32,
}

impl Retries {
    pub(super) fn new() -> Self {
        Self {
            give_up_at: Instant::now() + RETRY_FOR,
            attempts: 0,
        }
    }

    /// Waits before the next attempt if another writer was first.
    ///
    /// # Errors
    /// Any other error, and that of an attempt after which it is too late for another.
    pub(super) async fn wait_after(&mut self, error: StoreError) -> Result<(), StoreError> {
        self.attempts += 1;
        let is_conflict = matches!(error, StoreError::Conflict | StoreError::AlreadyExists);
        let is_last = self.attempts >= LEAST_ATTEMPTS && Instant::now() >= self.give_up_at;
        if !is_conflict || is_last {
            return Err(error);
        }
        let jitter = 1 + u64::from(random_bytes::<1>()[0]) % 8;
        let factor = u64::from(self.attempts.min(LONGEST_PAUSE));
        sleep(Duration::from_millis(factor * jitter)).await;
        Ok(())
    }
}
