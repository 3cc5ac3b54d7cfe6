//! What is signed of a standing grant, and checking stored ones against it.

use human_oversight_protocol::grant::{self, Claims};
use human_oversight_protocol::types::KeySet;

use super::signed::{Contradiction, assurance, object_id};
use crate::domain::{Grant, SignedGrant};

/// Checks that a gate with these keys signed exactly this grant.
///
/// # Errors
/// [`Contradiction`] if it did not.
pub fn check_grant(signed: &SignedGrant, keys: &KeySet) -> Result<(), Contradiction> {
    let SignedGrant { grant, proof } = signed;
    let found =
        grant::verify(proof, keys).map_err(|error| Contradiction::GrantSignature(error.into()))?;
    // Takes the issuer from the proof, since the gate's address may have changed.
    if found == claims(&found.iss, grant) {
        Ok(())
    } else {
        Err(Contradiction::Grant)
    }
}

pub(super) fn claims(issuer: &str, grant: &Grant) -> Claims {
    let scope = &grant.scope;
    Claims {
        iss: issuer.to_owned(),
        aud: scope.agent.clone(),
        sub: scope.owner.to_string(),
        jti: grant.id.clone(),
        iat: grant.given_at.unix_seconds(),
        exp: grant.until.unix_seconds(),
        uses: grant.uses,
        action_description: scope.action.clone(),
        parameters_digest: scope.digest.to_string(),
        on_behalf_of: scope.on_behalf_of.as_ref().map(ToString::to_string),
        rules_digest: grant.rules.to_string(),
        approval: grant.given_with.to_string(),
        approver: grant.giver.to_string(),
        assurance: assurance(grant.assurance),
        approver_object_id: object_id(grant.assurance),
    }
}
