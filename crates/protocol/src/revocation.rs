//! Revocations: the gate's signed record that an approval was revoked before it was claimed.

use ring::signature::Ed25519KeyPair;
use serde::{Deserialize, Serialize};

use crate::jws::{self, Fault};
use crate::types::KeySet;

/// The `typ` of a revocation's header.
pub const TYPE: &str = "oversight-revocation+jwt";

/// The content of a revocation: registered claims of RFC 7519 where one fits, and the gate's own. Unknown
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
    /// The time of the revocation, in seconds since 1970.
    pub iat: i64,
    /// SHA-256 of the receipt that it revokes, a compact JWS, in 64 hexadecimal digits.
    pub receipt_digest: String,
    /// The address of the approver who revoked their approval, or `operator`.
    pub revoked_by: String,
}

/// Why a revocation is not valid.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RevocationError {
    /// It is not a compact JWS with the required header and claims.
    #[error("not a revocation: it is not a compact JWS of type {TYPE} signed with EdDSA")]
    Malformed,
    /// The key that it names is not in the set.
    #[error("the revocation names a key that the gate does not publish")]
    UnknownKey,
    /// The signature was not made with that key.
    #[error("the revocation's signature is wrong")]
    BadSignature,
}

impl From<Fault> for RevocationError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Malformed => Self::Malformed,
            Fault::UnknownKey => Self::UnknownKey,
            Fault::BadSignature => Self::BadSignature,
        }
    }
}

/// Signs claims with the key that is published as `kid`.
pub fn sign(claims: &Claims, kid: &str, key: &Ed25519KeyPair) -> String {
    jws::sign(TYPE, claims, kid, key)
}

/// Verifies the signature and returns the claims.
///
/// # Errors
/// When it is not a revocation that the gate made.
pub fn verify(revocation: &str, keys: &KeySet) -> Result<Claims, RevocationError> {
    Ok(jws::verify(TYPE, revocation, keys)?)
}
