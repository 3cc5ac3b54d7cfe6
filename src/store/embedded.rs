//! The store of local development: SQLite in one file.
//!
//! One thread writes what calls change; writes that wait while it commits go into the next commit together. Reads, and the
//! repair of due times, run on the caller's thread, which costs less than another thread. A commit is on the disk
//! before it is acknowledged (WAL, `synchronous=FULL`). When the file cannot be used, every call fails,
//! and the next one tries again.

mod due_times;
mod file;
mod file_id;
mod pending;
mod queries;
mod writes;

use std::path::{Path, PathBuf};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use rusqlite::Connection;
use serde_json::{Map, Value};
use tokio::sync::oneshot;

use file::{File, create_table};
use file_id::OpenFile;
pub(super) use queries::{DECIDED, REQUESTS, STANDING};
use queries::{PAGE, all, due, get, has_table};
pub(super) use writes::Condition;
use writes::{Write, write_all};

use super::error::StoreError;
use super::listing::{Cursor, DUE, Due, DuePage, KeyedRows, RawRow, StoredRow, unreadable};
use super::row::{self, Columns, Keys, Row};
use super::text_json::json;
use super::versioned::ETag;
use crate::private_files;
use crate::values::{Address, ApprovalId, Timestamp};

#[derive(Clone)]
pub(super) struct Embedded {
    path: PathBuf,
    writer: Sender<Write>,
    reader: Arc<Mutex<File>>,
}

/// The name of the file.
pub const EMBEDDED_FILE: &str = "approvals.db";

impl Embedded {
    pub(super) fn new(dir: &Path) -> Self {
        let path = dir.join(EMBEDDED_FILE);
        let (writer, writes) = channel();
        let open = OpenFile::default();
        let file = || File {
            path: path.clone(),
            open: open.clone(),
            connection: None,
        };
        let (reader, written) = (Arc::new(Mutex::new(file())), file());
        thread::spawn(move || write_all(&writes, written));
        Self {
            path,
            writer,
            reader,
        }
    }

    pub(super) fn exists(&self) -> bool {
        self.path.exists()
    }

    /// Creates the table of requests, if the file has lost it.
    pub(super) fn prepare(&self) -> Result<(), StoreError> {
        let was_lost = file::create_lost(&self.path);
        if was_lost.map_err(|error| StoreError::Unavailable(error.to_string()))? {
            tracing::error!(
                table = REQUESTS,
                "a table was lost: it has been created anew, without its rows"
            );
        }
        Ok(())
    }

    /// Whether a row that is due by then has no time, or a later one, unless it was written meanwhile.
    pub(super) fn misses(&self, row: &StoredRow, due: Timestamp) -> Result<bool, StoreError> {
        let version = row.etag.version()?;
        self.read(|connection| due_times::misses(connection, &row.keys, version, due))
    }

    /// Gives the rows of a page the times at which they say that they are due. Returns how many had another, and the next
    /// position.
    pub(super) fn rebuild_index(
        &self,
        from: Option<Cursor>,
    ) -> Result<(usize, Option<Cursor>), StoreError> {
        let (rows, next) = self.all(from)?;
        let mut written = 0;
        for row in rows {
            // What cannot be read names none: `verify` reports it.
            if let Some(due) = row.columns.text(DUE).and_then(Timestamp::parse) {
                let version = row.etag.version()?;
                let put = |connection: &mut Connection| {
                    due_times::put(connection, &row.keys, version, due)
                };
                written += self.read(put)?;
            }
        }
        Ok((written, next))
    }

    /// Whether the file, which does not exist, can be created.
    pub(super) fn try_creating(&self) -> Result<(), StoreError> {
        private_files::try_folder(&self.path)
            .map_err(|error| StoreError::Unavailable(error.to_string()))
    }

    fn read<T>(
        &self,
        work: impl FnOnce(&mut Connection) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        // A panic while it was locked has closed the connection.
        let mut file = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
        file.with(work)
    }

    /// Reads a row, from the file at the path.
    pub(super) fn try_reading(&self) -> Result<(), StoreError> {
        let mut file = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
        file.with_same(|connection| all(connection, REQUESTS, None, None, 1))?;
        Ok(())
    }

    /// Inserts or replaces a row.
    pub(super) async fn write(&self, row: Row, condition: Condition) -> Result<ETag, StoreError> {
        let entity = json(&row.columns.0);
        self.send(REQUESTS, row.keys, Some(entity), row.due, condition)
            .await
    }

    pub(super) async fn delete(&self, row: &StoredRow) -> Result<(), StoreError> {
        let condition = Condition::Is(row.etag.version()?);
        self.send(REQUESTS, row.keys.clone(), None, None, condition)
            .await?;
        Ok(())
    }

    async fn send(
        &self,
        table: &'static str,
        keys: Keys,
        entity: Option<String>,
        due: Option<Timestamp>,
        condition: Condition,
    ) -> Result<ETag, StoreError> {
        let (reply, answer) = oneshot::channel();
        let sent = self.writer.send(Write {
            table,
            keys,
            entity,
            due,
            condition,
            reply,
        });
        let gone = || StoreError::Unavailable("its thread has ended".to_owned());
        sent.map_err(|_| gone())?;
        let version = answer.await.map_err(|_| gone())??;
        Ok(ETag(version.to_string()))
    }

    pub(super) fn get(&self, keys: &Keys) -> Result<(Columns, ETag), StoreError> {
        self.find(REQUESTS, keys)?.ok_or(StoreError::NotFound)
    }

