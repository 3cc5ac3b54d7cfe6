//! The due entries that the sweep set aside, so that each is logged once.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

/// The entries that were set aside: ids of requests, and digests of what the gate did not write.
#[derive(Default)]
pub struct SetAside(Mutex<HashSet<String>>);

impl SetAside {
    /// Adds an entry. Returns whether it is new.
    pub(super) fn add(&self, entry: String) -> bool {
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        entries.insert(entry)
    }

    /// Keeps only these, which a complete sweep has set aside: an entry that was repaired is logged when it is
    /// damaged again.
    pub(super) fn retain(&self, entries: HashSet<String>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = entries;
    }
}
