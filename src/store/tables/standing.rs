//! The standing table.

use super::client::{Tables, get};
use super::retry::{POINT, QUERY};
use crate::store::error::StoreError;
use crate::store::listing::{Place, RawRow};
use crate::store::row::{Columns, Keys};
use crate::store::versioned::ETag;

impl Tables {
    /// Reads from the table, and creates it if it does not exist.
    pub(in crate::store) async fn prepare_standing(&self) -> Result<(), StoreError> {
        self.prepare_table(&self.standing).await
    }

    pub(in crate::store) async fn get_standing(
        &self,
        keys: &Keys,
    ) -> Result<Option<(Columns, ETag)>, StoreError> {
        get(&self.standing, keys).await
    }

    pub(in crate::store) async fn put_standing(
        &self,
        keys: &Keys,
        columns: &Columns,
        etag: Option<ETag>,
    ) -> Result<ETag, StoreError> {
        let written = self.write(&self.standing, keys, columns, etag.as_ref());
        written.await.map_err(|failed| failed.error)
    }

    pub(in crate::store) async fn delete_standing(
        &self,
        keys: &Keys,
        etag: &ETag,
    ) -> Result<(), StoreError> {
        self.delete_from(&self.standing, keys, etag).await
    }

    /// A page of the rows of one partition, which has few; it is read before a claim is granted.
    pub(in crate::store) async fn list_standing_of(
        &self,
        partition: &str,
        from: Option<Place>,
    ) -> Result<(Vec<RawRow>, Option<Place>), StoreError> {
        let query = || {
            let query = self.standing.query();
            query.filter(format!("PartitionKey eq '{partition}'"))
        };
        Ok(self.list(POINT, query, from).await?)
    }

    /// A page of all rows. A gate of an earlier version has no such table.
    pub(in crate::store) async fn list_standing(
        &self,
        from: Option<Place>,
    ) -> Result<(Vec<RawRow>, Option<Place>), StoreError> {
        match self.list(QUERY, || self.standing.query(), from).await {
            Err(fault) if fault.is_code("TableNotFound") => Ok((Vec::new(), None)),
            listed => Ok(listed?),
        }
    }
}
