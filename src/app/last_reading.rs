//! The last reading of rows that other processes write too.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// The last reading, and when it began.
pub struct LastReading<T: ?Sized> {
    longest: Duration,
    last: Mutex<Option<(Instant, Arc<T>)>>,
}

impl<T: ?Sized> LastReading<T> {
    /// A reading counts for this long.
    pub(super) const fn for_at_most(longest: Duration) -> Self {
        let last = Mutex::new(None);
        Self { longest, last }
    }

    /// The last reading, unless it is too old.
    pub(super) fn get(&self) -> Option<Arc<T>> {
        let last = self.lock();
        let (began_at, read) = last.as_ref()?;
        (began_at.elapsed() < self.longest).then(|| read.clone())
    }

    pub(super) fn set(&self, began_at: Instant, read: Arc<T>) {
        *self.lock() = Some((began_at, read));
    }

    /// The next reading is a new one.
    pub(super) fn clear(&self) {
        *self.lock() = None;
    }

    fn lock(&self) -> MutexGuard<'_, Option<(Instant, Arc<T>)>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
