//! The receipt: what the gate signed when a person decided.
//!
//! A compact JWS (RFC 7515) with Ed25519 (RFC 8037), and nothing else: the algorithm is pinned, not
//! negotiated. A resource that demands the receipt can check it offline with the gate's public
//! keys, without trusting the agent that brings it.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use ring::signature::{ED25519, UnparsedPublicKey};
use serde::{Deserialize, Serialize};

use crate::parameters::{Parameters, hex};
use crate::types::{Key, KeySet};

/// What a receipt says: the claims of RFC 7519 where there is one, and the gate's own. A later gate may
/// say more, which is passed over (RFC 7519, section 4).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Claims {
    /// The gate: its public base address.
    pub iss: String,
    /// The agent that asked.
    pub aud: String,
    /// The approval's id.
    pub sub: String,
    /// When it was decided: seconds since 1970.
    pub iat: i64,
    /// For an approval: until when it may be claimed, seconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exp: Option<i64>,
    /// The agent's name for the request.
    pub correlation_id: String,
    /// What was to be done.
    pub action_description: String,
    /// SHA-256 of the canonical parameters that were shown, 64 hexadecimal digits.
    pub parameters_digest: String,
    /// SHA-256 of the secret that a claim must bring, if the request named one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub claimant: Option<String>,
    /// `Approved` or `Rejected`.
    pub decision: Decision,
    /// SHA-256 of what the person wrote beside it, if anything, 64 hexadecimal digits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comment_digest: Option<String>,
    /// The address of the person who decided.
    pub approver: String,
    /// How that person was known.
    pub assurance: Assurance,
    /// Who that is in the gate's directory, for ever, if they signed in: an Entra object id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approver_object_id: Option<String>,
}

/// What was decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Decision {
    /// Yes.
    Approved,
    /// No.
    Rejected,
}

/// How the person who decided was known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Assurance {
    /// Holder of the personal link (and, for an approval, of the code) mailed to the address.
    Link,
    /// Signed in with Microsoft Entra ID.
    Entra,
}

/// Why a receipt proves nothing.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReceiptError {
    /// It is no compact JWS with the pinned header.
    #[error("not a receipt: it is no compact JWS of type {TYPE} signed with EdDSA")]
    Malformed,
    /// It names a key that is not in the set.
    #[error("the receipt names a key that the gate does not publish")]
    UnknownKey,
    /// The signature is not that key's.
    #[error("the receipt's signature is wrong")]
    BadSignature,
}

/// What somebody is about to run for an agent.
#[derive(Clone, Copy, Debug)]
pub struct Run<'a> {
    /// Which agent wants it.
    pub agent: &'a str,
    /// The action as it was described to people.
    pub action: &'a str,
    /// What it is to be run with.
    pub parameters: &'a Parameters,
}

/// Why a receipt does not permit to run something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotPermitted {
    /// Another agent asked.
    #[error("the receipt is for another agent")]
    OtherAgent,
    /// Another action was approved.
    #[error("the receipt is for another action")]
    OtherAction,
    /// It was approved with other parameters.
    #[error("the receipt is for other parameters than those about to be run")]
    OtherParameters,
    /// The person said no.
    #[error("the receipt is for a rejection")]
    Rejected,
    /// The approval had to be used sooner.
    #[error("the approval has lapsed")]
    Lapsed,
}

impl Claims {
    /// Whether this is a person's yes to exactly this, still in time at `now` (seconds since 1970).
    ///
    /// Not said is whether it was used before: the gate lets an approval be claimed once, and who runs
    /// things for agents that it does not trust keeps [`Claims::sub`] until [`Claims::exp`] to know a
    /// receipt that comes again. Nor whose gate it was: that is [`Claims::iss`].
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

/// The header of a receipt.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
    /// Always `EdDSA`.
    pub alg: String,
    /// Always [`TYPE`].
    pub typ: String,
    /// Which key signed.
    pub kid: String,
}

/// Checks the signature and returns what was signed.
///
/// This proves that the gate recorded the decision; whether it permits what is about to run is for
/// [`Claims::permit`] to say. `keys` must come from the gate's operator, or from the gate itself over
/// a connection that is trusted, and never from whoever brings the receipt.
///
/// # Errors
/// When anything about it is not as the gate would have made it.
pub fn verify(receipt: &str, keys: &KeySet) -> Result<Claims, ReceiptError> {
    let (signed, signature) = receipt.rsplit_once('.').ok_or(ReceiptError::Malformed)?;
    let (header, payload) = signed.split_once('.').ok_or(ReceiptError::Malformed)?;
    let header: Header = decode(header)?;
    if header.alg != "EdDSA" || header.typ != TYPE {
        return Err(ReceiptError::Malformed);
    }
    let key = keys
        .keys
        .iter()
        .find(|key| key.kid == header.kid)
        .and_then(public_bytes)
        .ok_or(ReceiptError::UnknownKey)?;
    let signature = BASE64URL
        .decode(signature)
        .map_err(|_| ReceiptError::Malformed)?;
    UnparsedPublicKey::new(&ED25519, key)
        .verify(signed.as_bytes(), &signature)
        .map_err(|_| ReceiptError::BadSignature)?;
    decode(payload)
}

fn decode<T: serde::de::DeserializeOwned>(part: &str) -> Result<T, ReceiptError> {
    let json = BASE64URL
        .decode(part)
        .map_err(|_| ReceiptError::Malformed)?;
    serde_json::from_slice(&json).map_err(|_| ReceiptError::Malformed)
}

fn public_bytes(key: &Key) -> Option<Vec<u8>> {
    if key.kty != "OKP" || key.crv != "Ed25519" {
        return None;
    }
    BASE64URL.decode(&key.x).ok()
}
