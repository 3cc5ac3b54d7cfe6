//! Votes: the gate's signed record of what one of several people chose. It is made in the write that records
//! the vote, and is no receipt: only together with the other votes does it decide.

use serde::{Deserialize, Serialize};

use crate::jws;
use crate::receipt::{Assurance, Decision};
use crate::signing_key::SigningKey;
use crate::types::KeySet;

/// The `typ` of a vote's header.
pub const TYPE: &str = "oversight-vote+jwt";

/// The content of a vote: registered claims of RFC 7519 where one fits, and the gate's own. Unknown claims,
/// which a later gate may add, are ignored (RFC 7519, section 4).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Claims {
    /// The gate, by its public base address.
    pub iss: String,
    /// The agent that submitted the request.
    pub aud: String,
    /// The approval's id.
    pub sub: String,
    /// The time of the vote, in seconds since 1970.
    pub iat: i64,
    /// SHA-256 of the canonical parameters that were shown, in 64 hexadecimal digits.
    pub parameters_digest: String,
    /// SHA-256 of the policy that asked for the vote, in 64 hexadecimal digits.
    pub policy_digest: String,
    /// The stage of the plan for which it counts, from 1.
    pub stage: u8,
    /// The group for which it counts.
    pub from: String,
    /// What the person chose.
    pub decision: Decision,
    /// SHA-256 of the person's comment, if there is one, in 64 hexadecimal digits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comment_digest: Option<String>,
    /// SHA-256 of the person's question for a changed request, if there is one, in 64 hexadecimal digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub question_digest: Option<String>,
    /// The address of the person.
    pub approver: String,
    /// How that person was identified.
    pub assurance: Assurance,
    /// The Entra object id of that person, if they signed in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approver_object_id: Option<String>,
    /// When that person authenticated, in seconds since 1970, if they signed in and Entra said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth_time: Option<i64>,
    /// The operator's authentication context that the sign-in satisfied, if it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth_context: Option<String>,
}

jws::define_error!(VoteError, "vote");

/// Signs claims with the key that is published as `kid`.
pub fn sign(claims: &Claims, kid: &str, key: &SigningKey) -> String {
    jws::sign(TYPE, claims, kid, key)
}

/// Verifies the signature and returns the claims.
///
/// # Errors
/// When it is not a vote that the gate recorded.
pub fn verify(vote: &str, keys: &KeySet) -> Result<Claims, VoteError> {
    Ok(jws::verify(TYPE, vote, keys)?)
}
