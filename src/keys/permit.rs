//! Permits: signing the grant of a claim, and checking a stored claim against it.

use human_oversight_protocol::permit::{self, Claims};
use human_oversight_protocol::types::KeySet;

use super::receipt_keys::{NoKeyInForce, ReceiptKeys};
use super::signed::Contradiction;
use crate::domain::{Approval, Execution, State};
use crate::values::Timestamp;

impl ReceiptKeys {
    /// Signs the permit of a claim that is about to be granted; `None` where there is nothing to claim. Like
    /// a receipt, it is kept only if its write succeeds.
    ///
    /// # Errors
    /// [`NoKeyInForce`].
    pub fn sign_permit(
        &self,
        issuer: &str,
        approval: &Approval,
        nonce: &str,
        now: Timestamp,
    ) -> Result<Option<String>, NoKeyInForce> {
        let State::Approved {
            execution: Execution::Awaited,
            ..
        } = &approval.state
        else {
            return Ok(None);
        };
        let Some(claims) = claims(issuer, approval, nonce, now) else {
            return Ok(None);
        };
        let (kid, key) = self.signer(claims.iat)?;
        Ok(Some(permit::sign(&claims, kid, key)))
    }
}

/// Checks a stored claim against its permit, if it has one. This is for who cannot verify the row MAC, which proves a claim
/// also after the key of its permit was revoked.
///
/// # Errors
/// When the permit does not verify, or differs from the row.
pub fn check_claim(approval: &Approval, keys: &KeySet) -> Result<(), Contradiction> {
    let claim = approval.granted_claim();
    let Some((nonce, permit)) = claim.and_then(|it| Some((&it.nonce, it.permit.as_ref()?))) else {
        return Ok(());
    };
    let signed = permit::verify(permit, keys)
        .map_err(|error| Contradiction::PermitSignature(error.into()))?;
    let (at, _) = approval.claimed_during().ok_or(Contradiction::Permit)?;
    if claims(&signed.iss, approval, nonce, at).as_ref() == Some(&signed) {
        Ok(())
    } else {
        Err(Contradiction::Permit)
    }
}

fn claims(issuer: &str, approval: &Approval, nonce: &str, at: Timestamp) -> Option<Claims> {
    let State::Approved {
        decision, run_by, ..
    } = &approval.state
    else {
        return None;
    };
    let request = &approval.request;
    Some(Claims {
        iss: issuer.to_owned(),
        aud: request.id.agent().to_owned(),
        sub: request.id.to_string(),
        jti: nonce.to_owned(),
        claimant: request.claimant.map(|digest| digest.to_string()),
        parameters_digest: request.parameters.digest.to_string(),
        receipt_digest: permit::digest(&decision.receipt),
        iat: at.unix_seconds(),
        exp: run_by.unix_seconds(),
    })
}
