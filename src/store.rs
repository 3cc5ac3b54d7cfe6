//! Where approvals are kept: one row is the whole truth about one request.
//!
//! Every change after the insert is one write on the condition that nobody else wrote since the row
//! was read. What is acknowledged is durable.

mod embedded;
mod row;

use std::path::Path;
use std::time::Duration;

use crate::approval::Approval;
use crate::id::ApprovalId;
use crate::timestamp::Timestamp;

use embedded::Embedded;

/// The store; cheap to clone.
#[derive(Clone)]
pub struct Store {
    backend: Backend,
}

#[derive(Clone)]
enum Backend {
    Embedded(Embedded),
}

/// An approval and the version it was read at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Versioned {
    /// The approval.
    pub approval: Approval,
    /// Its version.
    pub etag: ETag,
}

/// The version of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ETag(String);

/// An approval that is due, and where it stands in the order of those that are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Due {
    /// Which one; nothing for a row that is none of the gate's.
    pub id: Option<ApprovalId>,
    place: (Timestamp, String, String),
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
    /// The row was changed since it was read.
    #[error("the row was changed since it was read")]
    Conflict,
    /// The row is not one that the gate writes: it was changed behind its back.
    #[error("the row is damaged: {0}")]
    Damaged(String),
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
    /// The store cannot be reached, is full or broken. Nothing was changed.
    #[error("the store is not available: {0}")]
    Unavailable(String),
}

impl Store {
    /// A store in a file of the folder `dir`, which is opened at the first use.
    pub fn embedded(dir: &Path) -> Self {
        Self {
            backend: Backend::Embedded(Embedded::new(dir)),
        }
    }

    /// Adds a row that is to be looked at when it is `due`.
    ///
    /// # Errors
    /// [`StoreError::AlreadyExists`], or the store's own.
    pub async fn insert(
        &self,
        approval: Approval,
        due: Option<Timestamp>,
    ) -> Result<Versioned, StoreError> {
        let etag = match &self.backend {
            Backend::Embedded(embedded) => embedded.write(&approval, due, None).await?,
        };
        Ok(Versioned { approval, etag })
    }

    /// Reads a row.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], or the store's own.
    pub async fn get(&self, id: &ApprovalId) -> Result<Versioned, StoreError> {
        match &self.backend {
            Backend::Embedded(embedded) => embedded.get(id).await,
        }
    }

    /// Replaces a row, if it is still the one that was read at this version.
    ///
    /// # Errors
    /// [`StoreError::Conflict`], or the store's own.
    pub async fn replace(
        &self,
        Versioned { approval, etag }: Versioned,
        due: Option<Timestamp>,
    ) -> Result<Versioned, StoreError> {
        let etag = match &self.backend {
            Backend::Embedded(embedded) => embedded.write(&approval, due, Some(&etag)).await?,
        };
        Ok(Versioned { approval, etag })
    }

    /// The rows that are due at `now`, longest due first, `limit` at most; those `after` a given one,
    /// to go on.
    ///
    /// # Errors
    /// The store's own.
    pub async fn due(
        &self,
        now: Timestamp,
        after: Option<Due>,
        limit: u32,
    ) -> Result<Vec<Due>, StoreError> {
        match &self.backend {
            Backend::Embedded(embedded) => embedded.due(now, after, limit).await,
        }
    }

    /// How long somebody who waits for news of a row may rely on being woken, before reading it
    /// again: another process may have changed it.
    pub fn reread_after(&self) -> Duration {
        match &self.backend {
            Backend::Embedded(_) => Duration::from_secs(15),
        }
    }
}
