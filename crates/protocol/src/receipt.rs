//! Receipts: the gate's signed record of a person's decision.
//!
//! A compact JWS (RFC 7515) with Ed25519 (RFC 8037). The algorithm is fixed, not negotiated. A resource
//! that demands the receipt can verify it offline with the gate's public keys, without trusting the agent
//! that presents it.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use ring::signature::Ed25519KeyPair;
use serde::{Deserialize, Serialize};

use crate::jws::{self, Fault};
use crate::parameters::{Parameters, hex, sha256};
use crate::types::{Key, KeySet};

/// The content of a receipt: registered claims of RFC 7519 where one fits, and the gate's own. Unknown
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
    /// The time of the decision, in seconds since 1970.
    pub iat: i64,
    /// For an approval: when it lapses, in seconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exp: Option<i64>,
    /// The agent's name for the request.
    pub correlation_id: String,
    /// The action as it was described to people.
    pub action_description: String,
    /// SHA-256 of the canonical parameters that were shown, in 64 hexadecimal digits.
    pub parameters_digest: String,
    /// SHA-256 of the secret that a claim must present, if the request named one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub claimant: Option<String>,
    /// The decision.
    pub decision: Decision,
    /// SHA-256 of the comment, if there is one, in 64 hexadecimal digits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comment_digest: Option<String>,
    /// The address of the person who decided.
    pub approver: String,
    /// How that person was identified.
    pub assurance: Assurance,
    /// The Entra object id of that person, if they signed in. It never changes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approver_object_id: Option<String>,
}

/// A decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Decision {
    /// The action may run.
    Approved,
    /// The action must not run.
    Rejected,
}

/// How the person who decided was identified.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Assurance {
    /// By the personal link (and, for an approval, the one-time code) mailed to the address.
    Link,
    /// By the personal link alone: only a rejection, whose comment is not for the agent.
    LinkOnly,
    /// By sign-in with Microsoft Entra ID.
    Entra,
}

/// Why a receipt is not valid.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReceiptError {
    /// It is not a compact JWS with the required header and claims.
    #[error("not a receipt: it is not a compact JWS of type {TYPE} signed with EdDSA")]
    Malformed,
    /// The key that it names is not in the set.
    #[error("the receipt names a key that the gate does not publish")]
    UnknownKey,
    /// The signature was not made with that key.
    #[error("the receipt's signature is wrong")]
    BadSignature,
}

impl From<Fault> for ReceiptError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Malformed => Self::Malformed,
            Fault::UnknownKey => Self::UnknownKey,
            Fault::BadSignature => Self::BadSignature,
        }
    }
}

/// An action that is about to run.
#[derive(Clone, Copy, Debug)]
pub struct Run<'a> {
    /// The agent that wants it.
    pub agent: &'a str,
    /// The action as it was described to people.
    pub action: &'a str,
    /// The parameters that it would run with.
    pub parameters: &'a Parameters,
}

/// Why a receipt does not permit a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotPermitted {
    /// Another agent submitted the request.
    #[error("the receipt is for another agent")]
    OtherAgent,
    /// Another action was approved.
    #[error("the receipt is for another action")]
    OtherAction,
    /// Other parameters were approved.
    #[error("the receipt is for other parameters than those about to be run")]
    OtherParameters,
    /// The decision was a rejection.
    #[error("the receipt is for a rejection")]
    Rejected,
    /// The approval was not claimed in time.
    #[error("the approval has lapsed")]
    Lapsed,
}

impl Claims {
    /// Whether this is an approval of exactly this run that has not lapsed at `now` (seconds since 1970).
    ///
    /// It does not say whether the approval was used before: the gate grants a claim once, and a resource
    /// that does not trust the agent must store [`Claims::sub`] until [`Claims::exp`] to recognise a
    /// receipt that is presented again. Nor does it say which gate decided: that is [`Claims::iss`].
    ///
    /// # Errors
    /// When it is not.
    pub fn permit(&self, run: &Run<'_>, now: i64) -> Result<(), NotPermitted> {
        if self.aud != run.agent {
            return Err(NotPermitted::OtherAgent);
        }
        if self.action_description != run.action {
            return Err(NotPermitted::OtherAction);
        }
        if self.parameters_digest != hex(&run.parameters.digest()) {
            return Err(NotPermitted::OtherParameters);
        }
        if self.decision != Decision::Approved {
            return Err(NotPermitted::Rejected);
        }
        match self.exp {
            Some(exp) if now < exp => Ok(()),
            _ => Err(NotPermitted::Lapsed),
        }
    }
}

/// The `typ` of a receipt's header.
pub const TYPE: &str = "oversight-receipt+jwt";

/// Signs claims with the key that is published as `kid`.
pub fn sign(claims: &Claims, kid: &str, key: &Ed25519KeyPair) -> String {
    jws::sign(TYPE, claims, kid, key)
}

/// The JWK of an Ed25519 public key (RFC 8037).
pub fn public_key(kid: &str, x: &[u8]) -> Key {
    Key {
        kty: "OKP".to_owned(),
        crv: "Ed25519".to_owned(),
        alg: "EdDSA".to_owned(),
        usage: "sig".to_owned(),
        kid: kid.to_owned(),
        x: BASE64URL.encode(x),
    }
}

/// The thumbprint of a key (RFC 7638, with SHA-256, base64url). It identifies the key whatever its name.
pub fn thumbprint(key: &Key) -> String {
    let members = BTreeMap::from([("crv", &key.crv), ("kty", &key.kty), ("x", &key.x)]);
    let canonical = serde_json::to_vec(&members).expect("texts are JSON");
    BASE64URL.encode(sha256(&canonical))
}

/// Verifies the signature and returns the claims.
///
/// This proves that the gate recorded the decision; [`Claims::permit`] says whether it permits a run.
/// `keys` must come from the gate's operator, or from the gate itself over a trusted connection, never from
/// the party that presents the receipt.
///
/// # Errors
/// When it is not a receipt that the gate made.
pub fn verify(receipt: &str, keys: &KeySet) -> Result<Claims, ReceiptError> {
    Ok(jws::verify(TYPE, receipt, keys)?)
}
