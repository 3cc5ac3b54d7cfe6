//! The store of production: Azure Table Storage, or Azurite.
//!
//! The table `approvals` has one row for each request; `openapprovals` has one small entry for each
//! request that is still due for something, under the key that its row names. An entry is written
//! before the row that names it and removed after the row that no longer does, and it is never later
//! than its row. So an entry that is left over costs a look, and none is ever missing.
//!
//! The client library is `azure_data_tables` 0.21, which is no longer developed; all that is known to
//! be wrong with it is kept out by what lies around it here. An official one would replace this file
//! and those under it.

mod account;
mod fault;
mod index;
mod sign_in;
mod transport;

use std::sync::Arc;
use std::time::Duration;

use azure_core_legacy::{Continuable, RetryOptions, TransportOptions};
use azure_data_tables::IfMatchCondition;
use azure_data_tables::clients::{EntityClient, TableClient, TableServiceClientBuilder};
use azure_data_tables::operations::{QueryEntityBuilder, QueryEntityResponse};
use azure_storage::CloudLocation;
use futures_util::StreamExt;
use serde_json::{Map, Value};
use tokio::time::{Instant, timeout_at};

use super::row::{self, Row};
use super::{Due, ETag, Entry, Place, StoreError, Stored, Versioned};
use crate::keys::LinkKeys;
use crate::keys::keyring;
use crate::values::{ApprovalId, Clock, Timestamp};

pub use account::Account;
use fault::Fault;
pub(super) use index::IndexRow;
use index::{beginning, due_of, index_entity, shard};
use transport::Transport;
pub use transport::Wire;

#[derive(Clone)]
pub(super) struct Tables {
    approvals: TableClient,
    open: TableClient,
}

/// How long an answer is waited for, and how long in all, however often it is tried.
struct Patience {
    answer: Duration,
    in_all: Duration,
}

/// For one row: a decision takes four operations, and whoever waits for it gives up after 30 s.
const POINT: Patience = Patience {
    answer: Duration::from_secs(3),
    in_all: Duration::from_secs(7),
};

/// For a query: the service looks for up to 5 s before it gives a page.
const QUERY: Patience = Patience {
    answer: Duration::from_secs(12),
    in_all: Duration::from_secs(15),
};

/// Tidying may take so long, and is tried once: somebody waits, and the sweep would do it too.
const TIDYING: Duration = Duration::from_secs(1);

/// The first pause between two tries; each is twice as long as the one before, less chance.
const PAUSE: Duration = Duration::from_millis(100);

/// A due time that moves by less is not worth a write: the sweep looks a little early instead.
const SLACK: Duration = Duration::from_secs(120);

/// An entry that no row names may belong to a write that is still under way, for so long.
const LEFT_OVER_AFTER: Duration = Duration::from_secs(15 * 60);

impl Tables {
    pub(super) fn new(account: &Account, table: &str, wire: Arc<dyn Wire>, clock: Clock) -> Self {
        let credentials = sign_in::credentials(&account.sign_in, clock);
        let location = CloudLocation::Custom {
            // Part of no address and no signature.
            account: String::new(),
            uri: account.endpoint.clone(),
        };
        let service = TableServiceClientBuilder::with_location(location, credentials)
            .transport(TransportOptions::new(Arc::new(Transport(wire))))
            .retry(RetryOptions::none())
            .build();
        Self {
            approvals: service.table_client(table),
            open: service.table_client(format!("open{table}")),
        }
    }

    /// Reads from both tables, and creates those that are not there.
    pub(super) async fn prepare(&self) -> Result<(), StoreError> {
        for table in [&self.approvals, &self.open] {
            self.patiently_or_create(|| {
                let query = table.query().top(1_u32).select("RowKey");
                first_page(query)
            })
            .await?;
        }
        Ok(())
    }