    /// Creates the standing table, if it does not exist.
    pub(super) fn prepare_standing(&self, is_lost: bool) -> Result<(), StoreError> {
        let is_new = self.read(|connection| {
            let exists = has_table(connection, STANDING)?;
            create_table(connection, STANDING)?;
            Ok(!exists)
        })?;
        if is_new && is_lost {
            tracing::error!(
                table = STANDING,
                "a table was lost: it has been created anew, without its rows"
            );
        }
        Ok(())
    }

    pub(super) fn get_standing(&self, keys: &Keys) -> Result<Option<(Columns, ETag)>, StoreError> {
        self.find(STANDING, keys)
    }

    pub(super) async fn put_standing(
        &self,
        keys: Keys,
        columns: Columns,
        etag: Option<ETag>,
    ) -> Result<ETag, StoreError> {
        let condition = match etag {
            Some(etag) => Condition::Is(etag.version()?),
            None => Condition::New { open_limit: None },
        };
        self.send(STANDING, keys, Some(json(&columns.0)), None, condition)
            .await
    }

    pub(super) async fn delete_standing(&self, keys: &Keys, etag: &ETag) -> Result<(), StoreError> {
        let condition = Condition::Is(etag.version()?);
        self.send(STANDING, keys.clone(), None, None, condition)
            .await?;
        Ok(())
    }

    /// A page of the rows, of one partition or of all, in the order of their keys.
    pub(super) fn list_standing(
        &self,
        partition: Option<&str>,
        from: Option<Cursor>,
    ) -> Result<(Vec<RawRow>, Option<Cursor>), StoreError> {
        self.list(STANDING, partition, from)
    }

    pub(super) async fn insert_decided(
        &self,
        keys: Keys,
        columns: Columns,
    ) -> Result<(), StoreError> {
        let condition = Condition::New { open_limit: None };
        let sent = self.send(DECIDED, keys, Some(json(&columns.0)), None, condition);
        sent.await.map(drop)
    }

    /// The first rows of a partition, in the order of their keys.
    pub(super) fn list_decided_of(
        &self,
        partition: &str,
        most: usize,
    ) -> Result<KeyedRows, StoreError> {
        let rows = self.read(|connection| all(connection, DECIDED, Some(partition), None, most))?;
        let rows = rows.into_iter().map(|(keys, _, entity)| {
            let columns = serde_json::from_str(&entity).unwrap_or_default();
            (keys, Columns(columns))
        });
        Ok(Box::new(rows))
    }

    /// A page of the rows, in the order of their keys.
    pub(super) fn list_decided(
        &self,
        from: Option<Cursor>,
    ) -> Result<(Vec<RawRow>, Option<Cursor>), StoreError> {
        self.list(DECIDED, None, from)
    }

    /// Deletes a row, whatever it holds; also if there is none.
    pub(super) async fn delete_decided(&self, keys: &Keys) -> Result<(), StoreError> {
        let found = self.read(|connection| get(connection, DECIDED, keys))?;
        let Some((version, _)) = found else {
            return Ok(());
        };
        let condition = Condition::Is(version);
        self.send(DECIDED, keys.clone(), None, None, condition)
            .await?;
        Ok(())
    }

    fn find(&self, table: &str, keys: &Keys) -> Result<Option<(Columns, ETag)>, StoreError> {
        let Some((version, entity)) = self.read(|connection| get(connection, table, keys))? else {
            return Ok(None);
        };
        let columns = serde_json::from_str(&entity);
        let columns = columns.map_err(|_| StoreError::damaged("Entity"))?;
        Ok(Some((Columns(columns), ETag(version.to_string()))))
    }

    /// A page of what is due, longest due first.
    pub(super) fn due(&self, now: Timestamp, from: Option<Cursor>) -> Result<DuePage, StoreError> {
        let rows = self.read(|connection| due(connection, now, from))?;
        let next = match rows.last() {
            Some((due, partition, row)) if rows.len() == PAGE => Some(Cursor {
                due: Timestamp::from_unix_millis(*due),
                keys: (partition.clone(), Some(row.clone())),
            }),
            _ => None,
        };
        let due = rows.into_iter().map(|(_, partition, row)| {
            let keys = (partition, row);
            match row::id(&keys) {
                Ok(id) => Due {
                    id: Ok(id),
                    index: None,
                },
                Err(_) => Due::foreign(&keys.0, &keys.1),
            }
        });
        Ok(DuePage {
            due: due.collect(),
            next,
            has_marker: false,
        })
    }

    /// The pending requests that may ask one of these people: when each is due, and its id.
    pub(super) fn pending_for(
        &self,
        people: &[Address],
    ) -> Result<Vec<(Timestamp, ApprovalId)>, StoreError> {
        self.read(|connection| pending::pending_for(connection, people))
    }

    /// A page of all rows, in the order of their keys.
    pub(super) fn all(
        &self,
        from: Option<Cursor>,
    ) -> Result<(Vec<RawRow>, Option<Cursor>), StoreError> {
        self.list(REQUESTS, None, from)
    }

    fn list(
        &self,
        table: &str,
        partition: Option<&str>,
        from: Option<Cursor>,
    ) -> Result<(Vec<RawRow>, Option<Cursor>), StoreError> {
        let rows = self.read(|connection| all(connection, table, partition, from, PAGE))?;
        let next = match rows.last() {
            Some(((partition, row), ..)) if rows.len() == PAGE => Some(Cursor {
                due: None,
                keys: (partition.clone(), Some(row.clone())),
            }),
            _ => None,
        };
        let rows = rows.into_iter().map(|(keys, version, entity)| {
            let columns: Map<String, Value> =
                serde_json::from_str(&entity).unwrap_or_else(|_| unreadable(&keys));
            RawRow {
                keys,
                entity: columns.clone(),
                columns: Columns(columns),
                etag: ETag(version.to_string()),
                written_at: None,
            }
        });
        Ok((rows.collect(), next))
    }
}
