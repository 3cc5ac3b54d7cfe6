//! The standing grants of a row: their columns.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::error::StoreError;
use super::grant_text::GrantEntry;
use super::standing_outbox_text::{self, OUTBOX};
use crate::domain::{GrantEnd, Grants, HeldGrant};
use crate::values::Timestamp;

/// The grants of a row, as JSON.
const GRANTS: &str = "Grants";
/// [`Grants::voided`].
const VOIDED: &str = "Voided";
/// [`Grants::tell`], as JSON.
const TELL: &str = "Tell";

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct HeldEntry {
    grant: GrantEntry,
    used: u16,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ended: Option<(String, String)>,
}

/// The columns of a row with these grants.
pub fn encode_grants(grants: &Grants) -> BTreeMap<String, String> {
    let entries = grants.held.iter().map(|held| HeldEntry {
        grant: GrantEntry::of(&held.signed),
        used: held.used,
        ended: held
            .ended
            .map(|(at, by)| (at.to_string(), by.word().to_owned())),
    });
    let entries: Vec<HeldEntry> = entries.collect();
    let mut columns = BTreeMap::from([
        (GRANTS.to_owned(), standing_outbox_text::json(&entries)),
        (VOIDED.to_owned(), grants.voided.to_string()),
    ]);
    if !grants.tell.is_empty() {
        let tell = standing_outbox_text::json(&grants.tell);
        columns.insert(TELL.to_owned(), tell);
    }
    if grants.outbox.last > 0 {
        let outbox = standing_outbox_text::encode(&grants.outbox);
        columns.insert(OUTBOX.to_owned(), outbox);
    }
    columns
}

/// The grants in the columns of a row.
///
/// # Errors
/// [`StoreError::Damaged`] if it has not the form of such a row.
pub fn decode_grants(columns: &BTreeMap<String, String>) -> Result<Grants, StoreError> {
    let damaged = |column: &str| StoreError::Damaged(column.to_owned());
    let text = |column: &'static str| columns.get(column).ok_or_else(|| damaged(column));
    let entries: Vec<HeldEntry> =
        serde_json::from_str(text(GRANTS)?).map_err(|_| damaged(GRANTS))?;
    let held = entries.into_iter().map(HeldEntry::into_held);
    // Rows that earlier gates wrote have no outbox.
    let tell = columns.get(TELL).map(|json| serde_json::from_str(json));
    let tell = tell.transpose().map_err(|_| damaged(TELL))?;
    let outbox = columns.get(OUTBOX);
    let outbox = outbox.map(|json| standing_outbox_text::decode(json));
    Ok(Grants {
        held: held.collect::<Option<_>>().ok_or_else(|| damaged(GRANTS))?,
        voided: text(VOIDED)?.parse().map_err(|_| damaged(VOIDED))?,
        tell: tell.unwrap_or_default(),
        outbox: outbox.transpose()?.unwrap_or_default(),
    })
}

impl HeldEntry {
    fn into_held(self) -> Option<HeldGrant> {
        let ended = match self.ended {
            None => None,
            Some((at, by)) => Some((Timestamp::parse(&at)?, GrantEnd::from_word(&by)?)),
        };
        Some(HeldGrant {
            signed: self.grant.into_signed()?,
            used: self.used,
            ended,
        })
    }
}
