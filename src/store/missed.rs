//! Whether the sweep finds a request when its row says that it is due.

use super::backend::Backend;
use super::entry::IndexEntry;
use super::error::StoreError;
use super::handle::Store;
use super::listing::{DUE, StoredRow};
use super::row::Columns;
use crate::values::Timestamp;

impl Store {
    /// When a listed row is due, if the due index does not have it, or only later: then no sweep finds it in time. `None`
    /// also for one that was written meanwhile.
    ///
    /// # Errors
    /// The store's own.
    pub async fn missed(&self, row: &StoredRow) -> Result<Option<Timestamp>, StoreError> {
        let columns = Columns::from_entity(row.columns.clone());
        let Some(due) = columns.text(DUE).and_then(Timestamp::parse) else {
            return Ok(None);
        };
        let is_missed = match &self.backend {
            Backend::Embedded(embedded) => embedded.misses(row, due)?,
            Backend::Tables(tables) => {
                let Some(entry) = IndexEntry::from_columns(&columns)? else {
                    return Ok(None);
                };
                tables.misses(row, &entry).await?
            }
        };
        Ok(is_missed.then_some(due))
    }
}
