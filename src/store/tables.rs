//! The store of production: Azure Table Storage (or Azurite).
//!
//! The table `approvals` has one row for each request; `openapprovals` has one small entry for each request that the
//! sweep must process, under the key that its row names. An entry is written before the row that names it, removed
//! after the row no longer names it, and never later than its row. So an orphaned entry costs one read, and no due row
//! is ever missing from the index. `standingapprovals` has sealed rows that are not requests, and `decidedapprovals`
//! one for each decision.
//!
//! The client library is `azure_data_tables` 0.21, which is no longer developed; the modules here work
//! around its known faults. An official one would replace this file and its folder.

mod account;
mod client;
mod corrections;
mod decided;
mod fault;
mod index;
mod marker;
mod missed;
mod pending;
mod probe;
mod rebuild;
mod retry;
mod service_clock;
mod sign_in;
mod standing;
mod transport;

use std::sync::atomic::Ordering;
use std::time::Duration;

use azure_core_legacy::Continuable;
use azure_data_tables::IfMatchCondition;
use azure_data_tables::clients::TableClient;
use azure_data_tables::operations::QueryEntityBuilder;
use serde_json::{Map, Value};

use super::entry::IndexEntry;
use super::error::StoreError;
use super::listing::{Cursor, RawRow, StoredRow};
use super::row::{Columns, Keys, Row};
use super::versioned::ETag;
use crate::values::{ApprovalId, Timestamp};

pub use account::Account;
pub(super) use client::Tables;
use client::{WriteError, beginning_at, entity, first_page, get, refusal};
use fault::Fault;
pub(super) use index::table_of;
use retry::{POINT, QUERY, RetryPolicy, with_retry};
pub use transport::Wire;

/// A smaller change of the due time is not written: the sweep reads the row a little early instead.
const SLACK: Duration = Duration::from_secs(120);

impl Tables {
    /// Reads from the tables of requests, and creates those that do not exist, and that of decisions with them.
    pub(super) async fn prepare(&self) -> Result<(), StoreError> {
        for table in [&self.approvals, &self.open] {
            self.prepare_table(table).await?;
        }
        self.has_tables.store(true, Ordering::Relaxed);
        Ok(())
    }

    async fn prepare_table(&self, table: &TableClient) -> Result<(), StoreError> {
        let read = || first_page(table.query().top(1_u32).select("RowKey"));
        self.with_retry_or_create(read).await.0?;
        Ok(())
    }

    /// Writes the entry of a new row, and counts the open requests of its group.
    pub(super) async fn reserve(
        &self,
        id: &ApprovalId,
        row: &Row,
        open_limit: Option<usize>,
    ) -> Result<(), StoreError> {
        let Some(entry) = &row.entry else {
            return Ok(());
        };
        self.insert_entry(id, entry).await?;
        let Some(open_limit) = open_limit else {
            return Ok(());
        };
        // Counting after the entry exists overlooks no concurrent insert.
        let mut counted = self.count(entry, open_limit + 1).await;
        if matches!(counted, Ok(open) if open > open_limit) {
            // Without the entries that this process is removing.
            self.settle().await;
            counted = self.count(entry, open_limit + 1).await;
        }
        if !matches!(counted, Ok(open) if open <= open_limit) {
            self.remove(&entry.key).await;
            return Err(counted.err().unwrap_or(StoreError::OpenLimit));
        }
        Ok(())
    }

    /// Removes the entry of a new row that is not inserted.
    pub(super) async fn release(&self, row: &Row) {
        if let Some(entry) = &row.entry {
            self.remove(&entry.key).await;
        }
    }

    /// Inserts a row whose entry is written.
    pub(super) async fn insert(&self, row: Row) -> Result<ETag, StoreError> {
        let table = &self.approvals;
        match self.write(table, &row.keys, &row.columns, None).await {
            Ok(etag) => Ok(etag),
            Err(error) => Err(self.roll_back_entry(error, row.entry.as_ref()).await),
        }
    }

