//! The index of what is due: one small entry for each row that is, under a key that the row names.

use human_oversight_protocol::parameters::{hex, sha256};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::store::row::Row;
use crate::store::{Due, Entry, StoreError};
use crate::values::{ApprovalId, Timestamp};

/// An entry as it stands in the index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::store) struct IndexRow {
    pub(super) key: String,
    pub(super) written_at: Timestamp,
}

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

impl Entry {
    /// A new one, named after its agent and the write that names it.
    pub(super) fn of(id: &ApprovalId, row: &Row, due: Timestamp) -> Self {
        Self {
            due,
            key: format!("{}{}", beginning(id.agent()), row.operation_id),
        }
    }
}

/// How the keys of an agent's entries begin, so that they lie together and can be counted.
pub(super) fn beginning(agent: &str) -> String {
    hex(&sha256(agent.as_bytes())[..BEGINNING / 2])
}

/// So many hexadecimal digits.
const BEGINNING: usize = 16;

impl Row {
    pub(super) fn name(&mut self, entry: Option<&Entry>) {
        self.due_timestamp = entry.map(|entry| entry.due.to_string());
        self.due_entry = entry.map(|entry| entry.key.clone());
    }

    pub(super) fn entry(&self) -> Result<Option<Entry>, StoreError> {
        let damaged = || StoreError::Damaged("DueTimestamp, DueEntry".to_owned());
        let (due, key) = match (&self.due_timestamp, &self.due_entry) {
            (None, None) => return Ok(None),
            (Some(due), Some(key)) if is_key(key) => (due, key.clone()),
            _ => return Err(damaged()),
        };
        let due = Timestamp::parse(due).ok_or_else(damaged)?;
        Ok(Some(Entry { due, key }))
    }
}

fn is_key(key: &str) -> bool {
    key.len() == BEGINNING + 32 && key.bytes().all(|b| b.is_ascii_hexdigit())
}

/// The index is spread over sixteen partitions, by the first digit of a key: an agent's entries are
/// all in one.
pub(super) fn shard(key: &str) -> &str {
    &key[..1]
}

pub(super) fn index_entity(id: &ApprovalId, Entry { due, key }: &Entry) -> Value {
    json!({
        "PartitionKey": shard(key),
        "RowKey": key,
        "Id": id.to_string(),
        "Due": due.to_string(),
        "Due@odata.type": "Edm.DateTime",
    })
}

/// What cannot be read stands for no request: the sweep says so.
pub(super) fn due_of(entity: Map<String, Value>, now: Timestamp) -> (Timestamp, Due) {
    let read = || {
        let entity: IndexEntity = serde_json::from_value(Value::Object(entity)).ok()?;
        let id = entity.id.parse().ok()?;
        let index = IndexRow {
            written_at: Timestamp::parse(&entity.timestamp)?,
            key: Some(entity.row_key)
                .filter(|key| is_key(key) && shard(key) == entity.partition_key)?,
        };
        let due = Due {
            id: Some(id),
            index: Some(index),
        };
        Some((Timestamp::parse(&entity.due)?, due))
    };
    let unreadable = Due {
        id: None,
        index: None,
    };
    read().unwrap_or((now, unreadable))
}
