//! Where approvals are kept: one row is the whole truth about one request.
//!
//! Every change after the insert is one write on the condition that no other write came since the row
//! was read. What is acknowledged is durable. The backends store sealed rows; this module seals them and
//! checks what comes back.

mod embedded;
mod error;
mod gate_id;
mod row;
mod sealing;
mod tables;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};
use tokio::sync::OnceCell;

use crate::approval::Approval;
use crate::id::ApprovalId;
use crate::timestamp::{Clock, Timestamp};
use crate::token::LinkKeys;

use embedded::{Condition, Embedded};
pub use error::StoreError;
use gate_id::GateId;
pub use gate_id::{GateIdSetting, RowSettings, RowVersion};
use row::{Columns, Format, Keys};
pub use tables::{Account, Wire};
use tables::{IndexRow, Tables};

/// The store; cheap to clone.
#[derive(Clone)]
pub struct Store {
    backend: Backend,
    /// The name of the table, as seals have it, and of the one beside it.
    table: Arc<str>,
    standing: Arc<str>,
    open_limit: usize,
    keys: Option<Arc<LinkKeys>>,
    rows: Arc<RowSettings>,
    gate_id: Arc<OnceCell<Arc<GateId>>>,
}

#[derive(Clone)]
enum Backend {
    Embedded(Embedded),
    Tables(Arc<Tables>),
}

/// An approval and the version it was read at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Versioned {
    /// The approval.
    pub approval: Approval,
    /// Its version.
    pub etag: ETag,
    entry: Option<Entry>,
    /// How often the row was written; 0 for one of version 1.
    revision: u32,
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
    /// Which approval; none for an entry that the gate did not write.
    pub id: Option<ApprovalId>,
    index: Option<IndexRow>,
}

/// A row among all, whatever it holds.
#[derive(Clone, Debug)]
pub struct StoredRow {
    /// Its keys, which name it in the table.
    pub keys: (String, String),
    /// What it holds, column by column, with the types that are not text as the service names them. A row
    /// of version 2 says for which gate and table it is sealed, so that it can be put back elsewhere.
    pub columns: Map<String, Value>,
    /// The approval in it, if there is one.
    pub approval: Result<Approval, StoreError>,
    /// Whether the gate has still something to do about it.
    pub is_due: bool,
    /// When it was last written, where the store knows.
    pub written_at: Option<Timestamp>,
    etag: ETag,
}

/// A row as a backend has it among all.
struct RawRow {
    keys: Keys,
    /// With the annotations of the service.
    entity: Map<String, Value>,
    columns: Columns,
    etag: ETag,
    written_at: Option<Timestamp>,
}

/// Where to go on among the rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Since when the last one is due, among those that are.
    due: Option<Timestamp>,
    keys: (String, Option<String>),
}

impl Store {
    /// A store in a file of the folder `dir`, which is opened at the first use. No agent can have
    /// more than `open_limit` requests in it that are still due for something. Rows are sealed with
    /// `keys`; without them a store can be read, and no seal is checked.
    pub fn embedded(dir: &Path, open_limit: usize, keys: Option<Arc<LinkKeys>>) -> Self {
        let backend = Backend::Embedded(Embedded::new(dir));
        Self::new(
            backend,
            embedded::REQUESTS,
            embedded::STANDING,
            open_limit,
            keys,
        )
    }

    /// A store in a table of a storage account, with one `open{table}` and one `standing{table}` beside
    /// it; they are created when they are missed. Nothing is sent yet, and all of it goes over `wire`.
    /// For the limit and the keys see [`Store::embedded`].
    pub fn tables(
        account: &Account,
        table: &str,
        wire: Arc<dyn Wire>,
        clock: Clock,
        open_limit: usize,
        keys: Option<Arc<LinkKeys>>,
    ) -> Self {
        let standing = tables::standing_table(table);
        let tables = Tables::new(account, table, &standing, wire, clock);
        Self::new(
            Backend::Tables(Arc::new(tables)),
            table,
            &standing,
            open_limit,
            keys,
        )
    }

    fn new(
        backend: Backend,
        table: &str,
        standing: &str,
        open_limit: usize,
        keys: Option<Arc<LinkKeys>>,
    ) -> Self {
        Self {
            backend,
            table: table.into(),
            standing: standing.into(),
            open_limit,
            keys,
            rows: Arc::default(),
            gate_id: Arc::default(),
        }
    }

    /// The same store, with rows written in this way.
    #[must_use]
    pub fn with_rows(self, rows: RowSettings) -> Self {
        Self {
            rows: Arc::new(rows),
            gate_id: Arc::default(),
            ..self
        }
    }

    /// Makes the store ready and shows whether it can be used at all. Nothing needs to wait for it.
    ///
    /// # Errors
    /// [`StoreError::GateId`] if it is another gate's, or the store's own.
    pub async fn prepare(&self) -> Result<(), StoreError> {
        match &self.backend {
            // A file is made when it is needed.
            Backend::Embedded(embedded) if !embedded.exists() => return Ok(()),
            Backend::Embedded(_) => {}
            Backend::Tables(tables) => tables.prepare().await?,
        }
        if self.keys.is_none() {
            return Ok(());
        }
        self.prepare_gate_id().await
    }

