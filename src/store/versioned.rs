//! An approval with its version.

use super::entry::IndexEntry;
use super::error::StoreError;
use super::row::Row;
use crate::domain::Approval;

/// An approval and the version it was read at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Versioned {
    /// The approval.
    pub approval: Approval,
    /// Its version.
    pub etag: ETag,
    pub(super) entry: Option<IndexEntry>,
    /// How often the row was written; 0 for one of version 1.
    pub(super) revision: u32,
}

/// An approval that is ready to be inserted.
#[derive(Debug)]
pub struct Reserved {
    pub(super) approval: Approval,
    pub(super) row: Row,
}

/// The version of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ETag(pub(super) String);

impl ETag {
    /// As the embedded store counts them.
    pub(super) fn version(&self) -> Result<i64, StoreError> {
        self.0.parse().map_err(|_| StoreError::Conflict)
    }
}
