//! A standing grant as JSON: in the column `Grants` of a standing row, and in `Grant` of a request that it approved.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::text_json::{json, optional_text, text};
use crate::domain::{Assurance, Grant, GrantScope, SignedGrant};
use crate::values::{Address, ApprovalId, Digest, Owner, Timestamp};

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct GrantEntry {
    id: String,
    #[serde(with = "text")]
    owner: Owner,
    agent: String,
    action: String,
    #[serde(with = "text")]
    parameters_digest: Digest,
    #[serde(
        with = "optional_text",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    on_behalf_of: Option<Address>,
    #[serde(with = "text")]
    rules_digest: Digest,
    uses: u16,
    #[serde(with = "text")]
    at: Timestamp,
    #[serde(with = "text")]
    until: Timestamp,
    #[serde(with = "text")]
    by: Address,
    assurance: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    object_id: Option<Uuid>,
    #[serde(with = "text")]
    given_with: ApprovalId,
    proof: String,
}

pub(super) fn grant_text(signed: &SignedGrant) -> String {
    json(&GrantEntry::of(signed))
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
            owner: scope.owner.clone(),
            agent: scope.agent.clone(),
            action: scope.action.clone(),
            parameters_digest: scope.digest,
            on_behalf_of: scope.on_behalf_of.clone(),
            rules_digest: grant.rules,
            uses: grant.uses,
            at: grant.given_at,
            until: grant.until,
            by: grant.giver.clone(),
            assurance: grant.assurance.word().to_owned(),
            object_id: grant.assurance.object_id(),
            given_with: grant.given_with.clone(),
            proof: proof.clone(),
        }
    }

    pub(super) fn into_signed(self) -> Option<SignedGrant> {
        let grant = Grant {
            id: self.id,
            scope: GrantScope {
                owner: self.owner,
                agent: self.agent,
                action: self.action,
                digest: self.parameters_digest,
                on_behalf_of: self.on_behalf_of,
            },
            rules: self.rules_digest,
            uses: self.uses,
            given_at: self.at,
            until: self.until,
            giver: self.by,
            assurance: Assurance::from_word(&self.assurance, self.object_id)?,
            given_with: self.given_with,
        };
        Some(SignedGrant {
            grant,
            proof: self.proof,
        })
    }
}
