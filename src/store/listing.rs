//! What the store lists: due requests, and all rows.

use human_oversight_protocol::parameters::{hex, sha256};
use serde_json::{Map, Value, json};

use super::entry::SeenEntry;
use super::error::StoreError;
use super::row::{Columns, Keys};
use super::versioned::ETag;
use crate::domain::Approval;
use crate::values::{ApprovalId, Timestamp};

/// The members of a copied row that name the gate and the table of its row MAC. Where the gate's id was replaced, and which
/// one the MAC is for is not known, the first names all of them, as `HO_GATE_ID` does.
pub(super) const OF_GATE: &str = "odata.gate";
pub(super) const OF_TABLE: &str = "odata.table";
/// Marks a copied row of the standing table.
pub(super) const STANDING: &str = "odata.standing";
/// Marks a copied row of the table of decisions.
pub(super) const DECIDED: &str = "odata.decided";

/// The column that says when a row is due.
pub(super) const DUE: &str = "DueTimestamp";

/// Stands in place of columns that are not JSON, which only a row of the embedded store can have.
const UNREADABLE: &str = "odata.unreadable";

/// Rows of one query, of any content: each is parsed when its turn comes, and dropped before the next.
pub(super) type KeyedRows = Box<dyn Iterator<Item = (Keys, Columns)> + Send>;

/// A page of what is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DuePage {
    pub due: Vec<Due>,
    /// The next position, if there is more.
    pub next: Option<Cursor>,
    /// Whether it has the marker of an index that is whole. The embedded store has none.
    pub has_marker: bool,
}

/// A due request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Due {
    /// An index entry that the gate did not write has a digest of its keys instead.
    pub id: Result<ApprovalId, String>,
    pub(super) index: Option<SeenEntry>,
}

impl Due {
    /// An index entry that the gate did not write.
    pub(super) fn foreign(partition: &str, row: &str) -> Self {
        let digest = sha256(format!("{partition}\n{row}").as_bytes());
        Self {
            id: Err(hex(&digest[..8])),
            index: None,
        }
    }
}

/// A row of any content.
#[derive(Clone, Debug)]
pub struct StoredRow {
    /// Partition key and row key.
    pub keys: (String, String),
    /// The columns, with the service's type annotations. A row of version 2 also names the table of its row MAC, and the
    /// gate, or all ids that it may have had, so that it can be restored elsewhere.
    pub columns: Map<String, Value>,
    /// The approval, or why it cannot be trusted.
    pub approval: Result<Approval, StoreError>,
    /// Whether the row has an entry in the due index, now or later.
    pub is_due: bool,
    /// The time of the last write, if the store knows it.
    pub written_at: Option<Timestamp>,
    pub(super) etag: ETag,
}

/// A row as a backend lists it.
pub(super) struct RawRow {
    pub(super) keys: Keys,
    /// With the type annotations of the service.
    pub(super) entity: Map<String, Value>,
    pub(super) columns: Columns,
    pub(super) etag: ETag,
    pub(super) written_at: Option<Timestamp>,
}

/// The position after a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// The due time of the last row, in a listing of due rows.
    pub(super) due: Option<Timestamp>,
    pub(super) keys: (String, Option<String>),
}

impl Cursor {
    /// The cursor as a text, for [`Cursor::decode`].
    pub fn encode(&self) -> String {
        let due = self.due.map(|due| due.to_string());
        json!([due, self.keys.0, self.keys.1]).to_string()
    }

    /// `None` if it is no cursor.
    pub fn decode(text: &str) -> Option<Self> {
        let (due, partition, row): (Option<String>, _, _) = serde_json::from_str(text).ok()?;
        let due = match due {
            None => None,
            Some(due) => Some(Timestamp::parse(&due)?),
        };
        let keys = (partition, row);
        Some(Self { due, keys })
    }
}

/// The columns of a row whose stored columns are not JSON: its keys.
pub(super) fn unreadable((partition, row): &Keys) -> Map<String, Value> {
    Map::from_iter([
        ("PartitionKey".to_owned(), partition.as_str().into()),
        ("RowKey".to_owned(), row.as_str().into()),
        (UNREADABLE.to_owned(), true.into()),
    ])
}

/// Refuses the columns of a listed or copied row that are only its keys, since the others were not JSON.
///
/// # Errors
/// [`StoreError::Damaged`].
pub fn ensure_readable(columns: &Map<String, Value>) -> Result<(), StoreError> {
    if columns.contains_key(UNREADABLE) {
        return Err(StoreError::damaged("it is not JSON"));
    }
    Ok(())
}
