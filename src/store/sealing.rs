//! Sealing rows, and checking and reading those that come back.

use serde_json::{Map, Value};

use super::row::{self, Columns, Format, Row, Scope, v1};
use super::{Backend, Entry, GateId, RawRow, RowVersion, Store, StoreError, StoredRow};
use crate::approval::Approval;
use crate::id::ApprovalId;
use crate::timestamp::Timestamp;
use crate::token::LinkKeys;

/// How a copied row says for which gate and table it is sealed.
const OF_GATE: &str = "odata.gate";
const OF_TABLE: &str = "odata.table";

impl Store {
    /// The row of an approval as one write stores it. `was` is its entry in the index until now.
    pub(super) async fn seal(
        &self,
        version: RowVersion,
        approval: &Approval,
        due: Option<Timestamp>,
        was: Option<&Entry>,
        revision: u32,
    ) -> Result<Row, StoreError> {
        let operation_id = row::operation_id();
        let id = &approval.request.id;
        let entry = match &self.backend {
            Backend::Embedded(_) => None,
            Backend::Tables(_) => due.map(|due| Entry::new(id, due, was, &operation_id)),
        };
        let columns = Columns::encode(approval, due, entry.as_ref(), &operation_id)?;
        let keys = self.link_keys()?;
        let columns = match version {
            RowVersion::V1 => v1::seal(columns, keys),
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
            operation_id,
        })
    }

    pub(super) fn link_keys(&self) -> Result<&LinkKeys, StoreError> {
        let without = || StoreError::Unavailable("it was opened without keys".to_owned());
        self.keys.as_deref().ok_or_else(without)
    }

    /// The approval in a row, and its revision. Without keys no seal is checked.
    pub(super) async fn open(
        &self,
        columns: &Columns,
        id: &ApprovalId,
    ) -> Result<(Approval, u32), StoreError> {
        let keys = self.keys.as_deref();
        match (columns.format(), keys) {
            (Format::Legacy, _) => Err(StoreError::Legacy),
            (Format::V1, _) => v1::check(columns, keys)?.decode(id),
            (Format::V2, None) => columns.decode(id),
            (Format::V2, Some(keys)) => {
                let gate = self.gate_id_to_read().await?;
                columns.check(gate.all(), &self.table, keys)?;
                columns.decode(id)
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
            columns.extend(gate.map(|gate| (OF_GATE.to_owned(), gate.id.as_str().into())));
        }
        let approval = match row::id(&keys) {
            Ok(id) => self.open(&plain, &id).await.map(|(approval, _)| approval),
            Err(error) if plain.format() != Format::Legacy => Err(error),
            Err(_) => Err(StoreError::Legacy),
        };
        StoredRow {
            is_due: plain.text("DueTimestamp").is_some(),
            keys,
            columns,
            approval,
            written_at,
            etag,
        }
    }

    /// Puts back a row of a copy, as [`StoredRow::columns`] has it, and what it is due for; never over one
    /// that is there. It is sealed anew: for this gate and table, or in version 1 if it was of version 1.
    /// A row of another gate is taken only when `other_gate` names that.
    ///
    /// # Errors
    /// [`StoreError::AlreadyExists`]; [`StoreError::Damaged`] if it is not as a gate with these keys
    /// stored it; [`StoreError::OtherGate`]; [`StoreError::Legacy`] if it is for tables only; or the
    /// store's own.
    pub async fn restore(
        &self,
        mut copy: Map<String, Value>,
        other_gate: Option<&str>,
    ) -> Result<(), StoreError> {
        let mut annotation = |name| match copy.remove(name) {
            Some(Value::String(text)) => Some(text),
            _ => None,
        };
        let (table, gate) = (annotation(OF_TABLE), annotation(OF_GATE));
        let mut columns = Columns::from_entity(copy.clone());
        let version = match (columns.format(), &self.backend) {
            (Format::Legacy, Backend::Tables(tables)) => {
                return tables.insert_as_it_is(&copy).await;
            }
            (Format::Legacy, Backend::Embedded(_)) => return Err(StoreError::Legacy),
            (Format::V1, _) => {
                columns = v1::check(&columns, Some(self.link_keys()?))?;
                RowVersion::V1
            }
            (Format::V2, _) => {
                let table = table.as_deref().unwrap_or(&self.table);
                let gate = gate.as_deref().or(other_gate);
                self.check_copy(&columns, table, gate, other_gate).await?;
                self.rows.version
            }
        };
        let text = |name| columns.text(name).unwrap_or_default().to_owned();
        let id = row::id(&(text("PartitionKey"), text("RowKey")))?;
        let due = columns.due()?;
        let (approval, _) = columns.decode(&id)?;
        self.insert_in(version, approval, due).await?;
        Ok(())
    }

    /// Checks a copied row of version 2. Where no gate id is kept yet, the row's is from now on.
    async fn check_copy(
        &self,
        columns: &Columns,
        table: &str,
        gate: Option<&str>,
        other_gate: Option<&str>,
    ) -> Result<(), StoreError> {
        let keys = self.link_keys()?;
        let Some(gate) = gate else {
            let own = self.gate_id_to_write().await?;
            return columns.check(own.all(), table, keys);
        };
        columns.check([gate], table, keys)?;
        let own = self.gate_id_or(gate).await?;
        if other_gate == Some(gate) || own.all().any(|own| own == gate) {
            Ok(())
        } else {
            Err(StoreError::OtherGate(gate.to_owned()))
        }
    }
}
