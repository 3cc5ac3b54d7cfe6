//! Probes for operators: whether each table can be read and written. A probe changes no row of a gate.

use super::backend::Backend;
use super::embedded::{EMBEDDED_FILE, Embedded};
use super::error::StoreError;
use super::handle::Store;
use super::table_state::{StoreProbe, TableState, probe_row};

impl Store {
    /// Reads from each table and tries to write to it: in `standing…` and `open…` a row that no gate looks at, which
    /// is deleted again; in the tables that reports read, on a condition that cannot hold.
    pub async fn probe(&self) -> StoreProbe {
        match &self.backend {
            Backend::Tables(tables) => tables.probe().await,
            Backend::Embedded(embedded) => StoreProbe {
                tables: vec![(EMBEDDED_FILE.to_owned(), probe_file(embedded).await)],
            },
        }
    }

    /// Reads from the table of requests.
    ///
    /// # Errors
    /// The store's own.
    pub async fn try_reading(&self) -> Result<(), StoreError> {
        match &self.backend {
            Backend::Tables(tables) => tables.try_reading().await,
            Backend::Embedded(embedded) => embedded.try_reading(),
        }
    }

    /// The gate's id and its former ids, if they can be trusted and it is the one that the settings give. Writes nothing.
    ///
    /// # Errors
    /// [`StoreError::GateId`], why it cannot be trusted, or the store's own.
    pub async fn check_gate_id(&self) -> Result<(String, Vec<String>), StoreError> {
        let id = self.gate_id_to_read().await?;
        let former = id.all().skip(1).map(str::to_owned);
        Ok((id.id.clone(), former.collect()))
    }
}

async fn probe_file(embedded: &Embedded) -> TableState {
    if !embedded.exists() {
        return match embedded.try_creating() {
            Ok(()) => TableState::Missing,
            Err(error) => TableState::Unwritable(error),
        };
    }
    if let Err(error) = embedded.all(None) {
        return TableState::Unreadable(error);
    }
    let (keys, columns) = probe_row();
    let written = async {
        let etag = embedded.put_standing(keys.clone(), columns, None).await?;
        embedded.delete_standing(&keys, &etag).await
    };
    written
        .await
        .map_or_else(TableState::Unwritable, |()| TableState::Usable)
}
