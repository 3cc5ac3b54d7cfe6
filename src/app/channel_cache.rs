//! The last reading of the channels that are switched off.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::values::Timestamp;

/// How old a reading may be.
const LONGEST: Duration = Duration::from_secs(60);

/// The last reading, and when it began.
#[derive(Default)]
pub struct ChannelCache(Mutex<Option<(Timestamp, BTreeSet<String>)>>);

impl ChannelCache {
    /// Whether a reading of at most 60 s ago says that a channel is not switched off.
    pub(super) fn has_on(&self, channel: &str, now: Timestamp) -> bool {
        match &*self.lock() {
            Some((began_at, off)) => now.since(*began_at) < LONGEST && !off.contains(channel),
            None => false,
        }
    }

    pub(super) fn set(&self, began_at: Timestamp, off: BTreeSet<String>) {
        *self.lock() = Some((began_at, off));
    }

    /// The next reading is a new one.
    pub(super) fn clear(&self) {
        *self.lock() = None;
    }

    fn lock(&self) -> MutexGuard<'_, Option<(Timestamp, BTreeSet<String>)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
