//! Which row of the gate's id this process has seen, and when last.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::row::Columns;

/// How long the row of the id counts as seen, so that no call reads it only for this.
const SEEN_FOR: Duration = Duration::from_secs(60);

/// Which row of the id this process has seen, and when last.
#[derive(Clone, Default)]
pub(super) struct Sight(Arc<Mutex<Seen>>);

#[derive(Default)]
struct Seen {
    at: Option<Instant>,
    writing: Option<Writing>,
    was_lost: bool,
}

/// One writing of the row.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Writing {
    revision: u32,
    operation: Option<String>,
}

impl Writing {
    pub(super) fn of(columns: &Columns) -> Self {
        Self {
            revision: columns.revision().unwrap_or(0),
            operation: columns.text("OperationId").map(str::to_owned),
        }
    }
}

impl Sight {
    /// Sees the row. Returns whether it is the one that was seen before, or a later writing of it: in the place of one that
    /// was lost, the first writing is another.
    pub(super) fn see(&self, writing: Writing) -> bool {
        let mut seen = self.lock();
        let is_same = seen
            .writing
            .as_ref()
            .is_none_or(|before| *before == writing || before.revision < writing.revision);
        if is_same {
            seen.at = Some(Instant::now());
            seen.writing = Some(writing);
        }
        is_same
    }

    /// Notes that the row was lost before this process saw it: one that is there later is another.
    pub(super) fn lose(&self) {
        self.lock().was_lost = true;
    }

    pub(super) fn was_lost(&self) -> bool {
        self.lock().was_lost
    }

    /// The next look is a new one.
    pub(super) fn clear(&self) {
        self.lock().at = None;
    }

    pub(super) fn is_recent(&self) -> bool {
        self.lock().at.is_some_and(|at| at.elapsed() < SEEN_FOR)
    }

    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