    pub(super) async fn insert(
        &self,
        id: &ApprovalId,
        mut row: Row,
        due: Option<Timestamp>,
        open_limit: usize,
        keys: Option<&LinkKeys>,
    ) -> Result<(ETag, Option<Entry>), StoreError> {
        let entry = due.map(|due| Entry::of(id, &row, due));
        row.name(entry.as_ref());
        row.seal(keys)?;
        if let Some(entry) = &entry {
            self.announce(id, entry).await?;
            // Counted after it was announced: of those who come at once, none is overlooked.
            let counted = self.count(id.agent(), open_limit + 1).await;
            if !matches!(counted, Ok(open) if open <= open_limit) {
                self.remove(&entry.key).await;
                return Err(counted.err().unwrap_or(StoreError::OpenLimit));
            }
        }
        match self.write(&row, None).await {
            Ok(etag) => Ok((etag, entry)),
            Err(unwritten) => Err(self.take_back(unwritten, entry.as_ref()).await),
        }
    }

    pub(super) async fn replace(
        &self,
        id: &ApprovalId,
        mut row: Row,
        due: Option<Timestamp>,
        (etag, was): (&ETag, Option<Entry>),
        keys: Option<&LinkKeys>,
    ) -> Result<(ETag, Option<Entry>), StoreError> {
        // An entry can be moved to later when the row is written, and never to earlier: then the row
        // gets a new one before.
        let kept = was.as_ref().filter(|was| due >= Some(was.due));
        let entry = due.map(|due| match kept {
            Some(was) => Entry {
                due,
                key: was.key.clone(),
            },
            None => Entry::of(id, &row, due),
        });
        row.name(entry.as_ref());
        row.seal(keys)?;
        let announced = entry.as_ref().filter(|_| kept.is_none());
        if let Some(entry) = announced {
            self.announce(id, entry).await?;
        }
        let etag = match self.write(&row, Some(etag)).await {
            Ok(etag) => etag,
            Err(unwritten) => return Err(self.take_back(unwritten, announced).await),
        };
        match (&was, &entry) {
            (Some(was), _) if kept.is_none() => self.remove(&was.key).await,
            (Some(was), Some(entry)) if entry.due >= was.due + SLACK => {
                self.postpone(id, entry).await;
            }
            _ => {}
        }
        Ok((etag, entry))
    }

    pub(super) async fn get(
        &self,
        id: &ApprovalId,
        keys: Option<&LinkKeys>,
    ) -> Result<Versioned, StoreError> {
        let (partition, row) = row::keys(id);
        let (row, etag) = self.read(&partition, &row).await?;
        let entry = row.entry()?;
        Ok(Versioned {
            approval: row.into_approval(id, keys)?,
            etag,
            entry,
        })
    }

    /// A page of what is due, longest due first within the page.
    pub(super) async fn due(
        &self,
        now: Timestamp,
        from: Option<Place>,
    ) -> Result<(Vec<Due>, Option<Place>), StoreError> {
        let (sent, _) = patiently(QUERY, || {
            let query = self
                .open
                .query()
                .filter(format!("Due le datetime'{now}'"))
                .select("PartitionKey,RowKey,Id,Due,Timestamp");
            first_page(beginning_at(query, from.as_ref().map(|place| &place.keys)))
        })
        .await;
        let page = sent?;
        let next = page.continuation().map(|keys| Place { due: None, keys });
        let mut rows: Vec<(Timestamp, Due)> = page
            .entities
            .into_iter()
            .map(|entity| due_of(entity, now))
            .collect();
        rows.sort_by_key(|(due, _)| *due);
        Ok((rows.into_iter().map(|(_, due)| due).collect(), next))
    }

