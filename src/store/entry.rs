//! An entry of the due index.

use crate::values::Timestamp;

/// The entry that a row names in the due index, where that is a table of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct IndexEntry {
    pub(super) due: Timestamp,
    pub(super) key: String,
}

/// An entry as the sweep read it from the index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SeenEntry {
    pub(super) key: String,
    pub(super) written_at: Timestamp,
}
