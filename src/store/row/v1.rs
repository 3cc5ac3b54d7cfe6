//! Version 1 of a row, as the gate wrote it up to commit 97a4bed. Frozen: the MAC is over these fields
//! in this order, with `null` for an absent one.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::columns::{CLAIM_PERMIT, Columns, SUPERSEDES, TIMES};
use crate::keys::LinkKeys;
use crate::store::error::StoreError;
use crate::values::Timestamp;

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Row {
    partition_key: String,
    row_key: String,
    agent_name: String,
    correlation_id: String,
    action_description: String,
    parameters: String,
    parameters_digest: String,
    approver_emails: String,
    request_timestamp: String,
    request_digest: String,
    deadline_timestamp: String,
    on_behalf_of: Option<String>,
    reason: Option<String>,
    claimant: Option<String>,
    status: String,
    approver: Option<String>,
    approver_object_id: Option<String>,
    response_timestamp: Option<String>,
    comment: Option<String>,
    assurance: Option<String>,
    receipt: Option<String>,
    run_by: Option<String>,
    claim_nonce: Option<String>,
    execution_status: Option<String>,
    execution_timestamp: Option<String>,
    execution_error: Option<String>,
    late_response_timestamp: Option<String>,
    late_decision: Option<String>,
    late_approver: Option<String>,
    notification_status: String,
    notified_timestamp: Option<String>,
    notifications: String,
    history: String,
    due_timestamp: Option<String>,
    due_entry: Option<String>,
    operation_id: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    row_seal: String,
}

impl Row {
    fn read(columns: &Columns) -> Result<Self, StoreError> {
        let mut columns = columns.0.clone();
        for name in TIMES {
            // Azure returns times in another form than was written; the MAC covers the written form.
            if let Some(Value::String(text)) = columns.get_mut(name)
                && let Some(time) = Timestamp::parse(text)
            {
                *text = time.to_string();
            }
        }
        serde_json::from_value(Value::Object(columns))
            .map_err(|_| StoreError::damaged("its columns"))
    }

    fn into_columns(self) -> Columns {
        match serde_json::to_value(self) {
            Ok(Value::Object(columns)) => Columns(columns),
            _ => unreachable!("a struct is a JSON object"),
        }
    }

    fn bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("a struct of text is JSON")
    }
}

/// The columns that version 1 lacks. A row that is written as version 1 loses them, and a gate of version 1
/// does without their rules.
const LATER: [&str; 3] = ["Owner", CLAIM_PERMIT, SUPERSEDES];

/// Seals columns as version 1.
///
/// # Errors
/// [`StoreError::NeedsVersion2`] if another column says what version 1 cannot, such as a revocation.
pub(in crate::store) fn seal(columns: Columns, keys: &LinkKeys) -> Result<Columns, StoreError> {
    let mut columns: Map<String, Value> = columns.0;
    columns.retain(|name, _| !LATER.contains(&name.as_str()));
    columns.insert("RowSeal".to_owned(), "".into());
    let mut row = Row::read(&Columns(columns)).map_err(|_| StoreError::NeedsVersion2)?;
    row.row_seal = keys.row_mac_v1(&row.bytes());
    Ok(row.into_columns())
}

/// The columns, with their MAC verified if there are keys. An additional column is an error.
pub(in crate::store) fn check(
    columns: &Columns,
    keys: Option<&LinkKeys>,
) -> Result<Columns, StoreError> {
    let mut row = Row::read(columns)?;
    if let Some(keys) = keys {
        let seal = std::mem::take(&mut row.row_seal);
        let checked = keys.verify_row_mac_v1(&row.bytes(), &seal);
        checked.map_err(|broken| StoreError::Damaged(broken.to_string()))?;
        row.row_seal = seal;
    }
    Ok(row.into_columns())
}