    /// Adds a row that is to be processed when it is `due`.
    ///
    /// # Errors
    /// [`StoreError::AlreadyExists`] or [`StoreError::OpenLimit`] (which comes first, is not said), or
    /// the store's own.
    pub async fn insert(
        &self,
        approval: Approval,
        due: Option<Timestamp>,
    ) -> Result<Versioned, StoreError> {
        self.insert_in(self.rows.version, approval, due).await
    }

    async fn insert_in(
        &self,
        version: RowVersion,
        approval: Approval,
        due: Option<Timestamp>,
    ) -> Result<Versioned, StoreError> {
        let row = self.seal(version, &approval, due, None, 1).await?;
        let entry = row.entry.clone();
        let etag = match &self.backend {
            Backend::Embedded(embedded) => {
                let condition = Condition::New {
                    open_limit: self.open_limit,
                };
                embedded.write(row, condition).await?
            }
            Backend::Tables(tables) => {
                let id = &approval.request.id;
                tables.insert(id, row, self.open_limit).await?
            }
        };
        Ok(Versioned {
            approval,
            etag,
            entry,
            revision: 1,
        })
    }

    /// Reads a row.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], or the store's own.
    pub async fn get(&self, id: &ApprovalId) -> Result<Versioned, StoreError> {
        let keys = row::keys(id);
        let (columns, etag) = match &self.backend {
            Backend::Embedded(embedded) => embedded.get(&keys)?,
            Backend::Tables(tables) => tables.get(&keys).await?,
        };
        let entry = match &self.backend {
            Backend::Embedded(_) => None,
            Backend::Tables(_) => Entry::from_columns(&columns)?,
        };
        let (approval, revision) = self.open(&columns, id).await?;
        Ok(Versioned {
            approval,
            etag,
            entry,
            revision,
        })
    }

    /// Replaces a row, if it is still the one that was read at this version.
    ///
    /// # Errors
    /// [`StoreError::Conflict`], or the store's own.
    pub async fn replace(
        &self,
        row: Versioned,
        due: Option<Timestamp>,
    ) -> Result<Versioned, StoreError> {
        let Versioned {
            approval,
            etag,
            entry: was,
            revision,
        } = row;
        let revision = revision.saturating_add(1);
        let version = self.rows.version;
        let row = self
            .seal(version, &approval, due, was.as_ref(), revision)
            .await?;
        let entry = row.entry.clone();
        let etag = match &self.backend {
            Backend::Embedded(embedded) => {
                embedded.write(row, Condition::Is(etag.version()?)).await?
            }
            Backend::Tables(tables) => {
                let id = &approval.request.id;
                tables.replace(id, row, (&etag, was)).await?
            }
        };
        Ok(Versioned {
            approval,
            etag,
            entry,
            revision,
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

    /// Reads the row of something that is due; none if it is not due after all. An index entry that is
    /// early or orphaned is corrected.
    ///
    /// # Errors
    /// The store's own.
    pub async fn get_if_due(
        &self,
        id: &ApprovalId,
        due: &Due,
        now: Timestamp,
    ) -> Result<Option<Versioned>, StoreError> {
        let (Backend::Tables(tables), Some(seen)) = (&self.backend, &due.index) else {
            return self.get(id).await.map(Some);
        };
        let found = match self.get(id).await {
            Err(StoreError::NotFound) => None,
            // Only the gate writes entries.
            Err(StoreError::Legacy) => {
                return Err(StoreError::Damaged("its columns".to_owned()));
            }
            found => Some(found?),
        };
        let entry = found.as_ref().and_then(|row| row.entry.as_ref());
        let is_due = tables.correct_entry(id, seen, entry, now).await;
        Ok(found.filter(|_| is_due))
    }

    /// A page of all rows, in the order of their keys, from a place on; and where to go on, if there
    /// is more.
    ///
    /// # Errors
    /// The store's own.
    pub async fn all(
        &self,
        from: Option<Place>,
    ) -> Result<(Vec<StoredRow>, Option<Place>), StoreError> {
        let (page, next) = match &self.backend {
            Backend::Embedded(embedded) => embedded.all(from)?,
            Backend::Tables(tables) => tables.all(from).await?,
        };
        let mut gate = None;
        if page.iter().any(|row| row.columns.format() == Format::V2) {
            gate = match self.gate_id_to_read().await {
                Ok(id) => Some(id),
                // Without keys nothing is checked; and a damaged id is reported with each row.
                Err(StoreError::Unavailable(_)) if self.keys.is_none() => None,
                Err(StoreError::Damaged(_)) => None,
                Err(error) => return Err(error),
            };
        }
        let mut rows = Vec::with_capacity(page.len());
        for row in page {
            rows.push(self.stored_row(row, gate.as_deref()).await);
        }
        Ok((rows, next))
    }

    /// Deletes a row, if it is still the one that was read.
    ///
    /// # Errors
    /// [`StoreError::Conflict`], or the store's own.
    pub async fn delete(&self, row: &StoredRow) -> Result<(), StoreError> {
        match &self.backend {
            Backend::Embedded(embedded) => embedded.delete(row).await,
            Backend::Tables(tables) => tables.delete(row).await,
        }
    }

    /// How long a subscription to a row may be relied on before the row is read again: another process
    /// may have changed it.
    pub fn reread_after(&self) -> Duration {
        match &self.backend {
            Backend::Embedded(_) => Duration::from_secs(15),
            Backend::Tables(_) => Duration::from_secs(5),
        }
    }
}
