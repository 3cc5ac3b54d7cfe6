//! An entry of the due index.

use crate::values::Timestamp;

/// The entry that a row has in the index of what is due, where that is a table of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) due: Timestamp,
    pub(super) key: String,
}

/// An entry as it stands in the index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct IndexRow {
    pub(super) key: String,
    pub(super) written_at: Timestamp,
}
