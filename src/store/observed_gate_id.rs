//! Which write of the gate id's row this process has observed, and when last.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::row::Columns;

/// How long an observation of the row counts, so that no call reads the row only for this.
const COUNTS_FOR: Duration = Duration::from_secs(60);

/// Which write of the gate id's row this process has observed, and when last.
#[derive(Clone, Default)]
pub(super) struct ObservedGateId(Arc<Mutex<Observation>>);

#[derive(Default)]
struct Observation {
    at: Option<Instant>,
    write: Option<RowWrite>,
    was_lost: bool,
}

/// One write of the row.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct RowWrite {
    revision: u32,
    operation: Option<String>,
}

impl RowWrite {
    pub(super) fn of(columns: &Columns) -> Self {
        Self {
            revision: columns.revision().unwrap_or(0),
            operation: columns.text("OperationId").map(str::to_owned),
        }
    }
}

impl ObservedGateId {
    /// Records that the row was read or written. Returns whether it is the row observed before, as it was or as written
    /// later: a row that replaces a lost one begins with another first write.
    pub(super) fn observe(&self, write: RowWrite) -> bool {
        let mut observation = self.lock();
        let is_same = observation
            .write
            .as_ref()
            .is_none_or(|before| *before == write || before.revision < write.revision);
        if is_same {
            observation.at = Some(Instant::now());
            observation.write = Some(write);
        }
        is_same
    }

    /// Records that the row was lost before this process observed it: one that is there later is another.
    pub(super) fn mark_lost(&self) {
        self.lock().was_lost = true;
    }

    pub(super) fn was_lost(&self) -> bool {
        self.lock().was_lost
    }

    /// Forces the next check to read the row.
    pub(super) fn expire(&self) {
        self.lock().at = None;
    }

    pub(super) fn is_recent(&self) -> bool {
        self.lock().at.is_some_and(|at| at.elapsed() < COUNTS_FOR)
    }

    fn lock(&self) -> MutexGuard<'_, Observation> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
