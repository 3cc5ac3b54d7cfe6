//! The two backends.

use std::sync::Arc;

use super::embedded::Embedded;
use super::error::StoreError;
use super::row::{Columns, Keys};
use super::tables::Tables;
use super::versioned::ETag;

#[derive(Clone)]
pub(super) enum Backend {
    Embedded(Embedded),
    Tables(Arc<Tables>),
}

/// The table `standing…`: sealed rows that are no requests. So far the gate's id.
impl Backend {
    /// Creates the table if it is missed. Nothing that only reads does.
    pub(super) async fn prepare_standing(&self) -> Result<(), StoreError> {
        match self {
            Self::Embedded(_) => Ok(()),
            Self::Tables(tables) => tables.prepare_standing().await,
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
    ) -> Result<(), StoreError> {
        match self {
            Self::Embedded(embedded) => embedded.put_standing(keys, columns, etag).await,
            Self::Tables(tables) => tables.put_standing(&keys, &columns, etag).await,
        }
    }
}
