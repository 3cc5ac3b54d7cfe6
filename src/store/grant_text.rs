//! Standing grants as JSON: in the column `Grants` of a standing row, and in `Grant` of a request that one approved.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::error::StoreError;
use super::standing_outbox_text::{self, OUTBOX};
use crate::domain::{Assurance, Grant, GrantEnd, GrantScope, Grants, HeldGrant, SignedGrant};
use crate::values::{Address, Digest, Owner, Timestamp};

/// The grants of a row, as JSON.
const GRANTS: &str = "Grants";
/// [`Grants::voided`].
const VOIDED: &str = "Voided";
/// [`Grants::tell`], as JSON.
const TELL: &str = "Tell";

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct GrantEntry {
    id: String,
    owner: String,
    agent: String,
    action: String,
    parameters_digest: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    on_behalf_of: Option<String>,
    rules_digest: String,
    uses: u16,
    at: String,
    until: String,
    by: String,
    assurance: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    object_id: Option<Uuid>,
    given_with: String,
    proof: String,
}

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

pub(super) fn grant_text(signed: &SignedGrant) -> String {
    standing_outbox_text::json(&GrantEntry::of(signed))
}

pub(super) fn parse_grant(text: &str) -> Option<SignedGrant> {
    let entry: GrantEntry = serde_json::from_str(text).ok()?;
    entry.into_signed()
}

impl GrantEntry {
    fn of(SignedGrant { grant, proof }: &SignedGrant) -> Self {
        let scope = &grant.scope;
        Self {
            id: grant.id.clone(),
            owner: scope.owner.to_string(),
            agent: scope.agent.clone(),
            action: scope.action.clone(),
            parameters_digest: scope.digest.to_string(),
            on_behalf_of: scope.on_behalf_of.as_ref().map(ToString::to_string),
            rules_digest: grant.rules.to_string(),
            uses: grant.uses,
            at: grant.given_at.to_string(),
            until: grant.until.to_string(),
            by: grant.giver.to_string(),
            assurance: grant.assurance.word().to_owned(),
            object_id: grant.assurance.object_id(),
            given_with: grant.given_with.to_string(),
            proof: proof.clone(),
        }
    }

    fn into_signed(self) -> Option<SignedGrant> {
        let on_behalf_of = match self.on_behalf_of {
            None => None,
            Some(person) => Some(Address::from_known(&person)?),
        };
        let grant = Grant {
            id: self.id,
            scope: GrantScope {
                owner: Owner::parse(&self.owner)?,
                agent: self.agent,
                action: self.action,
                digest: Digest::parse(&self.parameters_digest)?,
                on_behalf_of,
            },
            rules: Digest::parse(&self.rules_digest)?,
            uses: self.uses,
            given_at: Timestamp::parse(&self.at)?,
            until: Timestamp::parse(&self.until)?,
            giver: Address::from_known(&self.by)?,
            assurance: Assurance::from_word(&self.assurance, self.object_id)?,
            given_with: self.given_with.parse().ok()?,
        };
        Some(SignedGrant {
            grant,
            proof: self.proof,
        })
    }
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
