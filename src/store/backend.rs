//! The two backends.

use std::sync::Arc;

use super::embedded::Embedded;
use super::error::StoreError;
use super::listing::{Cursor, KeyedRows, RawRow};
use super::row::{Columns, Keys};
use super::tables::Tables;
use super::versioned::ETag;

#[derive(Clone)]
pub(super) enum Backend {
    Embedded(Embedded),
    Tables(Arc<Tables>),
}

/// The table `standing…`, whose sealed rows are not requests.
impl Backend {
    /// Creates the table if it does not exist, as one that `is_lost` or was never there. Reads never create it.
    pub(super) async fn prepare_standing(&self, is_lost: bool) -> Result<(), StoreError> {
        match self {
            Self::Embedded(embedded) => embedded.prepare_standing(is_lost),
            Self::Tables(tables) => tables.prepare_standing(is_lost).await,
        }
    }

    pub(super) async fn get_standing(
        &self,
        keys: &Keys,
    ) -> Result<Option<(Columns, ETag)>, StoreError> {
        match self {
            Self::Embedded(embedded) => embedded.get_standing(keys),
            Self::Tables(tables) => tables.get_standing(keys).await,
        }
    }

    /// Replaces the row that was read at this version, or inserts one where there was none.
    pub(super) async fn put_standing(
        &self,
        keys: Keys,
        columns: Columns,
        etag: Option<ETag>,
    ) -> Result<ETag, StoreError> {
        match self {
            Self::Embedded(embedded) => embedded.put_standing(keys, columns, etag).await,
            Self::Tables(tables) => tables.put_standing(&keys, &columns, etag).await,
        }
    }

    /// Deletes the row that was read at this version.
    pub(super) async fn delete_standing(&self, keys: &Keys, etag: &ETag) -> Result<(), StoreError> {
        match self {
            Self::Embedded(embedded) => embedded.delete_standing(keys, etag).await,
            Self::Tables(tables) => tables.delete_standing(keys, etag).await,
        }
    }

    /// A page of the rows of one partition, in the order of their keys, after a position. The table must
    /// exist.
    pub(super) async fn list_standing_of(
        &self,
        partition: &str,
        from: Option<Cursor>,
    ) -> Result<(Vec<RawRow>, Option<Cursor>), StoreError> {
        match self {
            Self::Embedded(embedded) => embedded.list_standing(Some(partition), from),
            Self::Tables(tables) => tables.list_standing_of(partition, from).await,
        }
    }

    /// As [`Self::list_standing_of`], of all partitions; none without the table.
    pub(super) async fn list_standing(
        &self,
        from: Option<Cursor>,
    ) -> Result<(Vec<RawRow>, Option<Cursor>), StoreError> {
        match self {
            Self::Embedded(embedded) => match embedded.list_standing(None, from) {
                Err(StoreError::StandingLost) => Ok((Vec::new(), None)),
                listed => listed,
            },
            Self::Tables(tables) => tables.list_standing(from).await,
        }
    }
}

/// The table `decided…`, whose sealed rows are never replaced.
impl Backend {
    pub(super) async fn insert_decided(
        &self,
        keys: Keys,
        columns: Columns,
    ) -> Result<(), StoreError> {
        match self {
            Self::Embedded(embedded) => embedded.insert_decided(keys, columns).await,
            Self::Tables(tables) => tables.insert_decided(&keys, &columns).await,
        }
    }

    /// The first rows of a partition, in the order of their keys.
    pub(super) async fn list_decided_of(
        &self,
        partition: &str,
        most: u8,
    ) -> Result<KeyedRows, StoreError> {
        match self {
            Self::Embedded(embedded) => embedded.list_decided_of(partition, most.into()),
            Self::Tables(tables) => tables.list_decided_of(partition, most.into()).await,
        }
    }

    /// A page of all rows, in the order of their keys, after a position; none without the table.
    pub(super) async fn list_decided(
        &self,
        from: Option<Cursor>,
    ) -> Result<(Vec<RawRow>, Option<Cursor>), StoreError> {
        match self {
            Self::Embedded(embedded) => embedded.list_decided(from),
            Self::Tables(tables) => tables.list_decided(from).await,
        }
    }

    /// Deletes a row, whatever it holds; also if there is none.
    pub(super) async fn delete_decided(&self, keys: &Keys) -> Result<(), StoreError> {
        match self {
            Self::Embedded(embedded) => embedded.delete_decided(keys).await,
            Self::Tables(tables) => tables.delete_decided(keys).await,
        }
    }
}