    pub(super) async fn replace(
        &self,
        id: &ApprovalId,
        row: Row,
        (etag, was): (&ETag, Option<IndexEntry>),
        is_announced: bool,
    ) -> Result<ETag, StoreError> {
        let entry = row.entry.as_ref();
        let is_kept = |entry: &&IndexEntry| was.as_ref().is_some_and(|was| was.key == entry.key);
        let new = entry.filter(|entry| !is_kept(entry));
        if let Some(entry) = new
            && !is_announced
        {
            self.insert_entry(id, entry).await?;
        }
        let (table, etag) = (&self.approvals, Some(etag));
        let etag = match self.write(table, &row.keys, &row.columns, etag).await {
            Ok(etag) => etag,
            Err(error) => return Err(self.roll_back_entry(error, new).await),
        };
        match (&was, entry) {
            (Some(was), Some(entry)) if was.key == entry.key => {
                if entry.due >= was.due + SLACK {
                    self.corrections.begin(self.postpone(id, entry));
                }
            }
            (Some(was), _) => self.begin_removal(was),
            (None, _) => {}
        }
        Ok(etag)
    }

    /// Removes an entry. No caller waits for it.
    pub(super) fn begin_removal(&self, entry: &IndexEntry) {
        self.corrections.begin(self.remove(&entry.key));
    }

    /// Waits until the corrections of the index that are under way have ended.
    pub(super) async fn settle(&self) {
        self.corrections.settle().await;
    }

    pub(super) async fn get(&self, keys: &Keys) -> Result<(Columns, ETag), StoreError> {
        let found = get(&self.approvals, keys).await?;
        found.ok_or(StoreError::NotFound)
    }

    /// A page of all rows, in the order of their keys.
    pub(super) async fn all(
        &self,
        from: Option<Cursor>,
    ) -> Result<(Vec<RawRow>, Option<Cursor>), StoreError> {
        self.list(QUERY, || self.approvals.query(), from)
            .await
            .map_err(StoreError::from)
    }

    /// As [`Self::all`]; none without the table.
    pub(super) async fn all_or_none(
        &self,
        from: Option<Cursor>,
    ) -> Result<(Vec<RawRow>, Option<Cursor>), StoreError> {
        match self.list(QUERY, || self.approvals.query(), from).await {
            Err(fault) if fault.is_code("TableNotFound") => Ok((Vec::new(), None)),
            listed => Ok(listed?),
        }
    }

    /// A page of the rows of a query, in the order of their keys.
    async fn list(
        &self,
        policy: RetryPolicy,
        query: impl Fn() -> QueryEntityBuilder,
        from: Option<Cursor>,
    ) -> Result<(Vec<RawRow>, Option<Cursor>), Fault> {
        let from = from.map(|cursor| cursor.keys);
        let (sent, _) =
            with_retry(policy, || first_page(beginning_at(query(), from.as_ref()))).await;
        let page = sent?;
        let next = page.continuation().map(|keys| Cursor { due: None, keys });
        let rows = page.entities.into_iter().map(|mut entity| {
            let text = |name| {
                let text = entity.get(name).and_then(Value::as_str);
                text.unwrap_or_default().to_owned()
            };
            let (keys, etag) = (
                (text("PartitionKey"), text("RowKey")),
                ETag(text("odata.etag")),
            );
            let written_at = Timestamp::parse(&text("Timestamp"));
            // Added by the service.
            for name in ["odata.etag", "Timestamp", "Timestamp@odata.type"] {
                entity.remove(name);
            }
            RawRow {
                keys,
                columns: Columns::from_entity(entity.clone()),
                entity,
                etag,
                written_at,
            }
        });
        Ok((rows.collect(), next))
    }

    pub(super) async fn insert_as_it_is(
        &self,
        columns: &Map<String, Value>,
    ) -> Result<(), StoreError> {
        let insert = || async { self.approvals.insert::<_, Value>(columns)?.await };
        let (inserted, _) = self.with_retry_or_create(insert).await;
        match inserted {
            Ok(_) => Ok(()),
            Err(fault) if fault.is_code("EntityAlreadyExists") => Err(StoreError::AlreadyExists),
            Err(fault) => Err(fault.into()),
        }
    }

    pub(super) async fn delete(&self, row: &StoredRow) -> Result<(), StoreError> {
        self.delete_from(&self.approvals, &row.keys, &row.etag)
            .await
    }

