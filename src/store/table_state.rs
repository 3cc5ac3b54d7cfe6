//! What a probe of the store finds.

use super::error::StoreError;
use super::row::{self, Columns, Keys};

/// The state of a table.
#[derive(Clone, Debug)]
pub enum TableState {
    /// It can be read and written.
    Usable,
    /// It does not exist; a gate creates it at its start.
    Missing,
    Unreadable(StoreError),
    Unwritable(StoreError),
}

/// What a probe found.
#[derive(Clone, Debug)]
pub struct StoreProbe {
    /// The tables by name.
    pub tables: Vec<(String, TableState)>,
}

/// A row of a kind that no gate knows, under keys of its own.
pub(super) fn probe_row() -> (Keys, Columns) {
    let keys: Keys = ("check".to_owned(), row::operation_id());
    let mut columns = Columns::default();
    columns.set("PartitionKey", &keys.0);
    columns.set("RowKey", &keys.1);
    (keys, columns)
}
