//! A standing grant as JSON: in the column `Grants` of a standing row, and in `Grant` of a request that it approved.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::domain::{Assurance, Grant, GrantScope, SignedGrant};
use crate::values::{Address, Digest, Owner, Timestamp};

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct GrantEntry {
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

pub(super) fn grant_text(signed: &SignedGrant) -> String {
    serde_json::to_string(&GrantEntry::of(signed)).expect("plain structs are JSON")
}

pub(super) fn parse_grant(text: &str) -> Option<SignedGrant> {
    let entry: GrantEntry = serde_json::from_str(text).ok()?;
    entry.into_signed()
}

impl GrantEntry {
    pub(super) fn of(SignedGrant { grant, proof }: &SignedGrant) -> Self {
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

    pub(super) fn into_signed(self) -> Option<SignedGrant> {
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
