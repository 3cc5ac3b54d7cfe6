//! Permits: the gate's signed answer to a claim.
//!
//! A receipt says that a person approved; a permit says that the gate granted this one claim, and so that
//! the approval had not been used, revoked or lapsed. It repeats the nonce of the claim: an answer that was
//! recorded from an earlier claim is none to this one.

use serde::{Deserialize, Serialize};

use crate::jws;
use crate::parameters::{Parameters, hex, sha256};
use crate::signing_key::SigningKey;
use crate::types::KeySet;

/// The `typ` of a permit's header.
pub const TYPE: &str = "oversight-permit+jwt";

/// The content of a permit: registered claims of RFC 7519 where one fits, and the gate's own. Unknown
/// claims, which a later gate may add, are ignored (RFC 7519, section 4).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Claims {
    /// The gate, by its public base address.
    pub iss: String,
    /// The agent that submitted the request.
    pub aud: String,
    /// The approval's id.
    pub sub: String,
    /// The nonce of the claim.
    pub jti: String,
    /// SHA-256 of the secret that the claim presented, if the request named one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub claimant: Option<String>,
    /// SHA-256 of the canonical parameters that were shown, in 64 hexadecimal digits.
    pub parameters_digest: String,
    /// SHA-256 of the receipt, a compact JWS, in 64 hexadecimal digits.
    pub receipt_digest: String,
    /// The time of the claim, in seconds since 1970.
    pub iat: i64,
    /// When the approval would have lapsed, in seconds since 1970: the action must start before.
    pub exp: i64,
}

jws::define_error!(PermitError, "permit");

/// What a permit must say.
#[derive(Clone, Copy, Debug)]
pub struct Expected<'a> {
    /// The addresses of the gate that are trusted.
    pub issuers: &'a [String],
    /// The agent that submitted the request.
    pub agent: &'a str,
    /// The approval's id.
    pub id: &'a str,
    /// The nonce that the claim named. A service to which an agent presents the permit made no claim: it
    /// takes [`Claims::jti`], and stores [`Claims::sub`] to recognise a permit that is presented again.
    pub nonce: &'a str,
    /// SHA-256 of the secret that the claim presented, if the request named one.
    pub claimant: Option<&'a str>,
    /// The parameters that are about to be run.
    pub parameters: &'a Parameters,
    /// The receipt, which was verified.
    pub receipt: &'a str,
    /// By how many seconds the clocks of the gate and the verifier may differ.
    pub leeway: u32,
}

/// Why a permit is not the one that is expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotGranted {
    /// Another gate made it.
    #[error("the permit is of a gate that is not trusted")]
    OtherIssuer,
    /// It is for another agent.
    #[error("the permit is for another agent")]
    OtherAgent,
    /// It is for another request.
    #[error("the permit is for another request")]
    OtherRequest,
    /// It answers another claim.
    #[error("the permit is the answer to another claim")]
    OtherNonce,
    /// Another claimant made the claim.
    #[error("the permit is for another claimant")]
    OtherClaimant,
    /// It is for other parameters.
    #[error("the permit is for other parameters than those about to be run")]
    OtherParameters,
    /// It is for another decision.
    #[error("the permit is for another receipt")]
    OtherReceipt,
    /// It is dated in the future: the clocks of the gate and this machine differ.
    #[error("the permit is dated in the future")]
    NotYet,
    /// The action must have started before.
    #[error("the permit has expired")]
    Expired,
}

impl Claims {
    /// Whether the gate granted exactly this claim, and it still counts at `now` (seconds since 1970).
    ///
    /// # Errors
    /// When it did not.
    pub fn grant(&self, expected: &Expected<'_>, now: i64) -> Result<(), NotGranted> {
        let leeway = i64::from(expected.leeway);
        let checks = [
            (
                expected.issuers.contains(&self.iss),
                NotGranted::OtherIssuer,
            ),
            (self.aud == expected.agent, NotGranted::OtherAgent),
            (self.sub == expected.id, NotGranted::OtherRequest),
            (self.jti == expected.nonce, NotGranted::OtherNonce),
            (
                self.claimant.as_deref() == expected.claimant,
                NotGranted::OtherClaimant,
            ),
            (
                self.parameters_digest == hex(&expected.parameters.digest()),
                NotGranted::OtherParameters,
            ),
            (
                self.receipt_digest == digest(expected.receipt),
                NotGranted::OtherReceipt,
            ),
            (self.iat <= now.saturating_add(leeway), NotGranted::NotYet),
            (now.saturating_sub(leeway) < self.exp, NotGranted::Expired),
        ];
        match checks.into_iter().find(|(is_met, _)| !is_met) {
            None => Ok(()),
            Some((_, why)) => Err(why),
        }
    }
}

/// The digest of a receipt, as in [`Claims::receipt_digest`].
pub fn digest(receipt: &str) -> String {
    hex(&sha256(receipt.as_bytes()))
}

/// Signs claims with the key that is published as `kid`.
pub fn sign(claims: &Claims, kid: &str, key: &SigningKey) -> String {
    jws::sign(TYPE, claims, kid, key)
}

/// Verifies the signature and returns the claims; [`Claims::grant`] says whether they are those expected.
///
/// `keys` must come from the gate's operator, or from the gate itself over a trusted connection, never from
/// the party that presents the permit.
///
/// # Errors
/// When it is not a permit that the gate made.
pub fn verify(permit: &str, keys: &KeySet) -> Result<Claims, PermitError> {
    Ok(jws::verify(TYPE, permit, keys)?)
}
