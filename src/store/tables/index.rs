//! The due index: one small entry for each row that the sweep must process, under a key that the row names.

use std::time::Duration;

use azure_core_legacy::Continuable;
use azure_data_tables::IfMatchCondition;
use azure_data_tables::clients::EntityClient;
use human_oversight_protocol::parameters::{hex, sha256};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::client::{Tables, WriteError, beginning_at, entity, first_page};
use super::marker::{MARKER, is_marker};
use super::retry::{QUERY, correct_index, with_retry};
use crate::domain::{Approval, Status};
use crate::keys::LinkKeys;
use crate::store::entry::{IndexEntry, People, SeenEntry};
use crate::store::error::StoreError;
use crate::store::listing::{Cursor, Due, DuePage};
use crate::store::row::Columns;
use crate::values::{Address, ApprovalId, Timestamp};

/// The columns of the index.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct IndexEntity {
    partition_key: String,
    row_key: String,
    id: String,
    due: String,
    timestamp: String,
}

impl IndexEntry {
    /// The entry of a write. An entry can be moved to later when its row is written, never to earlier, nor out
    /// of the entries that are counted, nor to other people: if none of those that are `known` can, the write gets a
    /// new one, named after its group and itself.
    pub(in crate::store) fn new(
        approval: &Approval,
        due: Timestamp,
        known: &[&Self],
        operation_id: &str,
    ) -> Self {
        let group = match approval.state.status() {
            Status::Pending => group_of_pending(approval),
            _ => group_of_ended(&approval.request.id),
        };
        let people = match approval.state.status() {
            Status::Pending => People::of(approval.approvers.iter().map(|it| &it.address)),
            _ => Some(People::none()),
        };
        let is_kept = |it: &&&Self| due >= it.due && it.group() == group && it.people == people;
        let kept = known.iter().find(is_kept);
        let key = match kept {
            Some(kept) => kept.key.clone(),
            None => format!("{group}{operation_id}"),
        };
        Self { due, key, people }
    }

    /// The entry of a request that is about to be decided at `due`.
    pub(in crate::store) fn of_decision(
        id: &ApprovalId,
        due: Timestamp,
        operation_id: &str,
    ) -> Self {
        Self {
            due,
            key: format!("{}{operation_id}", group_of_ended(id)),
            people: Some(People::none()),
        }
    }

    /// The beginning of its key, by which it is counted.
    fn group(&self) -> &str {
        &self.key[..GROUP]
    }

    /// The entry that a row names.
    pub(in crate::store) fn from_columns(columns: &Columns) -> Result<Option<Self>, StoreError> {
        let damaged = || StoreError::damaged("DueTimestamp, DueEntry");
        let (due, key) = match (columns.text("DueTimestamp"), columns.text("DueEntry")) {
            (None, None) => return Ok(None),
            (Some(due), Some(key)) if is_key(key) => (due, key.to_owned()),
            _ => return Err(damaged()),
        };
        let due = Timestamp::parse(due).ok_or_else(damaged)?;
        let people = people_of(columns);
        Ok(Some(Self { due, key, people }))
    }
}

fn people_of(columns: &Columns) -> Option<People> {
    if columns.text("Status") != Some(Status::Pending.word()) {
        return Some(People::none());
    }
    let addresses: Vec<String> = serde_json::from_str(columns.text("ApproverEmails")?).ok()?;
    let addresses = addresses.iter().map(|it| Address::from_known(it));
    People::of(&addresses.collect::<Option<Vec<_>>>()?)
}

/// The age from which an entry that no row names is orphaned: no write that inserted it can be under way.
const ORPHAN_AFTER: Duration = Duration::from_secs(15 * 60);

impl Tables {
    /// A page of what is due, longest due first within the page; one of them has the marker, if there is one.
    pub(in crate::store) async fn due(
        &self,
        now: Timestamp,
        from: Option<Cursor>,
    ) -> Result<DuePage, StoreError> {
        let (sent, _) = with_retry(QUERY, || {
            let query = self
                .open
                .query()
                .filter(format!(
                    "Due le datetime'{now}' or RowKey eq '{}'",
                    MARKER.1
                ))
                .select("PartitionKey,RowKey,Id,Due,Timestamp");
            first_page(beginning_at(
                query,
                from.as_ref().map(|cursor| &cursor.keys),
            ))
        })
        .await;
        let page = sent?;
        let next = page.continuation().map(|keys| Cursor { due: None, keys });
        let (markers, entries): (Vec<_>, Vec<_>) = page.entities.into_iter().partition(is_marker);
        let entries = entries.into_iter();
        let mut rows: Vec<(Timestamp, Due)> = entries.map(|entity| due_of(entity, now)).collect();
        rows.sort_by_key(|(due, _)| *due);
        Ok(DuePage {
            due: rows.into_iter().map(|(_, due)| due).collect(),
            next,
            has_marker: !markers.is_empty(),
        })
    }

    /// Whether the row that an entry was `seen` for is due by it; `named` is the entry that the row names. An
    /// entry that is early or orphaned is corrected.
    pub(in crate::store) async fn correct_entry(
        &self,
        id: &ApprovalId,
        seen: &SeenEntry,
        named: Option<&IndexEntry>,
        now: Timestamp,
    ) -> bool {
        match named.filter(|entry| entry.key == seen.key) {
            Some(entry) if entry.due <= now => return true,
            Some(entry) => self.postpone(id, entry).await,
            None if now.since(seen.written_at) >= ORPHAN_AFTER => self.remove(&seen.key).await,
            None => {}
        }
        false
    }

