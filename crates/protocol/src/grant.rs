//! Standing grants: the gate's signed record that an approver allows an agent the same again until a time. It is
//! no receipt: each use of it is a decision of its own, with a receipt that names the grant.

use serde::{Deserialize, Serialize};

use crate::jws;
use crate::receipt::Assurance;
use crate::signing_key::SigningKey;
use crate::types::KeySet;

/// The `typ` of a grant's header.
pub const TYPE: &str = "oversight-grant+jwt";

/// The content of a grant: registered claims of RFC 7519 where one fits, and the gate's own. Unknown claims,
/// which a later gate may add, are ignored (RFC 7519, section 4).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Claims {
    /// The gate, by its public base address.
    pub iss: String,
    /// The agent that it allows the action.
    pub aud: String,
    /// The owner of the agent's requests.
    pub sub: String,
    /// The id of the grant.
    pub jti: String,
    /// When it was given, in seconds since 1970.
    pub iat: i64,
    /// Its end, in seconds since 1970.
    pub exp: i64,
    /// The most requests that it approves.
    pub uses: u16,
    /// The action, exactly.
    pub action_description: String,
    /// SHA-256 of the canonical parameters, in 64 hexadecimal digits.
    pub parameters_digest: String,
    /// The person on whose behalf the agent acts, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_behalf_of: Option<String>,
    /// SHA-256 of the rules of the policy that allow it, in 64 hexadecimal digits.
    pub rules_digest: String,
    /// The id of the approval with which it was given.
    pub approval: String,
    /// The address of the approver who gave it.
    pub approver: String,
    /// How that person was identified.
    pub assurance: Assurance,
    /// The Entra object id of that person, if they signed in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approver_object_id: Option<String>,
}

jws::define_error!(GrantError, "grant");

/// Signs claims with the key that is published as `kid`.
pub fn sign(claims: &Claims, kid: &str, key: &SigningKey) -> String {
    jws::sign(TYPE, claims, kid, key)
}

/// Verifies the signature and returns the claims.
///
/// # Errors
/// When it is not a grant that the gate recorded.
pub fn verify(grant: &str, keys: &KeySet) -> Result<Claims, GrantError> {
    Ok(jws::verify(TYPE, grant, keys)?)
}
