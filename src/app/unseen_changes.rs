//! Whether something has changed that a look in the background has yet to find.

use std::sync::atomic::{AtomicUsize, Ordering};

/// The changes that no look has begun to find since, so that one look finds those of many.
#[derive(Default)]
pub struct UnseenChanges(AtomicUsize);

impl UnseenChanges {
    /// Returns whether the caller has to look until [`Self::are_seen`].
    pub(super) fn add(&self) -> bool {
        self.0.fetch_add(1, Ordering::AcqRel) == 0
    }

    pub(super) fn count(&self) -> usize {
        self.0.load(Ordering::Acquire)
    }

    /// Whether there were no changes since there were this many.
    pub(super) fn are_seen(&self, count: usize) -> bool {
        let (success, failure) = (Ordering::AcqRel, Ordering::Acquire);
        let seen = self.0.compare_exchange(count, 0, success, failure);
        seen.is_ok()
    }
}
