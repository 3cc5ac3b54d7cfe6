//! Restoring the rows of a backup.

use serde_json::{Map, Value};

use super::backend::Backend;
use super::error::StoreError;
use super::gate_id::{GateId, RowVersion, SEPARATOR};
use super::handle::Store;
use super::listing::{OF_GATE, OF_TABLE, STANDING};
use super::row::{self, Columns, Format, v1};
use super::standing_row::{self, StandingKind, StandingRow};
use crate::domain::Approval;
use crate::values::Timestamp;

impl Store {
    /// Restores a row of a backup, with its index entry; never replaces a row. The row gets a new row MAC: for
    /// this gate and table, or in version 1 if it was of version 1. A row of another gate is accepted only if
    /// `other_gate` names that gate. Returns the request; `None` for one of the legacy Logic App.
    ///
    /// # Errors
    /// [`StoreError::AlreadyExists`]; [`StoreError::Damaged`] if it is not as a gate with these keys
    /// stored it; [`StoreError::OtherGate`]; [`StoreError::Legacy`] if only tables can hold it; or the
    /// store's own.
    pub async fn restore(
        &self,
        mut copy: Map<String, Value>,
        other_gate: Option<&str>,
    ) -> Result<Option<Approval>, StoreError> {
        let mut annotation = |name| match copy.remove(name) {
            Some(Value::String(text)) => Some(text),
            _ => None,
        };
        let (table, gate) = (annotation(OF_TABLE), annotation(OF_GATE));
        let mut columns = Columns::from_entity(copy.clone());
        let version = match (columns.format(), &self.backend) {
            (Format::Legacy, Backend::Tables(tables)) => {
                tables.insert_as_it_is(&copy).await?;
                return Ok(None);
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
        let id = row::id(&columns.keys())?;
        let due = columns.due()?;
        let (approval, _) = row::decode(columns, &id)?;
        let stored = self.insert_in(version, approval, due).await?;
        Ok(Some(stored.approval))
    }

    /// The row of the standing table that a line of a backup holds, not stored yet, and the time of its last
    /// write; `None` if the line holds a request. Where it may be stored: see [`Store::restore`].
    ///
    /// # Errors
    /// [`StoreError::Damaged`] if it is not as a gate with these keys stored it, or of an unknown kind;
    /// [`StoreError::OtherGate`]; or the store's own.
    pub async fn standing_copy(
        &self,
        copy: &Map<String, Value>,
        other_gate: Option<&str>,
    ) -> Result<Option<(StandingRow, Timestamp)>, StoreError> {
        if copy.get(STANDING).is_none() {
            return Ok(None);
        }
        let annotation = |name| copy.get(name).and_then(Value::as_str);
        let table = annotation(OF_TABLE).unwrap_or(&self.standing);
        let gate = annotation(OF_GATE).or(other_gate);
        let columns = Columns::from_entity(copy.clone());
        self.check_copy(&columns, table, gate, other_gate).await?;
        let keys = columns.keys();
        let unknown = || StoreError::Damaged(format!("{} is no known kind", keys.0));
        let kind = StandingKind::from_word(&keys.0).ok_or_else(unknown)?;
        standing_row::decode_copy(kind, &keys, &columns).map(Some)
    }

    /// Verifies a copied row of version 2, which names the `gates` that it may be sealed for. If no gate id is stored yet,
    /// the row's gate becomes it.
    pub(super) async fn check_copy(
        &self,
        columns: &Columns,
        table: &str,
        gates: Option<&str>,
        other_gate: Option<&str>,
    ) -> Result<(), StoreError> {
        let keys = self.link_keys()?;
        let Some(gates) = gates else {
            let own = self.gate_id_to_write().await?;
            return columns.check(own.all(), table, keys);
        };
        match columns.gate(gates.split(SEPARATOR), table, keys) {
            Ok(gate) => {
                let own = self.gate_id_or(gate).await?;
                if other_gate == Some(gate) || own.has(gate) {
                    Ok(())
                } else {
                    Err(StoreError::OtherGate(gate.to_owned()))
                }
            }
            // Earlier versions named the id of the day, whichever it was sealed for.
            Err(damaged) => match self.own_gate_id().await? {
                Some(own) if own.has(gates) => columns.check(own.all(), table, keys),
                _ => Err(damaged),
            },
        }
    }

    /// The stored id, or else that of the settings; `None` if neither has one. Writes nothing.
    async fn own_gate_id(&self) -> Result<Option<GateId>, StoreError> {
        let found = self.read_gate_id().await?;
        let stored = found.map(|(columns, _)| self.decode_gate_id(&columns));
        let stored = stored.transpose()?.map(|stored| stored.id);
        GateId::next(stored.as_ref(), &self.rows)
    }
}
