//! Restoring the rows of a backup.

use serde_json::{Map, Value};

use super::backend::Backend;
use super::error::StoreError;
use super::gate_id::RowVersion;
use super::handle::Store;
use super::listing::{OF_GATE, OF_TABLE};
use super::row::{self, Columns, Format, v1};

impl Store {
    /// Puts back a row of a copy, as [`StoredRow::columns`] has it, and what it is due for; never over one
    /// that is there. It is sealed anew: for this gate and table, or in version 1 if it was of version 1.
    /// A row of another gate is taken only when `other_gate` names that.
    ///
    /// # Errors
    /// [`StoreError::AlreadyExists`]; [`StoreError::Damaged`] if it is not as a gate with these keys
    /// stored it; [`StoreError::OtherGate`]; [`StoreError::Predecessor`] if it is for tables only; or the
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
            (Format::Legacy, Backend::Embedded(_)) => return Err(StoreError::Predecessor),
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
        let (approval, _) = row::decode(&columns, &id)?;
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
