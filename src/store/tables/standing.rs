//! The standing table.

use super::client::{Tables, find};
use super::fault::Fault;
use super::probe::read;
use super::retry::{POINT, QUERY};
use crate::store::error::StoreError;
use crate::store::listing::{Cursor, RawRow};
use crate::store::row::{Columns, Keys};
use crate::store::versioned::ETag;

impl Tables {
    /// Reads from the table, and creates it if it does not exist. No other operation creates it.
    pub(in crate::store) async fn prepare_standing(&self, is_lost: bool) -> Result<(), StoreError> {
        let Err(fault) = read(&self.standing).await else {
            return Ok(());
        };
        if !fault.is_code("TableNotFound") {
            return Err(fault.into());
        }
        self.create_table(&self.standing, is_lost).await?;
        Ok(read(&self.standing).await?)
    }

    pub(in crate::store) async fn get_standing(
        &self,
        keys: &Keys,
    ) -> Result<Option<(Columns, ETag)>, StoreError> {
        find(&self.standing, keys).await.map_err(or_lost)
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
        from: Option<Cursor>,
    ) -> Result<(Vec<RawRow>, Option<Cursor>), StoreError> {
        let query = || {
            let query = self.standing.query();
            query.filter(format!("PartitionKey eq '{partition}'"))
        };
        self.list(POINT, query, from).await.map_err(or_lost)
    }

    /// A page of all rows. A gate of an earlier version has no such table.
    pub(in crate::store) async fn list_standing(
        &self,
        from: Option<Cursor>,
    ) -> Result<(Vec<RawRow>, Option<Cursor>), StoreError> {
        match self.list(QUERY, || self.standing.query(), from).await {
            Err(fault) if fault.is_code("TableNotFound") => Ok((Vec::new(), None)),
            listed => Ok(listed?),
        }
    }
}

fn or_lost(fault: Fault) -> StoreError {
    if fault.is_code("TableNotFound") {
        return StoreError::StandingLost;
    }
    fault.into()
}
