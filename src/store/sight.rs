//! When this process last saw the row of the gate's id.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// How long the row of the id counts as seen, so that no call reads it only for this.
const SEEN_FOR: Duration = Duration::from_secs(60);

/// When this process last saw the row of the id.
#[derive(Clone, Default)]
pub(super) struct Sight(Arc<Mutex<Option<Instant>>>);

impl Sight {
    pub(super) fn now(&self) {
        *self.lock() = Some(Instant::now());
    }

    /// The next look is a new one.
    pub(super) fn clear(&self) {
        *self.lock() = None;
    }

    pub(super) fn is_recent(&self) -> bool {
        self.lock().is_some_and(|at| at.elapsed() < SEEN_FOR)
    }

    fn lock(&self) -> MutexGuard<'_, Option<Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
