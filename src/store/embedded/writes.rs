//! Writing rows of the file, several in one commit.

use std::sync::mpsc::Receiver;

use rusqlite::{Connection, TransactionBehavior, params};
use tokio::sync::oneshot;

use super::file::File;
use super::queries::{OWNER, WAITS, get};
use crate::store::error::StoreError;
use crate::store::row::Keys;
use crate::values::Timestamp;

/// A write that waits for its turn.
pub(super) struct Write {
    pub(super) table: &'static str,
    pub(super) keys: Keys,
    /// The columns; `None` deletes the row.
    pub(super) entity: Option<String>,
    pub(super) due: Option<Timestamp>,
    pub(super) condition: Condition,
    pub(super) reply: oneshot::Sender<Result<i64, StoreError>>,
}

/// The condition of a write.
#[derive(Clone, Copy)]
pub(in crate::store) enum Condition {
    /// The row does not exist, and fewer than this number of requests of its agent and owner wait for people.
    New { open_limit: Option<usize> },
    /// The row has this version.
    Is(i64),
}

/// Maximum writes of a commit.
const GROUP: usize = 256;

impl Condition {
    /// The version that such a write makes.
    fn version(self) -> i64 {
        match self {
            Self::New { .. } => 1,
            Self::Is(version) => version + 1,
        }
    }
}

/// Commits what comes in until no one is left to send more.
pub(super) fn write_all(writes: &Receiver<Write>, mut file: File) {
    while let Ok(first) = writes.recv() {
        let group: Vec<Write> = std::iter::once(first)
            .chain(writes.try_iter().take(GROUP - 1))
            .collect();
        let results = file
            .with_same(|connection| commit(connection, &group))
            // A failed commit may be on the disk nevertheless.
            .or_else(|error| file.with_same(|connection| read_back(connection, &group, &error)));
        match results {
            Ok(results) => {
                for (write, result) in group.into_iter().zip(results) {
                    write.reply.send(result).ok();
                }
            }
            Err(error) => {
                for write in group {
                    write.reply.send(Err(error.clone())).ok();
                }
            }
        }
    }
}

/// The results of a group whose commit failed: a write is done if the row is as it would be.
fn read_back(
    connection: &Connection,
    group: &[Write],
    error: &StoreError,
) -> rusqlite::Result<Vec<Result<i64, StoreError>>> {
    let results = group.iter().map(|write| {
        let version = write.condition.version();
        let stored = get(connection, write.table, &write.keys)?;
        let is_done = stored == write.entity.clone().map(|entity| (version, entity));
        Ok(if is_done {
            Ok(version)
        } else {
            Err(error.clone())
        })
    });
    results.collect()
}

/// One commit for the whole group. A write whose condition does not hold changes nothing and does
/// not disturb the others; any other failure undoes them all.
fn commit(
    connection: &mut Connection,
    group: &[Write],
) -> rusqlite::Result<Vec<Result<i64, StoreError>>> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let results: rusqlite::Result<_> = group
        .iter()
        .map(|write| apply(&transaction, write))
        .collect();
    let results = results?;
    transaction.commit()?;
    Ok(results)
}

fn apply(connection: &Connection, write: &Write) -> rusqlite::Result<Result<i64, StoreError>> {
    let (table, (partition, row)) = (write.table, &write.keys);
    let due = write.due.map(Timestamp::unix_millis);
    let (changed, unchanged) = match write.condition {
        Condition::New { open_limit } => {
            if let Some(open_limit) = open_limit {
                let mut count = connection.prepare_cached(&format!(
                    "SELECT count(*) FROM {table}
                     WHERE PartitionKey = ?1 AND {OWNER} IS json_extract(?2, '$.Owner') AND {WAITS}"
                ))?;
                let open: i64 =
                    count.query_row(params![partition, write.entity], |row| row.get(0))?;
                if open >= open_limit as i64 {
                    return Ok(Err(StoreError::OpenLimit));
                }
            }
            let mut insert = connection.prepare_cached(&format!(
                "INSERT INTO {table} VALUES (?1, ?2, 1, ?3, ?4) ON CONFLICT DO NOTHING"
            ))?;
            let inserted = insert.execute(params![partition, row, due, write.entity])?;
            (inserted, StoreError::AlreadyExists)
        }
        Condition::Is(expected) if write.entity.is_none() => {
            let mut delete = connection.prepare_cached(&format!(
                "DELETE FROM {table} WHERE PartitionKey = ?1 AND RowKey = ?2 AND ETag = ?3"
            ))?;
            let deleted = delete.execute(params![partition, row, expected])?;
            (deleted, StoreError::Conflict)
        }
        Condition::Is(expected) => {
            let mut update = connection.prepare_cached(&format!(
                "UPDATE {table} SET ETag = ETag + 1, Due = ?4, Entity = ?5
                 WHERE PartitionKey = ?1 AND RowKey = ?2 AND ETag = ?3"
            ))?;
            let updated = update.execute(params![partition, row, expected, due, write.entity])?;
            (updated, StoreError::Conflict)
        }
    };
    Ok(match changed {
        1 => Ok(write.condition.version()),
        _ => Err(unchanged),
    })
}
