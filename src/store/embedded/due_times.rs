//! The times by which the sweep finds rows, in a column beside what a row says itself.

use rusqlite::{Connection, params};

use super::queries::REQUESTS;
use crate::store::row::Keys;
use crate::values::Timestamp;

/// Whether a row of this version that is due by then has no time, or a later one.
pub(super) fn misses(
    connection: &Connection,
    (partition, key): &Keys,
    version: i64,
    due: Timestamp,
) -> rusqlite::Result<bool> {
    let mut select = connection.prepare_cached(&format!(
        "SELECT 1 FROM {REQUESTS} WHERE PartitionKey = ?1 AND RowKey = ?2 AND ETag = ?3
         AND (Due IS NULL OR Due > ?4)"
    ))?;
    select.exists(params![partition, key, version, due.unix_millis()])
}

/// Gives a row of this version its time. Returns how many had another: one, or none.
pub(super) fn put(
    connection: &Connection,
    (partition, key): &Keys,
    version: i64,
    due: Timestamp,
) -> rusqlite::Result<usize> {
    let mut update = connection.prepare_cached(&format!(
        "UPDATE {REQUESTS} SET Due = ?4
         WHERE PartitionKey = ?1 AND RowKey = ?2 AND ETag = ?3 AND Due IS NOT ?4"
    ))?;
    update.execute(params![partition, key, version, due.unix_millis()])
}
