//! The column `HandOvers`: the seats that approvers handed over, in order. A row without one has none.

use serde::{Deserialize, Serialize};

use super::columns::Columns;
use crate::domain::{Approval, HandOver};
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
    at: String,
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
        at: it.at.to_string(),
    });
    let entries: Vec<_> = entries.collect();
    let text = serde_json::to_string(&entries).expect("plain structs are JSON");
    columns.set(HAND_OVERS, &text);
}

pub(super) fn decode(columns: &mut Columns) -> Result<Vec<HandOver>, &'static str> {
    let Some(text) = columns.take_optional::<String>(HAND_OVERS)? else {
        return Ok(Vec::new());
    };
    let entries: Vec<HandOverEntry> = serde_json::from_str(&text).map_err(|_| HAND_OVERS)?;
    if entries.is_empty() {
        return Err(HAND_OVERS);
    }
    let hand_overs = entries.into_iter().map(|entry| {
        Some(HandOver {
            from: entry.from,
            to: entry.to,
            reason: entry.reason,
            at: Timestamp::parse(&entry.at)?,
        })
    });
    hand_overs.collect::<Option<_>>().ok_or(HAND_OVERS)
}
