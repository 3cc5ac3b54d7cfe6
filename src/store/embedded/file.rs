//! The file and its schema.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, TransactionBehavior};

use super::file_id::OpenFile;
use super::queries::{DECIDED, OWNER, REQUESTS, STANDING, WAITS, has_table};
use crate::private_files;
use crate::store::error::StoreError;

const INDEXES: &str = "
    CREATE INDEX IF NOT EXISTS openapprovals ON approvals (Due, PartitionKey, RowKey)
        WHERE Due IS NOT NULL;
    DROP INDEX IF EXISTS openagents;";

/// How SQLite says that the table of requests is not there.
const LOST: [&str; 2] = ["no such table: approvals", "no such table: main.approvals"];

/// The file, opened when it is needed and again after it failed.
pub(super) struct File {
    pub(super) path: PathBuf,
    pub(super) open: OpenFile,
    pub(super) connection: Option<Connection>,
}

impl File {
    /// Does some work on the open file. After an error the next work opens it anew.
    pub(super) fn with<T>(
        &mut self,
        work: impl FnOnce(&mut Connection) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        let opened = match self.connection.take() {
            Some(connection) => Ok(connection),
            None => {
                let mut file = self.open.lock();
                if !file.is_at(&self.path) {
                    return Err(gone());
                }
                let opened = open(&self.path);
                if opened.is_ok() {
                    file.opened(&self.path);
                }
                opened
            }
        };
        let result = opened.and_then(|mut connection| {
            let done = work(&mut connection)?;
            self.connection = Some(connection);
            Ok(done)
        });
        result.map_err(|error| match error.to_string() {
            text if text.contains(&format!("no such table: {STANDING}")) => {
                StoreError::StandingLost
            }
            text if LOST.iter().any(|lost| text.contains(lost)) => StoreError::Unavailable(
                "the table approvals of its file is lost: the start of a gate creates it, and `restore` puts the rows of \
                 a backup back"
                    .to_owned(),
            ),
            text => StoreError::Unavailable(text),
        })
    }

    /// As [`Self::with`], once it is known that the file is still the one at the path.
    pub(super) fn with_same<T>(
        &mut self,
        work: impl FnOnce(&mut Connection) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        if !self.open.lock().is_at(&self.path) {
            return Err(gone());
        }
        self.with(work)
    }
}

/// Creates a table, if it does not exist. All have the same columns.
pub(super) fn create_table(connection: &Connection, name: &str) -> rusqlite::Result<()> {
    connection.execute_batch(&format!(
        "CREATE TABLE IF NOT EXISTS {name} (
            PartitionKey TEXT NOT NULL,
            RowKey TEXT NOT NULL,
            ETag INTEGER NOT NULL,
            Due INTEGER,
            Entity TEXT NOT NULL,
            PRIMARY KEY (PartitionKey, RowKey)
        ) STRICT"
    ))
}

/// Creates the table of requests, if the file has lost it. Returns whether it had.
pub(super) fn create_lost(path: &Path) -> rusqlite::Result<bool> {
    let connection = connect(path)?;
    if is_new(&connection)? || has_table(&connection, REQUESTS)? {
        return Ok(false);
    }
    create_table(&connection, REQUESTS)?;
    Ok(true)
}

fn is_new(connection: &Connection) -> rusqlite::Result<bool> {
    let any = connection.prepare("SELECT 1 FROM sqlite_master WHERE type = 'table'");
    any?.exists([]).map(|any| !any)
}

fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(Duration::from_secs(5))?;
    Ok(connection)
}

fn gone() -> StoreError {
    StoreError::Unavailable("its file was deleted or replaced".to_owned())
}

fn open(path: &Path) -> rusqlite::Result<Connection> {
    if let Some(dir) = path.parent() {
        // What is wrong with the folder shows when the file is opened.
        private_files::create_folder(dir).ok();
    }
    // SQLite makes the files beside it with the same permissions.
    private_files::options().create_new(true).open(path).ok();
    let mut connection = connect(path)?;
    // Otherwise a query is prepared anew for each value of its limit.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    // Only in a new file, or at the start of a gate: what is not in these tables means something.
    if is_new(&connection)? {
        let creation = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        create_table(&creation, STANDING)?;
        create_table(&creation, REQUESTS)?;
        create_rest(&creation)?;
        creation.commit()?;
    } else {
        create_rest(&connection)?;
    }
    Ok(connection)
}

/// Creates what can be made anew from the rows, if it does not exist.
fn create_rest(connection: &Connection) -> rusqlite::Result<()> {
    create_table(connection, DECIDED)?;
    connection.execute_batch(INDEXES)?;
    connection.execute_batch(&format!(
        "CREATE INDEX IF NOT EXISTS waitingapprovals ON approvals (PartitionKey, {OWNER}) WHERE {WAITS}"
    ))
}