    /// How many entries the group of an entry has; counting ends at `enough`.
    pub(super) async fn count(
        &self,
        entry: &IndexEntry,
        enough: usize,
    ) -> Result<usize, StoreError> {
        let group = entry.group();
        // Nothing that goes on with a hexadecimal digit comes after a `g`.
        let filter = format!(
            "PartitionKey eq '{}' and RowKey ge '{group}' and RowKey lt '{group}g'",
            shard(group)
        );
        let (mut counted, mut from) = (0, None);
        loop {
            let (sent, _) = with_retry(QUERY, || {
                let query = self.open.query().filter(filter.clone()).select("RowKey");
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

    /// Removes the entry of a write that failed. If the outcome is unknown, other writes may name the entry
    /// by now; then it stays, and the sweep removes it if none does.
    pub(super) async fn roll_back_entry(
        &self,
        failed: WriteError,
        entry: Option<&IndexEntry>,
    ) -> StoreError {
        if let (true, Some(entry)) = (failed.outcome_known, entry) {
            self.remove(&entry.key).await;
        }
        failed.error
    }

    /// Inserts an entry under a unique key.
    pub(in crate::store) async fn insert_entry(
        &self,
        id: &ApprovalId,
        entry: &IndexEntry,
    ) -> Result<(), StoreError> {
        let client = self.entry(&entry.key);
        let entity = index_entity(id, entry, self.keys.as_deref());
        let insert = || async { client.insert_or_replace(&entity)?.await };
        self.with_retry_or_create(insert).await.0?;
        Ok(())
    }

    /// Moves an entry to later. Does not insert one that was removed.
    pub(super) fn postpone(
        &self,
        id: &ApprovalId,
        entry: &IndexEntry,
    ) -> impl Future<Output = ()> + Send + use<> {
        let client = self.entry(&entry.key);
        let entity = index_entity(id, entry, self.keys.as_deref());
        correct_index(async move { client.update(&entity, IfMatchCondition::Any)?.await })
    }

    pub(super) fn remove(&self, key: &str) -> impl Future<Output = ()> + Send + use<> {
        correct_index(self.entry(key).delete().into_future())
    }

    fn entry(&self, key: &str) -> EntityClient {
        entity(&self.open, shard(key), key)
    }
}

/// The group of the entries that wait for a person, which are counted for each owner and agent.
fn group_of_pending(approval: &Approval) -> String {
    let agent = approval.request.id.agent();
    match &approval.request.owner {
        None => group(agent),
        // No agent's name has a line feed.
        Some(owner) => group(&format!("{owner}\n{agent}")),
    }
}

/// The group of all other entries of an agent.
fn group_of_ended(id: &ApprovalId) -> String {
    group(&format!("\n{}", id.agent()))
}

fn group(name: &str) -> String {
    hex(&sha256(name.as_bytes())[..GROUP / 2])
}

/// The hexadecimal digits of a group.
const GROUP: usize = 16;

/// The maximum length of a table name.
const TABLE_CHARS: usize = 63;

/// The name of the table of another kind for `table`.
pub(in crate::store) fn table_of(kind: &str, table: &str) -> String {
    let name = format!("{kind}{table}");
    if name.len() <= TABLE_CHARS {
        return name;
    }
    // Cut, and still another one for each table.
    let digest = hex(&sha256(table.as_bytes())[..4]);
    format!("{}{digest}", &name[..TABLE_CHARS - digest.len()])
}

fn is_key(key: &str) -> bool {
    key.len() == GROUP + 32 && key.bytes().all(|b| b.is_ascii_hexdigit())
}

/// The index is spread over sixteen partitions, by the first digit of a key: a group's entries are all
/// in one.
pub(super) fn shard(key: &str) -> &str {
    &key[..1]
}

/// All shards.
pub(super) const SHARDS: [&str; 16] = [
    "0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "a", "b", "c", "d", "e", "f",
];

fn index_entity(id: &ApprovalId, entry: &IndexEntry, keys: Option<&LinkKeys>) -> Value {
    let mut entity = json!({
        "PartitionKey": shard(&entry.key),
        "RowKey": entry.key,
        "Id": id.to_string(),
        "Due": entry.due.to_string(),
        "Due@odata.type": "Edm.DateTime",
    });
    if let (Some(people), Some(keys)) = (&entry.people, keys) {
        entity["People"] = people.column(keys).into();
    }
    entity
}

/// An entry that cannot be read stands for no request.
pub(super) fn due_of(entity: Map<String, Value>, now: Timestamp) -> (Timestamp, Due) {
    let key = |name| entity.get(name).and_then(Value::as_str).unwrap_or_default();
    let read = || {
        let entity = IndexEntity::deserialize(&entity).ok()?;
        let id = entity.id.parse().ok()?;
        let index = SeenEntry {
            written_at: Timestamp::parse(&entity.timestamp)?,
            key: Some(entity.row_key)
                .filter(|key| is_key(key) && shard(key) == entity.partition_key)?,
        };
        let due = Due {
            id: Ok(id),
            index: Some(index),
        };
        Some((Timestamp::parse(&entity.due)?, due))
    };
    read().unwrap_or_else(|| (now, Due::foreign(key("PartitionKey"), key("RowKey"))))
}
