//! A case, and the claims to make one.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use human_oversight_protocol::parameters::{Parameters, hex};
use human_oversight_protocol::receipt::{Assurance, Claims, Decision};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::signing::sign_by;

pub(crate) const AGENT: &str = "RefundAgent";
pub(crate) const ACTION: &str = "Refund an order";
pub(crate) const DECIDED_AT: i64 = 1_800_000_000;
pub(crate) const LAPSES_AT: i64 = DECIDED_AT + 900;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) agent: String,
    pub(crate) action: String,
    pub(crate) parameters: Map<String, Value>,
    pub(crate) now: i64,
    pub(crate) receipt: String,
    pub(crate) result: String,
}

pub(crate) fn parameters() -> Map<String, Value> {
    let parameters = json!({"order": "A-1", "amount": 49.9, "currency": "EUR"});
    parameters.as_object().unwrap().clone()
}

pub(crate) fn claims() -> Claims {
    Claims {
        iss: "https://gate.example.com".to_owned(),
        aud: AGENT.to_owned(),
        agent_object_id: None,
        sub: format!("{}.order-1", BASE64URL.encode(AGENT)),
        iat: DECIDED_AT,
        exp: Some(LAPSES_AT),
        correlation_id: "order-1".to_owned(),
        action_description: ACTION.to_owned(),
        parameters_digest: hex(&Parameters::new(&parameters()).unwrap().digest()),
        claimant: Some(hex(&[7; 32])),
        decision: Decision::Approved,
        comment_digest: None,
        question_digest: None,
        approver: "alice@example.com".to_owned(),
        assurance: Assurance::Link,
        approver_object_id: None,
        auth_time: None,
        auth_context: None,
        votes: Vec::new(),
        policy: None,
        handed_over: Vec::new(),
    }
}

pub(crate) fn header() -> Value {
    json!({"alg": "EdDSA", "typ": "oversight-receipt+jwt", "kid": "present"})
}

pub(crate) fn sign(claims: &Claims) -> String {
    sign_by(1, &header(), &serde_json::to_value(claims).unwrap())
}

/// The payload with one member more, or other than it was.
pub(crate) fn payload_with(name: &str, value: Value) -> Value {
    let mut payload = serde_json::to_value(claims()).unwrap();
    payload[name] = value;
    payload
}

pub(crate) fn header_with(name: &str, value: impl Into<Value>) -> Value {
    let mut header = header();
    header[name] = value.into();
    header
}

/// The case of a receipt that is held against the run which was approved.
pub(crate) fn case(name: &str, receipt: String, result: &str) -> Case {
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
