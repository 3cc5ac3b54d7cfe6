//! Reading a request from a line of a backup, without a store.

use serde_json::{Map, Value};

use super::error::StoreError;
use super::gate_id::SEPARATOR;
use super::listing::{DECIDED, OF_GATE, OF_TABLE, STANDING, ensure_readable};
use super::row::{self, Columns, Format, v1};
use crate::domain::Approval;
use crate::keys::LinkKeys;

/// The request that a line of a backup holds; `None` if the line holds another kind of row. With keys its row MAC is
/// verified, for the gate and the table that the line names.
///
/// # Errors
/// [`StoreError::Damaged`] if it is not as a gate with these keys stored it, or [`StoreError::Legacy`].
pub fn read_copy(
    copy: Map<String, Value>,
    keys: Option<&LinkKeys>,
) -> Option<Result<Approval, StoreError>> {
    if copy.contains_key(STANDING) || copy.contains_key(DECIDED) {
        return None;
    }
    Some(decode(copy, keys))
}

/// Where the columns of a listed row name all ids of the gate, leaves the one that the row is sealed for, if these keys
/// verify that.
pub fn name_gate(columns: &mut Map<String, Value>, keys: &LinkKeys) {
    let text = |name| columns.get(name).and_then(Value::as_str);
    let (Some(gates), Some(table)) = (text(OF_GATE), text(OF_TABLE)) else {
        return;
    };
    if gates.contains(SEPARATOR) {
        let row = Columns::from_entity(columns.clone());
        if let Ok(gate) = row.gate(gates.split(SEPARATOR), table, keys) {
            let gate = gate.to_owned();
            columns.insert(OF_GATE.to_owned(), gate.into());
        }
    }
}

/// Whether a line of a backup holds a row of the standing table.
pub fn is_standing_copy(copy: &Map<String, Value>) -> bool {
    copy.contains_key(STANDING)
}

/// The table and the keys of the row that a line of a backup holds; `None` if the line holds no row.
pub fn place_of_copy(copy: &Map<String, Value>) -> Option<[&str; 3]> {
    let text = |name| copy.get(name).and_then(Value::as_str);
    let mut kinds = [STANDING, DECIDED].into_iter();
    let table = kinds.find(|kind| copy.contains_key(*kind));
    Some([
        table.unwrap_or_default(),
        text("PartitionKey")?,
        text("RowKey")?,
    ])
}

fn decode(copy: Map<String, Value>, keys: Option<&LinkKeys>) -> Result<Approval, StoreError> {
    ensure_readable(&copy)?;
    let annotation = |name: &str| {
        let text = copy.get(name).and_then(Value::as_str).map(str::to_owned);
        text.ok_or_else(|| StoreError::damaged(name))
    };
    let (gate, table) = (annotation(OF_GATE), annotation(OF_TABLE));
    let mut columns = Columns::from_entity(copy);
    match (columns.format(), keys) {
        (Format::Legacy, _) => return Err(StoreError::Legacy),
        (Format::V1, keys) => columns = v1::check(&columns, keys)?,
        (Format::V2, Some(keys)) => columns.check(gate?.split(SEPARATOR), &table?, keys)?,
        (Format::V2, None) => {}
    }
    let id = row::id(&columns.keys())?;
    row::decode(columns, &id).map(|(approval, _)| approval)
}
