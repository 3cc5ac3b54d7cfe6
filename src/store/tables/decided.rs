//! The table of decisions.

use std::iter;

use super::client::Tables;
use super::retry::{POINT, QUERY};
use crate::store::error::StoreError;
use crate::store::listing::{Cursor, KeyedRows, RawRow};
use crate::store::row::{Columns, Keys};
use crate::store::versioned::ETag;

impl Tables {
    pub(in crate::store) async fn insert_decided(
        &self,
        keys: &Keys,
        columns: &Columns,
    ) -> Result<(), StoreError> {
        let written = self.write(&self.decided, keys, columns, None).await;
        written.map(drop).map_err(|failed| failed.error)
    }

    /// The first rows of a partition, in one query; none without the table.
    pub(in crate::store) async fn list_decided_of(
        &self,
        partition: &str,
        most: u32,
    ) -> Result<KeyedRows, StoreError> {
        let query = || {
            let query = self.decided.query();
            query
                .filter(format!("PartitionKey eq '{partition}'"))
                .top(most)
        };
        match self.list(POINT, query, None).await {
            Err(fault) if fault.is_code("TableNotFound") => Ok(Box::new(iter::empty())),
            listed => {
                let rows = listed?.0.into_iter();
                Ok(Box::new(rows.map(|row| (row.keys, row.columns))))
            }
        }
    }

    /// A page of all rows; none without the table.
    pub(in crate::store) async fn list_decided(
        &self,
        from: Option<Cursor>,
    ) -> Result<(Vec<RawRow>, Option<Cursor>), StoreError> {
        match self.list(QUERY, || self.decided.query(), from).await {
            Err(fault) if fault.is_code("TableNotFound") => Ok((Vec::new(), None)),
            listed => Ok(listed?),
        }
    }

    /// Deletes a row, whatever it holds; also if there is none, or no table.
    pub(in crate::store) async fn delete_decided(&self, keys: &Keys) -> Result<(), StoreError> {
        let any = ETag("*".to_owned());
        self.delete_from(&self.decided, keys, &any).await
    }
}
