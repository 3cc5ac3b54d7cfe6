//! Counts changes that no background search has begun to find, so that one search finds those of many.

use std::sync::atomic::{AtomicUsize, Ordering};

/// The number of such changes.
#[derive(Default)]
pub struct UnseenChanges(AtomicUsize);

impl UnseenChanges {
    /// Records a change. Returns whether the caller must search until [`Self::are_seen`].
    pub(super) fn add(&self) -> bool {
        self.0.fetch_add(1, Ordering::AcqRel) == 0
    }

    pub(super) fn count(&self) -> usize {
        self.0.load(Ordering::Acquire)
    }

    /// Resets the number, unless there are more changes than this by now. Returns whether it did.
    pub(super) fn are_seen(&self, count: usize) -> bool {
        let (success, failure) = (Ordering::AcqRel, Ordering::Acquire);
        let seen = self.0.compare_exchange(count, 0, success, failure);
        seen.is_ok()
    }
}
