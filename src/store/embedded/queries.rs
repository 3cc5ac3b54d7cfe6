//! Reading rows of the file.

use rusqlite::{Connection, OptionalExtension, params};

use crate::store::listing::Cursor;
use crate::store::row::Keys;
use crate::values::Timestamp;

/// The tables of the file.
pub(in crate::store) const REQUESTS: &str = "approvals";
pub(in crate::store) const STANDING: &str = "standingapprovals";
pub(in crate::store) const DECIDED: &str = "decidedapprovals";

/// The owner in a row, and whether the row waits for a person. An index uses the same texts. A damaged row has
/// neither.
pub(super) const OWNER: &str = "json_extract(iif(json_valid(Entity), Entity, NULL), '$.Owner')";
pub(super) const WAITS: &str = "Due IS NOT NULL \
    AND json_extract(iif(json_valid(Entity), Entity, NULL), '$.Status') = 'Pending'";

/// When, and the keys.
pub(super) type DueRow = (i64, String, String);

/// The keys, the version and the columns.
pub(super) type AnyRow = (Keys, i64, String);

/// Maximum rows of a page.
pub(super) const PAGE: usize = 100;

/// Whether the file has this table, also by what another process has done.
pub(super) fn has_table(connection: &Connection, table: &str) -> rusqlite::Result<bool> {
    let found = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?1";
    connection.prepare_cached(found)?.exists([table])
}

pub(super) fn get(
    connection: &Connection,
    table: &str,
    (partition, row): &Keys,
) -> rusqlite::Result<Option<(i64, String)>> {
    let mut select = connection.prepare_cached(&format!(
        "SELECT ETag, Entity FROM {table} WHERE PartitionKey = ?1 AND RowKey = ?2"
    ))?;
    select
        .query_row([partition, row], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()
}

pub(super) fn due(
    connection: &Connection,
    now: Timestamp,
    from: Option<Cursor>,
) -> rusqlite::Result<Vec<DueRow>> {
    let mut select = connection.prepare_cached(
        "SELECT Due, PartitionKey, RowKey FROM approvals
         WHERE Due <= ?1 AND (Due, PartitionKey, RowKey) > (?2, ?3, ?4)
         ORDER BY Due, PartitionKey, RowKey LIMIT ?5",
    )?;
    let (after, partition, row) = match from {
        Some(cursor) => (
            cursor.due.map_or(i64::MIN, Timestamp::unix_millis),
            cursor.keys.0,
            cursor.keys.1.unwrap_or_default(),
        ),
        None => (i64::MIN, String::new(), String::new()),
    };
    let rows = select.query_map(
        params![now.unix_millis(), after, partition, row, PAGE as i64],
        |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
    )?;
    rows.collect()
}

/// The first rows after a position, in the order of their keys, of one partition or of all.
pub(super) fn all(
    connection: &Connection,
    table: &str,
    only: Option<&str>,
    from: Option<Cursor>,
    most: usize,
) -> rusqlite::Result<Vec<AnyRow>> {
    // The first form reads nothing of other partitions.
    let after = match only {
        Some(_) => "PartitionKey = ?1 AND RowKey > ?2",
        None => "(PartitionKey, RowKey) > (?1, ?2)",
    };
    let mut select = connection.prepare_cached(&format!(
        "SELECT PartitionKey, RowKey, ETag, Entity FROM {table}
         WHERE {after} ORDER BY PartitionKey, RowKey LIMIT ?3"
    ))?;
    let (partition, row) = from.map(|cursor| cursor.keys).unwrap_or_default();
    let partition = only.unwrap_or(&partition);
    let rows = select.query_map(
        params![partition, row.unwrap_or_default(), most as i64],
        |row| Ok(((row.get(0)?, row.get(1)?), row.get(2)?, row.get(3)?)),
    )?;
    rows.collect()
}