    /// A page of all rows, in the order of their keys.
    pub(super) async fn all(
        &self,
        from: Option<Place>,
        link_keys: Option<&LinkKeys>,
    ) -> Result<(Vec<Stored>, Option<Place>), StoreError> {
        let from = from.map(|place| place.keys);
        let (sent, _) = patiently(QUERY, || {
            first_page(beginning_at(self.approvals.query(), from.as_ref()))
        })
        .await;
        let page = sent?;
        let next = page.continuation().map(|keys| Place { due: None, keys });
        let stored = page.entities.into_iter().map(|entity| {
            let text = |name| {
                let text = entity.get(name).and_then(Value::as_str);
                text.unwrap_or_default().to_owned()
            };
            let (keys, etag) = (
                (text("PartitionKey"), text("RowKey")),
                ETag(text("odata.etag")),
            );
            let written_at = Timestamp::parse(&text("Timestamp"));
            let mut columns = entity;
            // The service's own.
            for name in ["odata.etag", "Timestamp", "Timestamp@odata.type"] {
                columns.remove(name);
            }
            Stored {
                written_at,
                ..Stored::of(keys, columns, etag, link_keys)
            }
        });
        Ok((stored.collect(), next))
    }

    pub(super) async fn insert_as_it_is(
        &self,
        columns: &Map<String, Value>,
    ) -> Result<(), StoreError> {
        let inserted = self
            .patiently_or_create(|| async { self.approvals.insert::<_, Value>(columns)?.await })
            .await;
        match inserted {
            Ok(_) => Ok(()),
            Err(fault) if fault.is_code("EntityAlreadyExists") => Err(StoreError::AlreadyExists),
            Err(fault) => Err(fault.into()),
        }
    }

    pub(super) async fn delete(&self, row: &Stored) -> Result<(), StoreError> {
        let (partition, key) = &row.keys;
        // The predecessor's keys may have quotes, which the crate does not double; all else it escapes.
        let [partition, key] = [partition, key].map(|key| key.replace('\'', "''"));
        let client = entity(&self.approvals, &partition, &key);
        let (sent, _) = patiently(POINT, || {
            let condition = IfMatchCondition::Etag(row.etag.0.clone().into());
            client.delete().if_match(condition).into_future()
        })
        .await;
        match sent {
            Ok(_) => Ok(()),
            // Perhaps by the try before.
            Err(fault) if fault.is_code("ResourceNotFound") => Ok(()),
            Err(fault) if fault.is_status(412) => Err(StoreError::Conflict),
            Err(fault) => Err(fault.into()),
        }
    }

    /// The row that an entry is for, if it is due. An entry that is early or left over is put right.
    pub(super) async fn look(
        &self,
        id: &ApprovalId,
        seen: &IndexRow,
        now: Timestamp,
        keys: Option<&LinkKeys>,
    ) -> Result<Option<Versioned>, StoreError> {
        let found = match self.get(id, keys).await {
            Err(StoreError::NotFound) => None,
            // Nobody but the gate writes entries.
            Err(StoreError::Predecessor) => {
                return Err(StoreError::Damaged("its columns".to_owned()));
            }
            found => Some(found?),
        };
        let named = found.as_ref().and_then(|row| row.entry.as_ref());
        match named.filter(|entry| entry.key == seen.key) {
            Some(entry) if entry.due <= now => return Ok(found),
            Some(entry) => self.postpone(id, entry).await,
            None if now.since(seen.written_at) >= LEFT_OVER_AFTER => self.remove(&seen.key).await,
            None => {}
        }
        Ok(None)
    }

    /// How many entries an agent has; of more than `enough` it is not said how many.
    async fn count(&self, agent: &str, enough: usize) -> Result<usize, StoreError> {
        let beginning = beginning(agent);
        // Nothing that goes on with a hexadecimal digit comes after a `g`.
        let mine = format!(
            "PartitionKey eq '{}' and RowKey ge '{beginning}' and RowKey lt '{beginning}g'",
            shard(&beginning)
        );
        let (mut counted, mut from) = (0, None);
        loop {
            let (sent, _) = patiently(QUERY, || {
                let query = self.open.query().filter(mine.clone()).select("RowKey");
                first_page(beginning_at(query, from.as_ref()))
            })
            .await;
            let page = sent?;
            counted += page.entities.len();
            from = page.continuation();
            if from.is_none() || counted >= enough {
                return Ok(counted);
            }
        }
    }

