//! The column `HandOvers`: the seats that approvers handed over, in order. A row without one has none.

use serde::{Deserialize, Serialize};

use super::columns::Columns;
use crate::domain::{Approval, HandOver};
use crate::store::text_json::{json, text};
use crate::values::Timestamp;

pub(super) const HAND_OVERS: &str = "HandOvers";

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct HandOverEntry {
    /// The index of the approver who had the seat.
    from: usize,
    /// The index of the one who has it since then.
    to: usize,
    reason: String,
    #[serde(with = "text")]
    at: Timestamp,
}

pub(super) fn encode(approval: &Approval, columns: &mut Columns) {
    let hand_overs = &approval.plan.hand_overs;
    if hand_overs.is_empty() {
        return;
    }
    let entries = hand_overs.iter().map(|it| HandOverEntry {
        from: it.from,
        to: it.to,
        reason: it.reason.clone(),
        at: it.at,
    });
    let entries: Vec<_> = entries.collect();
    columns.set(HAND_OVERS, &json(&entries));
}

pub(super) fn decode(columns: &mut Columns) -> Result<Vec<HandOver>, &'static str> {
    let Some(text) = columns.take_optional::<String>(HAND_OVERS)? else {
        return Ok(Vec::new());
    };
    let entries: Vec<HandOverEntry> = serde_json::from_str(&text).map_err(|_| HAND_OVERS)?;
    if entries.is_empty() {
        return Err(HAND_OVERS);
    }
    let hand_overs = entries.into_iter().map(|entry| HandOver {
        from: entry.from,
        to: entry.to,
        reason: entry.reason,
        at: entry.at,
    });
    Ok(hand_overs.collect())
}
