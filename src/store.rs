//! Where approvals are kept: one row is the whole truth about one request.
//!
//! Every change after the insert is one write on the condition that nobody else wrote since the row
//! was read. What is acknowledged is durable.

mod embedded;
mod row;
mod tables;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use human_oversight_protocol::parameters::hex;
use serde_json::{Map, Value};

use crate::domain::Approval;
use crate::keys::LinkKeys;
use crate::keys::keyring;
use crate::values::{ApprovalId, Clock, Timestamp};

use embedded::{Condition, Embedded};
use row::Row;
pub use tables::{Account, Wire};
use tables::{IndexRow, Tables};

/// The store; cheap to clone.
#[derive(Clone)]
pub struct Store {
    backend: Backend,
    open_limit: usize,
    keys: Option<Arc<LinkKeys>>,
}

#[derive(Clone)]
enum Backend {
    Embedded(Embedded),
    Tables(Tables),
}

/// An approval and the version it was read at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Versioned {
    /// The approval.
    pub approval: Approval,
    /// Its version.
    pub etag: ETag,
    entry: Option<Entry>,
}

/// The version of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ETag(String);

impl ETag {
    /// As the embedded store counts them.
    fn version(&self) -> Result<i64, StoreError> {
        self.0.parse().map_err(|_| StoreError::Conflict)
    }
}

/// The entry that a row has in the index of what is due, where that is a table of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    due: Timestamp,
    key: String,
}

/// Something that is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Due {
    /// Which approval; nothing for what is none of the gate's.
    pub id: Option<ApprovalId>,
    index: Option<IndexRow>,
}

/// A row, whatever it holds.
#[derive(Clone, Debug)]
pub struct Stored {
    /// Its keys, which name it in the table.
    pub keys: (String, String),
    /// What it holds, column by column, and the types that are not text as the service names them.
    pub columns: Map<String, Value>,
    /// The approval in it, if there is one.
    pub approval: Result<Approval, StoreError>,
    /// Whether the gate has still something to do about it.
    pub is_due: bool,
    /// When it was last written, where the store knows.
    pub written_at: Option<Timestamp>,
    etag: ETag,
}

impl Stored {
    fn of(
        keys: (String, String),
        columns: Map<String, Value>,
        etag: ETag,
        link_keys: Option<&LinkKeys>,
    ) -> Self {
        let row = Row::of_entity(columns.clone());
        let is_due = matches!(&row, Ok(row) if row.due_timestamp.is_some());
        let read = |row: Row| match row::id(&keys.0, &keys.1) {
            Some(id) => row.into_approval(&id, link_keys),
            None => Err(StoreError::Damaged("PartitionKey, RowKey".to_owned())),
        };
        Self {
            approval: row.and_then(read),
            keys,
            columns,
            is_due,
            written_at: None,
            etag,
        }
    }
}

/// Where to go on among the rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Since when the last one is due, among those that are.
    due: Option<Timestamp>,
    keys: (String, Option<String>),
}

/// Why the store did not do it.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// There is no such row.
    #[error("no such row")]
    NotFound,
    /// There is such a row already.
    #[error("the row exists")]
    AlreadyExists,
    /// The agent has as many open requests as it may.
    #[error("the agent has too many open requests")]
    OpenLimit,
    /// The row was changed since it was read.
    #[error("the row was changed since it was read")]
    Conflict,
    /// The row is not one that the gate writes: it was changed behind its back.
    #[error("the row is damaged: {0}")]
    Damaged(String),
    /// The row was written by the Logic App that the gate replaces: it is for reports, and nothing to
    /// decide about.
    #[error("the row is the predecessor's")]
    Predecessor,
    /// The row would be larger than the store takes.
    #[error("the row is too large: {column} has {size} of {limit} characters")]
    TooLarge {
        /// Which column.
        column: &'static str,
        /// What it has.
        size: usize,
        /// What it may have.
        limit: usize,
    },
    /// The store cannot be reached, is full or broken. Nothing is half-done; in the worst case a
    /// write still takes effect.
    #[error("the store is not available: {0}")]
    Unavailable(String),
}

impl Store {
    /// A store in a file of the folder `dir`, which is opened at the first use. No agent can have
    /// more than `open_limit` requests in it that are still due for something. Rows are sealed with
    /// `keys`; without them a store can be read, and no seal is looked at.
    pub fn embedded(dir: &Path, open_limit: usize, keys: Option<Arc<LinkKeys>>) -> Self {
        Self {
            backend: Backend::Embedded(Embedded::new(dir)),
            open_limit,
            keys,
        }
    }

    /// A store in a table of a storage account, and a second one `open{table}`; both are created when
    /// they are missed. Nothing is sent yet, and all of it goes over `wire`. For the limit and the keys see [`Store::embedded`].
    pub fn tables(
        account: &Account,
        table: &str,
        wire: Arc<dyn Wire>,
        clock: Clock,
        open_limit: usize,
        keys: Option<Arc<LinkKeys>>,
    ) -> Self {
        Self {
            backend: Backend::Tables(Tables::new(account, table, wire, clock)),
            open_limit,
            keys,
        }
    }

    fn keys(&self) -> Option<&LinkKeys> {
        self.keys.as_deref()
    }

    /// Makes the store ready and shows whether it can be used at all. Nothing needs to wait for it.
    ///
    /// # Errors
    /// The store's own.
    pub async fn prepare(&self) -> Result<(), StoreError> {
        match &self.backend {
            Backend::Embedded(_) => Ok(()),
            Backend::Tables(tables) => tables.prepare().await,
        }
    }