    /// Reads a row, whatever it holds.
    async fn read(&self, partition: &str, row: &str) -> Result<(Row, ETag), StoreError> {
        let client = entity(&self.approvals, partition, row);
        let (sent, _) = patiently(POINT, || client.get::<Map<String, Value>>().into_future()).await;
        match sent {
            Ok(found) => {
                let etag = ETag(found.etag.to_string());
                Ok((Row::of_entity(found.entity)?, etag))
            }
            Err(fault) if fault.is_code("ResourceNotFound") => Err(StoreError::NotFound),
            Err(fault) => Err(fault.into()),
        }
    }

    /// One conditional write. When it is not clear what became of it, the row is read to see whether
    /// it is this write that made it. (If it did, and somebody else has written since, that cannot be
    /// seen: the move is judged again and finds itself made.)
    async fn write(&self, row: &Row, expected: Option<&ETag>) -> Result<ETag, Unwritten> {
        let client = entity(&self.approvals, &row.partition_key, &row.row_key);
        let entity = row.clone().into_entity();
        let (sent, tries) = patiently(POINT, || async {
            Ok(match expected {
                None => self.approvals.insert::<_, Value>(&entity)?.await?.etag,
                Some(ETag(etag)) => {
                    let condition = IfMatchCondition::Etag(etag.clone().into());
                    client.update(&entity, condition)?.await?.etag
                }
            })
        })
        .await;
        let fault = match sent {
            Ok(etag) => return Ok(ETag(etag.to_string())),
            Err(fault) => fault,
        };
        let is_clear = tries == 1 && !fault.may_pass();
        if !is_clear {
            match self.read(&row.partition_key, &row.row_key).await {
                Ok((stored, etag)) if stored.operation_id == row.operation_id => return Ok(etag),
                Ok(_) | Err(StoreError::NotFound) => {}
                Err(error) => return Err(Unwritten { error, is_clear }),
            }
        }
        let error = match expected {
            None if fault.is_code("EntityAlreadyExists") => StoreError::AlreadyExists,
            Some(_) if fault.is_status(412) || fault.is_code("ResourceNotFound") => {
                StoreError::Conflict
            }
            _ => fault.into(),
        };
        Err(Unwritten { error, is_clear })
    }

    /// Removes the entry of a write that did not take place. One that perhaps did may have been
    /// followed by others that go on naming the entry; then it stays, and the sweep sees to it.
    async fn take_back(&self, unwritten: Unwritten, announced: Option<&Entry>) -> StoreError {
        if let (true, Some(entry)) = (unwritten.is_clear, announced) {
            self.remove(&entry.key).await;
        }
        unwritten.error
    }

    /// Writes an entry of its own key, so that it disturbs nobody else's.
    async fn announce(&self, id: &ApprovalId, entry: &Entry) -> Result<(), StoreError> {
        let client = self.entry(&entry.key);
        let entity = index_entity(id, entry);
        self.patiently_or_create(|| async { client.insert_or_replace(&entity)?.await })
            .await?;
        Ok(())
    }

    /// Never makes an entry anew that somebody has removed.
    async fn postpone(&self, id: &ApprovalId, entry: &Entry) {
        let client = self.entry(&entry.key);
        let entity = index_entity(id, entry);
        tidy(async { client.update(&entity, IfMatchCondition::Any)?.await }).await;
    }

    async fn remove(&self, key: &str) {
        tidy(self.entry(key).delete().into_future()).await;
    }

    fn entry(&self, key: &str) -> EntityClient {
        entity(&self.open, shard(key), key)
    }

