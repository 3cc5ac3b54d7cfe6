//! The marker of the due index, and writing the entries again that rows name.

use azure_core_legacy::Continuable;
use futures_util::{StreamExt, TryStreamExt, stream};
use serde_json::{Map, Value, json};

use super::client::{Tables, beginning_at, entity, first_page};
use super::marker::MARKER;
use super::retry::{POINT, QUERY, with_retry};
use crate::store::entry::IndexEntry;
use crate::store::error::StoreError;
use crate::store::listing::Cursor;
use crate::store::row::{self, Columns};
use crate::values::ApprovalId;

/// Entries written at a time.
const CONCURRENT_WRITES: usize = 16;

impl Tables {
    pub(in crate::store) async fn has_marker(&self) -> Result<bool, StoreError> {
        let client = entity(&self.open, MARKER.0, MARKER.1);
        let get = || client.get::<Map<String, Value>>().into_future();
        match with_retry(POINT, get).await.0 {
            Ok(_) => Ok(true),
            Err(fault) if fault.is_code("ResourceNotFound") || fault.is_code("TableNotFound") => {
                Ok(false)
            }
            Err(fault) => Err(fault.into()),
        }
    }

    pub(in crate::store) async fn rebuild_index(
        &self,
        from: Option<Cursor>,
    ) -> Result<(usize, Option<Cursor>), StoreError> {
        let (entries, next) = self.named_entries(from).await?;
        let count = entries.len();
        // An entry whose row has gone on meanwhile is early or orphaned, and the sweep corrects it.
        stream::iter(entries)
            .map(Ok)
            .try_for_each_concurrent(CONCURRENT_WRITES, |(id, entry)| async move {
                self.insert_entry(&id, &entry).await
            })
            .await?;
        if next.is_none() {
            self.put_marker().await?;
        }
        Ok((count, next))
    }

    /// The entries that a page of rows names. What cannot be read names none: `verify` reports it.
    async fn named_entries(
        &self,
        from: Option<Cursor>,
    ) -> Result<(Vec<(ApprovalId, IndexEntry)>, Option<Cursor>), StoreError> {
        let from = from.map(|cursor| cursor.keys);
        let (sent, _) = with_retry(QUERY, || {
            let query = self
                .approvals
                .query()
                .filter("DueTimestamp ge datetime'1970-01-01T00:00:00Z'")
                .select("PartitionKey,RowKey,DueTimestamp,DueEntry,Status,ApproverEmails");
            first_page(beginning_at(query, from.as_ref()))
        })
        .await;
        let page = sent?;
        let next = page.continuation().map(|keys| Cursor { due: None, keys });
        let entries = page.entities.into_iter().filter_map(|entity| {
            let columns = Columns::from_entity(entity);
            let id = row::id(&columns.keys()).ok()?;
            Some((id, IndexEntry::from_columns(&columns).ok()??))
        });
        Ok((entries.collect(), next))
    }

    async fn put_marker(&self) -> Result<(), StoreError> {
        let client = entity(&self.open, MARKER.0, MARKER.1);
        let marker = json!({"PartitionKey": MARKER.0, "RowKey": MARKER.1});
        let insert = || async { client.insert_or_replace(&marker)?.await };
        self.with_retry_or_create(insert).await.0?;
        Ok(())
    }
}
