//! Listing the rows of the table `standing…`, also those that cannot be trusted.

use serde_json::{Map, Value};

use super::error::StoreError;
use super::gate_id::{GateId, keys_of_row};
use super::handle::Store;
use super::listing::{Cursor, OF_GATE, OF_TABLE, RawRow, STANDING};
use super::standing_row::{StandingKind, StandingRow};
use super::versioned::ETag;
use crate::values::Timestamp;

/// A row of the standing table, of any kind and content.
#[derive(Clone, Debug)]
pub struct StoredStandingRow {
    /// Partition key and row key.
    pub keys: (String, String),
    /// The kind, if it is a known one.
    pub kind: Option<StandingKind>,
    /// The columns, with the service's type annotations, and with the table and the gate of its row MAC, or all ids of the gate.
    pub columns: Map<String, Value>,
    /// The row, or why it cannot be trusted; `None` if it is of no [`StandingKind`], and not the damaged id of the gate.
    pub row: Option<Result<StandingRow, StoreError>>,
    /// Whether its row MAC is of a key that is not among the link keys.
    pub is_of_other_key: bool,
    /// The time of the last write, if the store knows it.
    pub written_at: Option<Timestamp>,
    etag: ETag,
}

impl StoredStandingRow {
    /// A column of text, whether the row can be trusted or not.
    pub fn text(&self, column: &str) -> Option<&str> {
        self.columns.get(column).and_then(Value::as_str)
    }
}

impl Store {
    /// A page of all rows of the table, of any kind and state, after a position; and the next position, if there is more.
    /// The gate's id is among them only if it is damaged. Without keys none is trusted.
    ///
    /// # Errors
    /// The store's own.
    pub async fn all_standing(
        &self,
        from: Option<Cursor>,
    ) -> Result<(Vec<StoredStandingRow>, Option<Cursor>), StoreError> {
        let (page, next) = self.backend.list_standing(from).await?;
        if page.is_empty() {
            return Ok((Vec::new(), next));
        }
        let gate = self.gate_id_to_list().await?;
        let mut rows = Vec::with_capacity(page.len());
        for raw in page {
            rows.extend(self.stored_standing(raw, gate.as_deref()).await);
        }
        Ok((rows, next))
    }

    /// All rows of a kind, of any state. The table must exist.
    ///
    /// # Errors
    /// The store's own.
    pub async fn all_standing_of(
        &self,
        kind: StandingKind,
    ) -> Result<Vec<StoredStandingRow>, StoreError> {
        let (mut rows, mut cursor) = (Vec::new(), None);
        loop {
            let listed = self.backend.list_standing_of(kind.word(), cursor).await;
            let (page, next) = self.note_loss(listed)?;
            for raw in page {
                rows.extend(self.stored_standing(raw, None).await);
            }
            cursor = next;
            if cursor.is_none() {
                return Ok(rows);
            }
        }
    }

    /// `None` for the gate's id, unless it is damaged.
    async fn stored_standing(
        &self,
        raw: RawRow,
        gate: Option<&GateId>,
    ) -> Option<StoredStandingRow> {
        let keys = self.link_keys();
        let is_of_other_key = keys.is_ok_and(|keys| raw.columns.is_orphaned(keys));
        let kind = StandingKind::from_word(&raw.keys.0);
        let row = match kind {
            None if raw.keys == keys_of_row() => match self.decode_gate_id(&raw.columns) {
                Err(error @ StoreError::GateIdDamaged(_)) => Some(Err(error)),
                _ => return None,
            },
            None => None,
            Some(kind) => {
                let etag = raw.etag.clone();
                let row = self.verify_standing(kind, &raw.keys, raw.columns, etag);
                Some(row.await)
            }
        };
        let mut columns = raw.entity;
        columns.insert(STANDING.to_owned(), true.into());
        columns.insert(OF_TABLE.to_owned(), (*self.standing).into());
        columns.extend(gate.map(|gate| (OF_GATE.to_owned(), gate.names().into())));
        Some(StoredStandingRow {
            keys: raw.keys,
            kind,
            columns,
            row,
            is_of_other_key,
            written_at: raw.written_at,
            etag: raw.etag,
        })
    }

    /// Deletes a listed row, if it is unchanged; also one that cannot be trusted.
    ///
    /// # Errors
    /// [`StoreError::Conflict`], or the store's own.
    pub async fn delete_stored_standing(&self, row: &StoredStandingRow) -> Result<(), StoreError> {
        self.backend.delete_standing(&row.keys, &row.etag).await
    }
}
