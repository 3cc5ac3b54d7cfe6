//! A case, and the keys, claims and signatures to make one. The keys are used nowhere else.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use human_oversight_protocol::parameters::{Parameters, hex};
use human_oversight_protocol::receipt::{Assurance, Claims, Decision};
use human_oversight_protocol::types::{Key, KeySet};
use ring::signature::{Ed25519KeyPair, KeyPair};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

pub(super) const AGENT: &str = "RefundAgent";
pub(super) const ACTION: &str = "Refund an order";
pub(super) const DECIDED_AT: i64 = 1_800_000_000;
pub(super) const LAPSES_AT: i64 = DECIDED_AT + 900;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Case {
    pub(super) name: String,
    pub(super) agent: String,
    pub(super) action: String,
    pub(super) parameters: Map<String, Value>,
    pub(super) now: i64,
    pub(super) receipt: String,
    pub(super) result: String,
}

/// The key whose seed is this byte, 32 times.
pub(super) fn key(seed: u8) -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap()
}

/// The gate's present key and a retired one; then keys that must not be used for a receipt.
pub(super) fn key_set() -> KeySet {
    let public = |kid: &str, seed| Key {
        kty: "OKP".to_owned(),
        crv: "Ed25519".to_owned(),
        alg: "EdDSA".to_owned(),
        usage: "sig".to_owned(),
        kid: kid.to_owned(),
        x: BASE64URL.encode(key(seed).public_key()),
    };
    let other_type = Key {
        kty: "EC".to_owned(),
        ..public("ec", 4)
    };
    let other_curve = Key {
        crv: "X25519".to_owned(),
        ..public("x25519", 5)
    };
    let not_base64 = Key {
        x: "not base64".to_owned(),
        ..public("not-base64", 6)
    };
    KeySet {
        keys: vec![
            public("present", 1),
            public("retired", 2),
            other_type,
            other_curve,
            not_base64,
        ],
    }
}

pub(super) fn parameters() -> Map<String, Value> {
    let parameters = json!({"order": "A-1", "amount": 49.9, "currency": "EUR"});
    parameters.as_object().unwrap().clone()
}

pub(super) fn claims() -> Claims {
    Claims {
        iss: "https://gate.example.com".to_owned(),
        aud: AGENT.to_owned(),
        sub: format!("{}.order-1", BASE64URL.encode(AGENT)),
        iat: DECIDED_AT,
        exp: Some(LAPSES_AT),
        correlation_id: "order-1".to_owned(),
        action_description: ACTION.to_owned(),
        parameters_digest: hex(&Parameters::new(&parameters()).unwrap().digest()),
        claimant: Some(hex(&[7; 32])),
        decision: Decision::Approved,
        comment_digest: None,
        approver: "alice@example.com".to_owned(),
        assurance: Assurance::Link,
        approver_object_id: None,
    }
}

pub(super) fn header() -> Value {
    json!({"alg": "EdDSA", "typ": "oversight-receipt+jwt", "kid": "present"})
}

/// Header and payload as texts, signed by the present key.
pub(super) fn sign_texts(header: &str, payload: &str) -> String {
    let signed = format!("{}.{}", BASE64URL.encode(header), BASE64URL.encode(payload));
    let signature = key(1).sign(signed.as_bytes());
    format!("{signed}.{}", BASE64URL.encode(signature))
}

pub(super) fn sign_by(seed: u8, header: &Value, payload: &Value) -> String {
    let signed = format!(
        "{}.{}",
        BASE64URL.encode(header.to_string()),
        BASE64URL.encode(payload.to_string())
    );
    let signature = key(seed).sign(signed.as_bytes());
    format!("{signed}.{}", BASE64URL.encode(signature))
}

pub(super) fn sign(claims: &Claims) -> String {
    sign_by(1, &header(), &serde_json::to_value(claims).unwrap())
}

/// The payload with one member more, or other than it was.
pub(super) fn payload_with(name: &str, value: Value) -> Value {
    let mut payload = serde_json::to_value(claims()).unwrap();
    payload[name] = value;
    payload
}

pub(super) fn header_with(name: &str, value: impl Into<Value>) -> Value {
    let mut header = header();
    header[name] = value.into();
    header
}

/// The case of a receipt that is held against the run which was approved.
pub(super) fn case(name: &str, receipt: String, result: &str) -> Case {
    Case {
        name: name.to_owned(),
        agent: AGENT.to_owned(),
        action: ACTION.to_owned(),
        parameters: parameters(),
        now: DECIDED_AT + 60,
        receipt,
        result: result.to_owned(),
    }
}
