//! What the store lists: due entries, and rows.

use serde_json::{Map, Value};

use super::entry::IndexRow;
use super::error::StoreError;
use super::row::{Columns, Keys};
use super::versioned::ETag;
use crate::domain::Approval;
use crate::values::{ApprovalId, Timestamp};

/// How a copied row says for which gate and table it is sealed.
pub(super) const OF_GATE: &str = "odata.gate";
pub(super) const OF_TABLE: &str = "odata.table";

/// Something that is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Due {
    /// Which approval; none for an entry that the gate did not write.
    pub id: Option<ApprovalId>,
    pub(super) index: Option<IndexRow>,
}

/// A row among all, whatever it holds.
#[derive(Clone, Debug)]
pub struct StoredRow {
    /// Its keys, which name it in the table.
    pub keys: (String, String),
    /// What it holds, column by column, with the types that are not text as the service names them. A row
    /// of version 2 says for which gate and table it is sealed, so that it can be put back elsewhere.
    pub columns: Map<String, Value>,
    /// The approval in it, if there is one.
    pub approval: Result<Approval, StoreError>,
    /// Whether the gate has still something to do about it.
    pub is_due: bool,
    /// When it was last written, where the store knows.
    pub written_at: Option<Timestamp>,
    pub(super) etag: ETag,
}

/// A row as a backend has it among all.
pub(super) struct RawRow {
    pub(super) keys: Keys,
    /// With the annotations of the service.
    pub(super) entity: Map<String, Value>,
    pub(super) columns: Columns,
    pub(super) etag: ETag,
    pub(super) written_at: Option<Timestamp>,
}

/// Where to go on among the rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Since when the last one is due, among those that are.
    pub(super) due: Option<Timestamp>,
    pub(super) keys: (String, Option<String>),
}
