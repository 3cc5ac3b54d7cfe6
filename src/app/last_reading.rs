//! The last reading of rows that other processes write too.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// The last reading, and when it began.
pub struct LastReading<T: ?Sized> {
    longest: Duration,
    last: Mutex<Last<T>>,
}

struct Last<T: ?Sized> {
    reading: Option<(Instant, Arc<T>)>,
    cleared_at: Option<Instant>,
}

impl<T: ?Sized> LastReading<T> {
    /// A reading counts for this long.
    pub(super) fn for_at_most(longest: Duration) -> Self {
        let last = Last {
            reading: None,
            cleared_at: None,
        };
        let last = Mutex::new(last);
        Self { longest, last }
    }

    /// The last reading, unless it is too old.
    pub(super) fn get(&self) -> Option<Arc<T>> {
        let last = self.lock();
        let (began_at, read) = last.reading.as_ref()?;
        (began_at.elapsed() < self.longest).then(|| read.clone())
    }

    /// Keeps a reading, unless it began before the last change and may lack it.
    pub(super) fn set(&self, began_at: Instant, read: Arc<T>) {
        let mut last = self.lock();
        if last.cleared_at.is_none_or(|at| began_at > at) {
            last.reading = Some((began_at, read));
        }
    }

    /// Discards the reading after a change, and what is being read.
    pub(super) fn clear(&self) {
        let mut last = self.lock();
        last.reading = None;
        last.cleared_at = Some(Instant::now());
    }

    fn lock(&self) -> MutexGuard<'_, Last<T>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reading_that_began_before_a_change_is_not_kept() {
        let last = LastReading::for_at_most(Duration::from_secs(60));
        let began_at = Instant::now();
        last.clear();
        last.set(began_at, Arc::new("from before"));
        assert!(last.get().is_none());
        let after = Instant::now() + Duration::from_nanos(1);
        last.set(after, Arc::new("from after"));
        assert_eq!(last.get().as_deref(), Some(&"from after"));
        last.clear();
        assert!(last.get().is_none());
    }
}
