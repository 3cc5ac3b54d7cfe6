//! The standing grants of a row: their columns.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::error::StoreError;
use super::grant_text::GrantEntry;
use super::standing_outbox_text::{self, OUTBOX};
use super::text_json::json;
use crate::domain::{GrantEnd, Grants, HeldGrant};
use crate::values::Timestamp;

/// The grants of a row, as JSON.
const GRANTS: &str = "Grants";
/// [`Grants::voided`].
const VOIDED: &str = "Voided";
/// [`Grants::tell`], as JSON.
const TELL: &str = "Tell";
/// [`HeldGrant::taken_by`] by the ids of the grants, as JSON. An earlier gate drops it, and a repeat takes another use.
const TAKEN_BY: &str = "TakenBy";

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
        (GRANTS.to_owned(), json(&entries)),
        (VOIDED.to_owned(), grants.voided.to_string()),
    ]);
    if !grants.tell.is_empty() {
        let tell = json(&grants.tell);
        columns.insert(TELL.to_owned(), tell);
    }
    let taken = grants.held.iter().filter(|held| !held.taken_by.is_empty());
    let taken_by: BTreeMap<_, _> = taken
        .map(|held| (&held.signed.grant.id, &held.taken_by))
        .collect();
    if !taken_by.is_empty() {
        let taken_by = json(&taken_by);
        columns.insert(TAKEN_BY.to_owned(), taken_by);
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
    let text = |column: &'static str| {
        columns
            .get(column)
            .ok_or_else(|| StoreError::damaged(column))
    };
    let entries: Vec<HeldEntry> =
        serde_json::from_str(text(GRANTS)?).map_err(|_| StoreError::damaged(GRANTS))?;
    // Rows that earlier gates wrote lack these, and the outbox.
    let tell = columns.get(TELL).map(|json| serde_json::from_str(json));
    let tell = tell.transpose().map_err(|_| StoreError::damaged(TELL))?;
    let taken_by = columns.get(TAKEN_BY).map(|json| serde_json::from_str(json));
    let taken_by = taken_by
        .transpose()
        .map_err(|_| StoreError::damaged(TAKEN_BY))?;
    let mut taken_by: BTreeMap<String, Vec<String>> = taken_by.unwrap_or_default();
    let held = entries.into_iter().map(|entry| {
        let mut held = entry.into_held()?;
        held.taken_by = taken_by.remove(&held.signed.grant.id).unwrap_or_default();
        Some(held)
    });
    let outbox = columns.get(OUTBOX);
    let outbox = outbox.map(|json| standing_outbox_text::decode(json));
    Ok(Grants {
        held: held
            .collect::<Option<_>>()
            .ok_or_else(|| StoreError::damaged(GRANTS))?,
        voided: text(VOIDED)?
            .parse()
            .map_err(|_| StoreError::damaged(VOIDED))?,
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
            taken_by: Vec::new(),
            ended,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Assurance, Grant, GrantScope, SignedGrant};
    use crate::store::COLUMN_LIMIT;
    use crate::values::{Address, ApprovalId, Digest, Owner};

    /// The longest correlation ids, of more requests than are remembered.
    #[test]
    fn the_most_requests_that_are_remembered_fit_in_a_column() {
        let now = Timestamp::parse("2026-11-30T17:00:00.000Z").unwrap();
        let id = |number| ApprovalId::new("Agent", &format!("{number:064}")).unwrap();
        let mut grants = Grants::default();
        for number in 0..Grants::MOST {
            let scope = GrantScope {
                owner: Owner::Local,
                agent: "Agent".to_owned(),
                action: "Restart".to_owned(),
                digest: Digest([u8::try_from(number).unwrap(); 32]),
                on_behalf_of: None,
            };
            let grant = Grant {
                id: format!("{number:016}"),
                scope: scope.clone(),
                rules: Digest([1; 32]),
                uses: 1_000,
                given_at: now,
                until: now + std::time::Duration::from_secs(3_600),
                giver: Address::parse("alice@example.com").unwrap(),
                assurance: Assurance::Link,
                given_with: id(number),
            };
            let signed = SignedGrant {
                grant,
                proof: String::new(),
            };
            let voided = grants.voided;
            assert!(grants.add(signed, voided, &[], now));
            for request in 0..=HeldGrant::MOST_TAKEN_BY {
                grants.take(&scope, &id(request), now, |_| true).unwrap();
            }
            // A repeat of the last takes no use; one of the first, which is no longer remembered, does.
            let last = HeldGrant::MOST_TAKEN_BY;
            for (request, used) in [(last, last + 1), (0, last + 2)] {
                grants.take(&scope, &id(request), now, |_| true).unwrap();
                assert_eq!(usize::from(grants.held[number].used), used);
            }
        }
        let columns = encode_grants(&grants);
        assert!(columns[TAKEN_BY].len() <= COLUMN_LIMIT);
        assert_eq!(decode_grants(&columns).unwrap().held, grants.held);
    }
}
