//! A case, and the claims to make one.

use human_oversight_protocol::permit::{Claims, digest};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::receipts::case as receipt;
use crate::signing::sign_by;

pub(crate) const NONCE: &str = "0123456789abcdef0123456789abcdef";
pub(crate) const CLAIMED_AT: i64 = receipt::DECIDED_AT + 60;
pub(crate) const LEEWAY: u32 = 60;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) issuers: Vec<String>,
    pub(crate) agent: String,
    pub(crate) id: String,
    pub(crate) nonce: String,
    pub(crate) claimant: Option<String>,
    pub(crate) parameters: Map<String, Value>,
    pub(crate) receipt: String,
    pub(crate) now: i64,
    pub(crate) leeway: u32,
    pub(crate) permit: String,
    pub(crate) result: String,
}

/// The claims of a permit for the approval of the receipts' cases.
pub(crate) fn claims() -> Claims {
    let decided = receipt::claims();
    Claims {
        iss: decided.iss.clone(),
        aud: decided.aud.clone(),
        sub: decided.sub.clone(),
        jti: NONCE.to_owned(),
        claimant: decided.claimant.clone(),
        parameters_digest: decided.parameters_digest.clone(),
        receipt_digest: digest(&receipt::sign(&decided)),
        iat: CLAIMED_AT,
        exp: receipt::LAPSES_AT,
    }
}

pub(crate) fn header() -> Value {
    json!({"alg": "EdDSA", "typ": "oversight-permit+jwt", "kid": "present"})
}

pub(crate) fn header_with(name: &str, value: impl Into<Value>) -> Value {
    let mut header = header();
    header[name] = value.into();
    header
}

pub(crate) fn payload() -> Value {
    serde_json::to_value(claims()).unwrap()
}

/// The payload with one member more, or other than it was.
pub(crate) fn payload_with(name: &str, value: Value) -> Value {
    let mut payload = payload();
    payload[name] = value;
    payload
}

pub(crate) fn sign(claims: &Claims) -> String {
    sign_by(1, &header(), &serde_json::to_value(claims).unwrap())
}

/// The case of a permit that is held against the claim that was made.
pub(crate) fn case(name: &str, permit: String, result: &str) -> Case {
    let decided = receipt::claims();
    Case {
        name: name.to_owned(),
        issuers: vec![
            decided.iss.clone(),
            "https://gate-until-2026.example.com".to_owned(),
        ],
        agent: decided.aud.clone(),
        id: decided.sub.clone(),
        nonce: NONCE.to_owned(),
        claimant: decided.claimant.clone(),
        parameters: receipt::parameters(),
        receipt: receipt::sign(&decided),
        now: CLAIMED_AT,
        leeway: LEEWAY,
        permit,
        result: result.to_owned(),
    }
}
