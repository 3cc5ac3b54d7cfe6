//! Rows that the due index does not have.

use super::client::{Tables, find};
use super::index::shard;
use crate::store::entry::IndexEntry;
use crate::store::error::StoreError;
use crate::store::listing::StoredRow;
use crate::store::row;
use crate::values::Timestamp;

impl Tables {
    /// Whether the index lacks the entry that a row names, or has it for a later time or another request, unless the row was
    /// written meanwhile.
    pub(in crate::store) async fn misses(
        &self,
        row: &StoredRow,
        named: &IndexEntry,
    ) -> Result<bool, StoreError> {
        let keys = (shard(&named.key).to_owned(), named.key.clone());
        let found = match find(&self.open, &keys).await {
            Err(fault) if fault.is_code("TableNotFound") => None,
            found => found?,
        };
        let is_found = found.is_some_and(|(entry, _)| {
            let due = entry.text("Due").and_then(Timestamp::parse);
            let id = entry.text("Id").and_then(|id| id.parse().ok());
            due.is_some_and(|due| due <= named.due) && id == row::id(&row.keys).ok()
        });
        if is_found {
            return Ok(false);
        }
        match self.get(&row.keys).await {
            Ok((_, etag)) => Ok(etag == row.etag),
            Err(StoreError::NotFound) => Ok(false),
            Err(error) => Err(error),
        }
    }
}
