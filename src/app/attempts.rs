//! Repeating a write that conflicts with other writers.

use std::time::Duration;

use crate::keys::random_bytes;

/// Maximum attempts at such a write.
pub(super) const MAX_WRITE_ATTEMPTS: u32 = 7;

/// Waits before the next attempt.
pub(super) async fn back_off(attempt: u32) {
    let jitter = 1 + u64::from(random_bytes::<1>()[0]) % 8;
    tokio::time::sleep(Duration::from_millis(u64::from(attempt) * jitter)).await;
}
