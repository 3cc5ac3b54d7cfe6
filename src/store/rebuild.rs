//! Whether the due index is whole, and rebuilding one that was lost.
//!
//! A marker in the index says that it has an entry for each row that names one. Without the marker the index is
//! new, or was lost: then the entries are written again, as the rows name them, and the marker at the end.
//! In the embedded store the row is its own index entry, with a time beside what it says itself.

use super::backend::Backend;
use super::error::StoreError;
use super::handle::Store;
use super::listing::Cursor;

impl Store {
    /// Whether the due index has its marker.
    ///
    /// # Errors
    /// The store's own.
    pub async fn is_index_whole(&self) -> Result<bool, StoreError> {
        match &self.backend {
            Backend::Embedded(_) => Ok(true),
            Backend::Tables(tables) => tables.has_marker().await,
        }
    }

    /// Writes the entries that a page of rows names, after a position. Returns how many (in the embedded store only those
    /// that were wrong), and the next position; with the last page the index is whole.
    ///
    /// # Errors
    /// The store's own. What was written stays, and does no harm.
    pub async fn rebuild_index(
        &self,
        from: Option<Cursor>,
    ) -> Result<(usize, Option<Cursor>), StoreError> {
        match &self.backend {
            Backend::Embedded(embedded) => embedded.rebuild_index(from),
            Backend::Tables(tables) => tables.rebuild_index(from).await,
        }
    }
}
