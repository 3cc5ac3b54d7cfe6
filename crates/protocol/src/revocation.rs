//! Revocations: the gate's signed record that an approval was revoked before it was claimed.

use serde::{Deserialize, Serialize};

use crate::jws;
use crate::signing_key::SigningKey;
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

jws::define_error!(RevocationError, "revocation");

/// Signs claims with the key that is published as `kid`.
pub fn sign(claims: &Claims, kid: &str, key: &SigningKey) -> String {
    jws::sign(TYPE, claims, kid, key)
}

/// Verifies the signature and returns the claims.
///
/// # Errors
/// When it is not a revocation that the gate made.
pub fn verify(revocation: &str, keys: &KeySet) -> Result<Claims, RevocationError> {
    Ok(jws::verify(TYPE, revocation, keys)?)
}
