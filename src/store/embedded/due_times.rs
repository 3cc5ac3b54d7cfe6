//! The times by which the sweep finds rows, in a column beside what a row says itself.

use rusqlite::params;
use serde_json::Value;

use super::queries::REQUESTS;
use super::{Embedded, Place};
use crate::store::error::StoreError;
use crate::store::listing::{DUE, StoredRow};
use crate::values::Timestamp;

impl Embedded {
    /// Whether a row that is due by then has no time, or a later one, unless it was written meanwhile.
    pub(in crate::store) fn misses(
        &self,
        row: &StoredRow,
        due: Timestamp,
    ) -> Result<bool, StoreError> {
        let (version, (partition, key)) = (row.etag.version()?, &row.keys);
        self.read(|connection| {
            let mut select = connection.prepare_cached(&format!(
                "SELECT 1 FROM {REQUESTS} WHERE PartitionKey = ?1 AND RowKey = ?2 AND ETag = ?3
                 AND (Due IS NULL OR Due > ?4)"
            ))?;
            select.exists(params![partition, key, version, due.unix_millis()])
        })
    }

    /// Gives the rows of a page the times at which they say that they are due. Returns how many had another, and the next
    /// position.
    pub(in crate::store) fn rebuild_index(
        &self,
        from: Option<Place>,
    ) -> Result<(usize, Option<Place>), StoreError> {
        let (rows, next) = self.list(REQUESTS, None, from)?;
        let mut written = 0;
        for row in rows {
            let due = row.columns.0.get(DUE).and_then(Value::as_str);
            // What cannot be read names none: `verify` reports it.
            let Some(due) = due.and_then(Timestamp::parse) else {
                continue;
            };
            let (version, (partition, key)) = (row.etag.version()?, row.keys);
            written += self.read(|connection| {
                let mut update = connection.prepare_cached(&format!(
                    "UPDATE {REQUESTS} SET Due = ?4
                     WHERE PartitionKey = ?1 AND RowKey = ?2 AND ETag = ?3 AND Due IS NOT ?4"
                ))?;
                update.execute(params![partition, key, version, due.unix_millis()])
            })?;
        }
        Ok((written, next))
    }
}
