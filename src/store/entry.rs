//! An entry of the due index.

use crate::values::Timestamp;

/// The entry of a row in the due index, on a backend that keeps the index in a separate table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) due: Timestamp,
    pub(super) key: String,
}

/// An entry as it is stored in the index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct IndexRow {
    pub(super) key: String,
    pub(super) written_at: Timestamp,
}
