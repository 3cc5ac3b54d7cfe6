//! Repeating a write that conflicts with other writers.

use std::time::Duration;

use tokio::time::Instant;

use crate::keys::random_bytes;
use crate::store::StoreError;

/// Maximum attempts at a write to a row that few change.
pub(super) const MAX_WRITE_ATTEMPTS: u32 = 7;

/// How long a write to a row that many change is repeated.
const RETRY_FOR: Duration = Duration::from_secs(10);

/// The factor of the longest pause between attempts.
const LONGEST_PAUSE: u32 = 12;

/// Waits before the next attempt; `attempt` counts from 0.
pub(super) async fn back_off(attempt: u32) {
    let jitter = 1 + u64::from(random_bytes::<1>()[0]) % 8;
    let factor = u64::from((attempt + 1).min(LONGEST_PAUSE));
    tokio::time::sleep(Duration::from_millis(factor * jitter)).await;
}

/// The attempts at a write to a row that many change, each of which reads the row again.
pub(super) struct Retries {
    give_up_at: Instant,
    attempt: u32,
}

impl Retries {
    pub(super) fn new() -> Self {
        Self {
            give_up_at: Instant::now() + RETRY_FOR,
            attempt: 0,
        }
    }

    /// Waits before the next attempt if another writer was first.
    ///
    /// # Errors
    /// Any other error, and that of an attempt after which it is too late for another.
    pub(super) async fn wait_after(&mut self, error: StoreError) -> Result<(), StoreError> {
        let is_conflict = matches!(error, StoreError::Conflict | StoreError::AlreadyExists);
        if !is_conflict || Instant::now() >= self.give_up_at {
            return Err(error);
        }
        back_off(self.attempt).await;
        self.attempt += 1;
        Ok(())
    }
}
