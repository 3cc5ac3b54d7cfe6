//! Callbacks, good and bad, in `conformance/callbacks.json`, which `clients/python/tests/vectors.py` writes.

use std::collections::BTreeMap;

use human_oversight_protocol::callback::{Body, NotVerified, Secret};
use serde::Deserialize;

use crate::{bytes, read};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Vectors {
    secret: String,
    now: i64,
    secrets: Vec<SecretText>,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SecretText {
    name: String,
    secret: String,
    valid: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    headers: BTreeMap<String, String>,
    body: Option<String>,
    hex: Option<String>,
    result: String,
    callback: Option<Callback>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Callback {
    /// What a client makes of the other two.
    #[serde(rename = "id")]
    _id: String,
    agent_name: String,
    correlation_id: String,
    state: Option<String>,
}

#[test]
fn a_secret_has_24_to_64_bytes() {
    for case in read::<Vectors>("callbacks.json").secrets {
        let parsed = Secret::parse(&case.secret);
        assert_eq!(parsed.is_ok(), case.valid, "{}", case.name);
        if let Ok(secret) = parsed {
            assert_eq!(format!("{secret:?}"), "Secret");
        }
    }
}

#[test]
fn a_callback_counts_only_as_it_was_signed_and_only_now() {
    let vectors: Vectors = read("callbacks.json");
    let secret = Secret::parse(&vectors.secret).unwrap();
    assert!(vectors.cases.len() >= 30, "{}", vectors.cases.len());
    for case in vectors.cases {
        let body = case.body.map(String::into_bytes);
        let body = body.unwrap_or_else(|| bytes(&case.hex.unwrap()));
        let verified = secret.verify(&case.headers, &body, vectors.now);
        assert_eq!(result(&verified), case.result, "{}", case.name);
        let expected = case
            .callback
            .map(|it| (it.agent_name, it.correlation_id, it.state));
        let data = verified.ok().map(|it| it.data);
        let data = data.map(|it| (it.agent_name, it.correlation_id, it.state));
        assert_eq!(data, expected, "{}", case.name);
    }
}

fn result(verified: &Result<Body, NotVerified>) -> &'static str {
    match verified {
        Ok(_) => "verified",
        Err(NotVerified::Header(_)) => "bad-header",
        Err(NotVerified::NotFresh) => "not-fresh",
        Err(NotVerified::BadSignature) => "bad-signature",
        Err(NotVerified::Malformed(_)) => "malformed",
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn a_header_that_is_there_twice_counts_for_nothing() {
    let secret = Secret::generate();
    let body =
        br#"{"type":"request.decided","timestamp":"","data":{"agentName":"A","correlationId":"C",
        "sequence":1,"status":"Approved"}}"#;
    let signature = secret.sign("1", "1800000000", body);
    let headers = [
        ("Webhook-Id", "1"),
        ("webhook-timestamp", "1800000000"),
        ("webhook-signature", &signature),
    ];
    assert!(secret.verify(headers, body, 1_800_000_000).is_ok());
    for again in headers {
        let headers = headers.into_iter().chain([again]);
        let refused = secret.verify(headers, body, 1_800_000_000);
        assert_eq!(result(&refused), "bad-header", "{}", again.0);
    }
}