    async fn delete_from(
        &self,
        table: &TableClient,
        (partition, key): &Keys,
        etag: &ETag,
    ) -> Result<(), StoreError> {
        // A legacy row's keys may have quotes, which the crate does not double; all else it escapes.
        let [partition, key] = [partition, key].map(|key| key.replace('\'', "''"));
        let client = entity(table, &partition, &key);
        let (sent, _) = with_retry(POINT, || {
            let condition = IfMatchCondition::Etag(etag.0.clone().into());
            client.delete().if_match(condition).into_future()
        })
        .await;
        match sent {
            Ok(_) => Ok(()),
            // An earlier attempt may have deleted it.
            Err(fault) if fault.is_code("ResourceNotFound") => Ok(()),
            Err(fault) if fault.is_code("TableNotFound") => Ok(()),
            Err(fault) if fault.is_status(412) => Err(StoreError::Conflict),
            Err(fault) => Err(fault.into()),
        }
    }

    /// One conditional write. When its outcome is unknown, the row is read to see whether this write made
    /// it. (If it did and another write followed, that cannot be seen: the caller applies the transition
    /// again, which changes nothing.)
    async fn write(
        &self,
        table: &TableClient,
        keys: &Keys,
        columns: &Columns,
        expected: Option<&ETag>,
    ) -> Result<ETag, WriteError> {
        let (sent, tries) = self.send(table, keys, columns, expected).await;
        let fault = match sent {
            Ok(etag) => return Ok(etag),
            Err(fault) => fault,
        };
        let outcome_known = tries == 1 && !fault.is_transient();
        if !outcome_known {
            let operation = columns.text("OperationId");
            let is_ours = |stored: &Columns| stored.text("OperationId") == operation;
            match get(table, keys).await {
                Ok(Some((stored, etag))) if is_ours(&stored) => return Ok(etag),
                Ok(_) => {}
                Err(error) => {
                    return Err(WriteError {
                        error,
                        outcome_known,
                    });
                }
            }
        }
        let error = refusal(fault, expected);
        Err(WriteError {
            error,
            outcome_known,
        })
    }

    /// Inserts a row, or replaces the `expected` one; and how often that was sent.
    async fn send(
        &self,
        table: &TableClient,
        (partition, row): &Keys,
        columns: &Columns,
        expected: Option<&ETag>,
    ) -> (Result<ETag, Fault>, u32) {
        let client = entity(table, partition, row);
        let entity = columns.to_entity();
        let (sent, tries) = match expected {
            None => {
                let insert = || async { Ok(table.insert::<_, Value>(&entity)?.await?.etag) };
                self.with_retry_or_create(insert).await
            }
            Some(ETag(etag)) => {
                let update = || async {
                    let condition = IfMatchCondition::Etag(etag.clone().into());
                    Ok(client.update(&entity, condition)?.await?.etag)
                };
                with_retry(POINT, update).await
            }
        };
        (sent.map(|etag| ETag(etag.to_string())), tries)
    }

    /// As [`with_retry`], for what can be the first to miss a table.
    async fn with_retry_or_create<T, F>(&self, send: impl Fn() -> F) -> (Result<T, Fault>, u32)
    where
        F: Future<Output = azure_core_legacy::Result<T>>,
    {
        match with_retry(POINT, &send).await {
            (Err(fault), _) if fault.is_code("TableNotFound") => match self.create_tables().await {
                Ok(()) => with_retry(POINT, &send).await,
                Err(fault) => (Err(fault), 1),
            },
            sent => sent,
        }
    }

    /// Creates the tables that do not exist, except the standing table: while that is missing, it is unknown what is
    /// paused.
    async fn create_tables(&self) -> Result<(), Fault> {
        let is_lost = self.has_tables.load(Ordering::Relaxed);
        for table in [&self.approvals, &self.open, &self.decided] {
            self.create_table(table, is_lost).await?;
        }
        Ok(())
    }

    /// `is_lost` says that this process has used the table before, so that its rows are gone.
    async fn create_table(&self, table: &TableClient, is_lost: bool) -> Result<(), Fault> {
        let (created, _) = with_retry(POINT, || table.create().into_future()).await;
        let table = table.table_name();
        match created {
            Err(fault) if fault.is_code("TableAlreadyExists") => {}
            Err(fault) => return Err(fault),
            Ok(_) if is_lost => tracing::error!(
                table,
                "a table was lost: it has been created anew, without its rows"
            ),
            Ok(_) => tracing::info!(table, "a table was created"),
        }
        Ok(())
    }
}