    /// Adds a row that is to be looked at when it is `due`.
    ///
    /// # Errors
    /// [`StoreError::AlreadyExists`] or [`StoreError::OpenLimit`] (which comes first, is not said), or
    /// the store's own.
    pub async fn insert(
        &self,
        approval: Approval,
        due: Option<Timestamp>,
    ) -> Result<Versioned, StoreError> {
        let row = Row::of(&approval, due, operation_id())?;
        let (etag, entry) = match &self.backend {
            Backend::Embedded(embedded) => {
                let condition = Condition::New {
                    open_limit: self.open_limit,
                };
                (
                    embedded.write(row, due, condition, self.keys()).await?,
                    None,
                )
            }
            Backend::Tables(tables) => {
                let id = &approval.request.id;
                tables
                    .insert(id, row, due, self.open_limit, self.keys())
                    .await?
            }
        };
        Ok(Versioned {
            approval,
            etag,
            entry,
        })
    }

    /// Reads a row.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], or the store's own.
    pub async fn get(&self, id: &ApprovalId) -> Result<Versioned, StoreError> {
        match &self.backend {
            Backend::Embedded(embedded) => embedded.get(id, self.keys()),
            Backend::Tables(tables) => tables.get(id, self.keys()).await,
        }
    }

    /// Replaces a row, if it is still the one that was read at this version.
    ///
    /// # Errors
    /// [`StoreError::Conflict`], or the store's own.
    pub async fn replace(
        &self,
        Versioned {
            approval,
            etag,
            entry,
        }: Versioned,
        due: Option<Timestamp>,
    ) -> Result<Versioned, StoreError> {
        let row = Row::of(&approval, due, operation_id())?;
        let (etag, entry) = match &self.backend {
            Backend::Embedded(embedded) => {
                let condition = Condition::Is(etag.version()?);
                (
                    embedded.write(row, due, condition, self.keys()).await?,
                    None,
                )
            }
            Backend::Tables(tables) => {
                let id = &approval.request.id;
                tables
                    .replace(id, row, due, (&etag, entry), self.keys())
                    .await?
            }
        };
        Ok(Versioned {
            approval,
            etag,
            entry,
        })
    }

    /// A page of what is due at `now`, longest due first, from a place on; and where to go on, if
    /// there is more.
    ///
    /// # Errors
    /// The store's own.
    pub async fn due(
        &self,
        now: Timestamp,
        from: Option<Place>,
    ) -> Result<(Vec<Due>, Option<Place>), StoreError> {
        match &self.backend {
            Backend::Embedded(embedded) => embedded.due(now, from),
            Backend::Tables(tables) => tables.due(now, from).await,
        }
    }

    /// Reads the row of something that is due; nothing if it is not due after all.
    ///
    /// # Errors
    /// The store's own.
    pub async fn look(
        &self,
        id: &ApprovalId,
        due: &Due,
        now: Timestamp,
    ) -> Result<Option<Versioned>, StoreError> {
        match (&self.backend, &due.index) {
            (Backend::Tables(tables), Some(index)) => {
                tables.look(id, index, now, self.keys()).await
            }
            _ => self.get(id).await.map(Some),
        }
    }

    /// A page of all rows, in the order of their keys, from a place on; and where to go on, if there
    /// is more.
    ///
    /// # Errors
    /// The store's own.
    pub async fn all(
        &self,
        from: Option<Place>,
    ) -> Result<(Vec<Stored>, Option<Place>), StoreError> {
        match &self.backend {
            Backend::Embedded(embedded) => embedded.all(from, self.keys()),
            Backend::Tables(tables) => tables.all(from, self.keys()).await,
        }
    }

    /// Puts back a row of a copy, as [`Stored::columns`] has it, and what it is due for; never over one
    /// that is there. It is sealed anew.
    ///
    /// # Errors
    /// [`StoreError::AlreadyExists`]; [`StoreError::Damaged`] if it is not as a gate with these keys
    /// stored it; [`StoreError::Predecessor`] if it is for tables only; or the store's own.
    pub async fn restore(&self, columns: Map<String, Value>) -> Result<(), StoreError> {
        let row = match (Row::of_entity(columns.clone()), &self.backend) {
            (Err(StoreError::Predecessor), Backend::Tables(tables)) => {
                return tables.insert_as_it_is(&columns).await;
            }
            (row, _) => row?,
        };
        let due = row.due()?;
        let id = row::id(&row.partition_key, &row.row_key)
            .ok_or_else(|| StoreError::Damaged("PartitionKey, RowKey".to_owned()))?;
        let approval = row.into_approval(&id, self.keys())?;
        self.insert(approval, due).await?;
        Ok(())
    }

    /// Deletes a row, if it is still the one that was read.
    ///
    /// # Errors
    /// [`StoreError::Conflict`], or the store's own.
    pub async fn delete(&self, row: &Stored) -> Result<(), StoreError> {
        match &self.backend {
            Backend::Embedded(embedded) => embedded.delete(row).await,
            Backend::Tables(tables) => tables.delete(row).await,
        }
    }

    /// How long somebody who waits for news of a row may rely on being woken, before reading it
    /// again: another process may have changed it.
    pub fn reread_after(&self) -> Duration {
        match &self.backend {
            Backend::Embedded(_) => Duration::from_secs(15),
            Backend::Tables(_) => Duration::from_secs(5),
        }
    }
}

/// Tells a write from every other.
fn operation_id() -> String {
    hex(&keyring::random_bytes::<16>())
}
