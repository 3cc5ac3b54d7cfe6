//! Sealing rows, and verifying and decoding stored ones.

use super::backend::Backend;
use super::entry::IndexEntry;
use super::error::StoreError;
use super::gate_id::{GateId, RowVersion};
use super::handle::Store;
use super::listing::{DUE, OF_GATE, OF_TABLE, RawRow, StoredRow, ensure_readable};
use super::row::{self, Columns, Format, Row, Scope, v1};
use crate::domain::Approval;
use crate::keys::LinkKeys;
use crate::values::{ApprovalId, Timestamp};

impl Store {
    /// The sealed row of an approval. `known` are the index entries that it may keep: one that is announced, and its
    /// entry before this write.
    pub(super) async fn seal(
        &self,
        version: RowVersion,
        approval: &Approval,
        due: Option<Timestamp>,
        known: &[&IndexEntry],
        revision: u32,
    ) -> Result<Row, StoreError> {
        let operation_id = row::operation_id();
        let id = &approval.request.id;
        let keys = self.link_keys()?;
        let entry = match &self.backend {
            Backend::Embedded(_) => None,
            Backend::Tables(_) => {
                due.map(|due| IndexEntry::new(approval, due, known, &operation_id))
            }
        };
        let columns = row::encode(approval, due, entry.as_ref(), &operation_id)?;
        let columns = match version {
            RowVersion::V1 => v1::seal(columns, keys)?,
            RowVersion::V2 => {
                let gate = self.gate_id_to_write().await?;
                let scope = Scope {
                    gate: &gate.id,
                    table: &self.table,
                };
                columns.seal(revision, scope, keys)
            }
        };
        Ok(Row {
            keys: row::keys(id),
            columns,
            due,
            entry,
        })
    }

    pub(super) fn link_keys(&self) -> Result<&LinkKeys, StoreError> {
        let without = || StoreError::Unavailable("it was opened without keys".to_owned());
        self.keys.as_deref().ok_or_else(without)
    }

    /// The approval in a row, and its revision. Without keys no row MAC is verified.
    pub(super) async fn verify_and_decode(
        &self,
        columns: Columns,
        id: &ApprovalId,
    ) -> Result<(Approval, u32), StoreError> {
        ensure_readable(&columns.0)?;
        let keys = self.keys.as_deref();
        match (columns.format(), keys) {
            (Format::Legacy, _) => Err(StoreError::Legacy),
            (Format::V1, _) => row::decode(v1::check(&columns, keys)?, id),
            (Format::V2, None) => row::decode(columns, id),
            (Format::V2, Some(keys)) => {
                let gate = self.gate_id_to_read().await?;
                columns.check(gate.all(), &self.table, keys)?;
                row::decode(columns, id)
            }
        }
    }

    pub(super) async fn stored_row(&self, row: RawRow, gate: Option<&GateId>) -> StoredRow {
        let RawRow {
            keys,
            entity: mut columns,
            columns: plain,
            etag,
            written_at,
        } = row;
        if plain.format() == Format::V2 {
            columns.insert(OF_TABLE.to_owned(), (*self.table).into());
            columns.extend(gate.map(|gate| (OF_GATE.to_owned(), gate.names().into())));
        }
        let is_due = plain.text(DUE).is_some();
        let approval = match row::id(&keys) {
            Ok(id) => self
                .verify_and_decode(plain, &id)
                .await
                .map(|(approval, _)| approval),
            Err(error) if plain.format() != Format::Legacy => Err(error),
            Err(_) => Err(StoreError::Legacy),
        };
        StoredRow {
            is_due,
            keys,
            columns,
            approval,
            written_at,
            etag,
        }
    }
}
