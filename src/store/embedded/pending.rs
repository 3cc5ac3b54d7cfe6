//! Finding the pending requests that may ask a person: each row is its own index entry.

use rusqlite::Connection;

use super::queries::WAITS;
use crate::store::row;
use crate::values::{Address, ApprovalId, Timestamp};

/// When each is due, and its id.
pub(super) fn pending_for(
    connection: &Connection,
    people: &[Address],
) -> rusqlite::Result<Vec<(Timestamp, ApprovalId)>> {
    let mut select = connection.prepare_cached(&format!(
        "SELECT Due, PartitionKey, RowKey, json_extract(Entity, '$.ApproverEmails')
         FROM approvals WHERE {WAITS}"
    ))?;
    let mut rows = select.query([])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let addresses: Option<String> = row.get(3)?;
        if !names_any(&addresses.unwrap_or_default(), people) {
            continue;
        }
        let due = Timestamp::from_unix_millis(row.get(0)?);
        let id = row::id(&(row.get(1)?, row.get(2)?)).ok();
        found.extend(due.zip(id));
    }
    Ok(found)
}

/// Whether a list of addresses in JSON names one of these people. One that cannot be read may do so.
fn names_any(addresses: &str, people: &[Address]) -> bool {
    let Ok(addresses) = serde_json::from_str::<Vec<String>>(addresses) else {
        return true;
    };
    let mut addresses = addresses.iter().filter_map(|it| Address::from_known(it));
    addresses.any(|address| people.iter().any(|it| it.is_same_name(&address)))
}