    /// The same as [`patiently`] for what can be the first to miss a table.
    async fn patiently_or_create<T, F>(&self, send: impl Fn() -> F) -> Result<T, Fault>
    where
        F: Future<Output = azure_core_legacy::Result<T>>,
    {
        match patiently(POINT, &send).await.0 {
            Err(fault) if fault.is_code("TableNotFound") => {
                self.create_tables().await?;
                patiently(POINT, &send).await.0
            }
            sent => sent,
        }
    }

    async fn create_tables(&self) -> Result<(), Fault> {
        for table in [&self.approvals, &self.open] {
            let (created, _) = patiently(POINT, || table.create().into_future()).await;
            match created {
                Err(fault) if !fault.is_code("TableAlreadyExists") => return Err(fault),
                _ => {}
            }
        }
        Ok(())
    }
}

/// A row was not written, or perhaps it was.
struct Unwritten {
    error: StoreError,
    is_clear: bool,
}

/// Sends something until it is answered, for a while; and how often it was sent.
async fn patiently<T, F>(patience: Patience, send: impl Fn() -> F) -> (Result<T, Fault>, u32)
where
    F: Future<Output = azure_core_legacy::Result<T>>,
{
    let until = Instant::now() + patience.in_all;
    let mut tries = 0;
    loop {
        tries += 1;
        let answer_by = until.min(Instant::now() + patience.answer);
        let fault = match in_time(answer_by, send()).await {
            Ok(answer) => return (Ok(answer), tries),
            Err(fault) => fault,
        };
        let pause = pause(tries, &fault);
        if !fault.may_pass() || Instant::now() + pause >= until {
            return (Err(fault), tries);
        }
        tokio::time::sleep(pause).await;
    }
}

/// A query that goes on where the one before ended.
fn beginning_at(
    query: QueryEntityBuilder,
    keys: Option<&(String, Option<String>)>,
) -> QueryEntityBuilder {
    match keys.cloned() {
        None => query,
        Some((partition, None)) => query.initial_partition_key(partition),
        Some((partition, Some(row))) => query.initial_partition_key(partition).initial_row_key(row),
    }
}

/// The next page of a query. The future does not borrow it.
fn first_page(
    query: QueryEntityBuilder,
) -> impl Future<Output = azure_core_legacy::Result<QueryEntityResponse<Map<String, Value>>>> {
    let mut pages = query.into_stream();
    async move { pages.next().await.expect("there is one page at least") }
}

/// At least as long as the service asks for.
fn pause(tries: u32, fault: &Fault) -> Duration {
    let longest = PAUSE * 2_u32.pow(tries.min(5) - 1);
    let chance = f64::from(keyring::random_bytes::<1>()[0]) / 512.0;
    let pause = longest.mul_f64(1.0 - chance);
    match fault {
        Fault::Busy {
            retry_after: Some(asked),
            ..
        } => pause.max(*asked),
        _ => pause,
    }
}

/// Nothing is lost when the index is not tidied: the sweep will look in vain, and tidy it.
async fn tidy<T>(send: impl Future<Output = azure_core_legacy::Result<T>>) {
    match in_time(Instant::now() + TIDYING, send).await {
        Err(fault) if !fault.is_code("ResourceNotFound") => {
            tracing::debug!(cause = %fault, "an entry of what is due could not be tidied");
        }
        _ => {}
    }
}

async fn in_time<T>(
    until: Instant,
    send: impl Future<Output = azure_core_legacy::Result<T>>,
) -> Result<T, Fault> {
    match timeout_at(until, send).await {
        Ok(answer) => answer.map_err(Fault::from),
        Err(_) => Err(Fault::Lost("it took too long".to_owned())),
    }
}

/// The crate does not escape keys, and ours need no escaping.
fn entity(table: &TableClient, partition: &str, row: &str) -> EntityClient {
    table.partition_key_client(partition).entity_client(row)
}
