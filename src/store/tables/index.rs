//! The index of what is due: one small entry for each row that is, under a key that the row names.

use human_oversight_protocol::parameters::{hex, sha256};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::store::row::Columns;
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
    /// The entry of a write. An entry can be moved to later when its row is written, never to earlier: then
    /// the write gets a new one, named after its agent and itself.
    pub(in crate::store) fn new(
        id: &ApprovalId,
        due: Timestamp,
        was: Option<&Self>,
        operation_id: &str,
    ) -> Self {
        let kept = was.filter(|was| due >= was.due);
        let key = match kept {
            Some(was) => was.key.clone(),
            None => format!("{}{operation_id}", beginning(id.agent())),
        };
        Self { due, key }
    }

    /// The entry that a row names.
    pub(in crate::store) fn from_columns(columns: &Columns) -> Result<Option<Self>, StoreError> {
        let damaged = || StoreError::Damaged("DueTimestamp, DueEntry".to_owned());
        let (due, key) = match (columns.text("DueTimestamp"), columns.text("DueEntry")) {
            (None, None) => return Ok(None),
            (Some(due), Some(key)) if is_key(key) => (due, key.to_owned()),
            _ => return Err(damaged()),
        };
        let due = Timestamp::parse(due).ok_or_else(damaged)?;
        Ok(Some(Self { due, key }))
    }
}

/// How the keys of an agent's entries begin, so that they lie together and can be counted.
pub(super) fn beginning(agent: &str) -> String {
    hex(&sha256(agent.as_bytes())[..BEGINNING / 2])
}

/// Its hexadecimal digits.
const BEGINNING: usize = 16;

/// The longest name of a table.
const TABLE_CHARS: usize = 63;

/// The name of the table beside `table` for what is no request.
pub(in crate::store) fn standing_table(table: &str) -> String {
    let name = format!("standing{table}");
    if name.len() <= TABLE_CHARS {
        return name;
    }
    // Cut, and still another one for each table.
    let digest = hex(&sha256(table.as_bytes())[..4]);
    format!("{}{digest}", &name[..TABLE_CHARS - digest.len()])
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

/// An entry that cannot be read stands for no request: the sweep logs it.
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
