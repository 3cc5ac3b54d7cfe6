//! The last reading of the pauses.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::domain::Pause;

/// How old a reading may be for a submit or a page.
const LONGEST: Duration = Duration::from_secs(5);

/// The last reading, and when it began.
#[derive(Default)]
pub struct PauseCache(Mutex<Option<(Instant, Arc<[Pause]>)>>);

impl PauseCache {
    /// The reading, if it began at most 5 s ago.
    pub(super) fn get(&self) -> Option<Arc<[Pause]>> {
        let cached = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (began_at, pauses) = cached.as_ref()?;
        (began_at.elapsed() < LONGEST).then(|| pauses.clone())
    }

    /// The next reading is a new one.
    pub(super) fn clear(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    pub(super) fn set(&self, began_at: Instant, pauses: Arc<[Pause]>) {
        let mut cached = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *cached = Some((began_at, pauses));
    }
}
