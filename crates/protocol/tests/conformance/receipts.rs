//! Receipts, good and bad. `HO_UPDATE_CONFORMANCE=1 cargo test -p human-oversight-protocol --all-features
//! --test conformance` writes `conformance/receipts.json`; without it the file must be what would be
//! written. The keys are those of this file, and used nowhere else.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE, URL_SAFE_NO_PAD as BASE64URL};
use human_oversight_protocol::parameters::{Parameters, hex};
use human_oversight_protocol::receipt::{
    Assurance, Claims, Decision, NotPermitted, ReceiptError, Run, verify,
};
use human_oversight_protocol::types::{Key, KeySet};
use ring::signature::{Ed25519KeyPair, KeyPair};
use ring::{digest, hmac};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::{path, read};

const AGENT: &str = "RefundAgent";
const ACTION: &str = "Refund an order";
const DECIDED_AT: i64 = 1_800_000_000;
const LAPSES_AT: i64 = DECIDED_AT + 900;

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Vectors {
    keys: KeySet,
    cases: Vec<Case>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    agent: String,
    action: String,
    parameters: Map<String, Value>,
    now: i64,
    receipt: String,
    result: String,
}

#[test]
fn receipts_permit_what_was_approved_alone() {
    let Vectors { keys, cases } = read("receipts.json");
    assert!(cases.len() >= 50, "{}", cases.len());
    for case in cases {
        assert_eq!(result(&case, &keys), case.result, "{}", case.name);
    }
}

#[test]
fn the_file_is_what_the_keys_sign() {
    let vectors = Vectors {
        keys: key_set(),
        cases: cases(),
    };
    if std::env::var_os("HO_UPDATE_CONFORMANCE").is_some() {
        std::fs::write(path("receipts.json"), text(&vectors)).unwrap();
    }
    let written = std::fs::read_to_string(path("receipts.json")).unwrap();
    assert_eq!(written, text(&vectors));
}

/// One key and one case on a line.
fn text(vectors: &Vectors) -> String {
    fn lines<T: Serialize>(values: &[T]) -> String {
        let lines = values
            .iter()
            .map(|value| format!("    {}", serde_json::to_string(value).unwrap()));
        lines.collect::<Vec<_>>().join(",\n")
    }
    let (keys, cases) = (lines(&vectors.keys.keys), lines(&vectors.cases));
    format!("{{\n  \"keys\": {{\"keys\": [\n{keys}\n  ]}},\n  \"cases\": [\n{cases}\n  ]\n}}\n")
}

fn result(case: &Case, keys: &KeySet) -> &'static str {
    let claims = match verify(&case.receipt, keys) {
        Ok(claims) => claims,
        Err(ReceiptError::Malformed) => return "malformed",
        Err(ReceiptError::UnknownKey) => return "unknown-key",
        Err(ReceiptError::BadSignature) => return "bad-signature",
        Err(other) => panic!("{other}"),
    };
    let parameters = Parameters::new(&case.parameters).unwrap();
    let run = Run {
        agent: &case.agent,
        action: &case.action,
        parameters: &parameters,
    };
    match claims.permit(&run, case.now) {
        Ok(()) => "permitted",
        Err(NotPermitted::OtherAgent) => "other-agent",
        Err(NotPermitted::OtherAction) => "other-action",
        Err(NotPermitted::OtherParameters) => "other-parameters",
        Err(NotPermitted::Rejected) => "rejected",
        Err(NotPermitted::Lapsed) => "lapsed",
        Err(other) => panic!("{other}"),
    }
}

/// The key whose seed is this byte, 32 times.
fn key(seed: u8) -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap()
}

/// The gate's present key and a retired one; then keys that must not be used for a receipt.
fn key_set() -> KeySet {
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

fn parameters() -> Map<String, Value> {
    let parameters = json!({"order": "A-1", "amount": 49.9, "currency": "EUR"});
    parameters.as_object().unwrap().clone()
}

fn claims() -> Claims {
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

fn header() -> Value {
    json!({"alg": "EdDSA", "typ": "oversight-receipt+jwt", "kid": "present"})
}

/// Header and payload as texts, signed by the present key.
fn sign_texts(header: &str, payload: &str) -> String {
    let signed = format!("{}.{}", BASE64URL.encode(header), BASE64URL.encode(payload));
    let signature = key(1).sign(signed.as_bytes());
    format!("{signed}.{}", BASE64URL.encode(signature))
}

fn sign_by(seed: u8, header: &Value, payload: &Value) -> String {
    let signed = format!(
        "{}.{}",
        BASE64URL.encode(header.to_string()),
        BASE64URL.encode(payload.to_string())
    );
    let signature = key(seed).sign(signed.as_bytes());
    format!("{signed}.{}", BASE64URL.encode(signature))
}

fn sign(claims: &Claims) -> String {
    sign_by(1, &header(), &serde_json::to_value(claims).unwrap())
}

/// The payload with one member more, or other than it was.
fn payload_with(name: &str, value: Value) -> Value {
    let mut payload = serde_json::to_value(claims()).unwrap();
    payload[name] = value;
    payload
}

fn header_with(name: &str, value: impl Into<Value>) -> Value {
    let mut header = header();
    header[name] = value.into();
    header
}

/// The case of a receipt that is held against the run which was approved.
fn case(name: &str, receipt: String, result: &str) -> Case {
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

fn cases() -> Vec<Case> {
    [
        permitted(),
        other_runs(),
        other_headers(),
        other_algorithms(),
        other_signatures(),
        other_payloads(),
        other_forms(),
    ]
    .concat()
}

fn permitted() -> Vec<Case> {
    let rejected = Claims {
        exp: None,
        decision: Decision::Rejected,
        ..claims()
    };
    let signed_in = Claims {
        assurance: Assurance::Entra,
        approver_object_id: Some("11111111-2222-3333-4444-555555555555".to_owned()),
        comment_digest: Some(hex(&[8; 32])),
        claimant: None,
        ..claims()
    };
    let retired = header_with("kid", "retired");
    let payload = serde_json::to_value(claims()).unwrap();
    let endless = Claims {
        exp: None,
        ..claims()
    };
    let at = |name, now, result| Case {
        now,
        ..case(name, sign(&claims()), result)
    };
    vec![
        case("an approval", sign(&claims()), "permitted"),
        case(
            "an approval by a signed-in person",
            sign(&signed_in),
            "permitted",
        ),
        case(
            "signed by a retired key",
            sign_by(2, &retired, &payload),
            "permitted",
        ),
        case(
            "a claim that this version does not know is ignored",
            sign_by(1, &header(), &payload_with("votes", json!([]))),
            "permitted",
        ),
        at("the last second", LAPSES_AT - 1, "permitted"),
        at("the second of its lapse", LAPSES_AT, "lapsed"),
        at("long after its lapse", LAPSES_AT + 86_400, "lapsed"),
        case("an approval without a lapse", sign(&endless), "lapsed"),
        case("a rejection", sign(&rejected), "rejected"),
    ]
}

fn other_runs() -> Vec<Case> {
    let receipt = sign(&claims());
    let approved = || case("", receipt.clone(), "");
    let run_with = |name: &str, changed: Value| {
        let mut run = Case {
            name: format!("run with {name}"),
            result: "other-parameters".to_owned(),
            ..approved()
        };
        let changed = changed.as_object().unwrap().clone();
        run.parameters.extend(changed);
        run
    };
    let mut without = Case {
        name: "run without one of the parameters".to_owned(),
        result: "other-parameters".to_owned(),
        ..approved()
    };
    without.parameters.remove("currency");
    let agent = |name: &str, agent: &str| Case {
        agent: agent.to_owned(),
        ..case(name, receipt.clone(), "other-agent")
    };
    let action = |name: &str, action: &str| Case {
        action: action.to_owned(),
        ..case(name, receipt.clone(), "other-action")
    };
    vec![
        without,
        run_with("another amount", json!({"amount": 4990})),
        run_with("an amount as a text", json!({"amount": "49.9"})),
        run_with("one parameter more", json!({"note": null})),
        run_with("a look-alike letter", json!({"order": "\u{410}-1"})),
        agent("run by another agent", "PaymentAgent"),
        agent("run by an agent whose name differs in case", "refundagent"),
        action("run of another action", "Delete User Account"),
        action("run of an action with a space more", "Refund an order "),
    ]
}

fn other_headers() -> Vec<Case> {
    let payload = serde_json::to_value(claims()).unwrap();
    let signed = |header: &Value| sign_by(1, header, &payload);
    let without = |name: &str| {
        let mut header = header();
        header.as_object_mut().unwrap().remove(name);
        signed(&header)
    };
    let with = |name: &str, value: Value| signed(&header_with(name, value));
    let jwk = serde_json::to_value(&key_set().keys[0]).unwrap();
    vec![
        case("typ is missing", without("typ"), "malformed"),
        case("typ is JWT", with("typ", json!("JWT")), "malformed"),
        case(
            "typ is in another case",
            with("typ", json!("Oversight-Receipt+JWT")),
            "malformed",
        ),
        case(
            "typ has a prefix",
            with("typ", json!("application/oversight-receipt+jwt")),
            "malformed",
        ),
        case(
            "typ is that of a permit",
            with("typ", json!("oversight-permit+jwt")),
            "malformed",
        ),
        case("alg is missing", without("alg"), "malformed"),
        case(
            "alg is in another case",
            with("alg", json!("eddsa")),
            "malformed",
        ),
        case("alg is Ed25519", with("alg", json!("Ed25519")), "malformed"),
        case("alg is a list", with("alg", json!(["EdDSA"])), "malformed"),
        case("kid is missing", without("kid"), "malformed"),
        case("kid is null", with("kid", json!(null)), "malformed"),
        case("kid is unknown", with("kid", json!("other")), "unknown-key"),
        case("kid is empty", with("kid", json!("")), "unknown-key"),
        case(
            "kid is in another case",
            with("kid", json!("Present")),
            "unknown-key",
        ),
        case(
            "the header brings its own key",
            with("jwk", jwk),
            "malformed",
        ),
        case(
            "the header names an address of keys",
            with("jku", json!("https://evil.example.com/keys")),
            "malformed",
        ),
        case(
            "the header has critical extensions",
            with("crit", json!(["b64"])),
            "malformed",
        ),
        case(
            "the header has a member twice",
            sign_texts(
                r#"{"alg":"none","alg":"EdDSA","typ":"oversight-receipt+jwt","kid":"present"}"#,
                &payload.to_string(),
            ),
            "malformed",
        ),
        case(
            "the header is a list",
            sign_texts(r#"["EdDSA"]"#, &payload.to_string()),
            "malformed",
        ),
    ]
}

fn other_algorithms() -> Vec<Case> {
    let payload = BASE64URL.encode(serde_json::to_vec(&claims()).unwrap());
    let unsigned = |alg: &str| {
        let header = BASE64URL.encode(header_with("alg", alg).to_string());
        format!("{header}.{payload}")
    };
    let none = unsigned("none");
    // The confusion that RFC 8725, section 2.1, warns of: the public key as the secret of an HMAC.
    let hs256 = |secret: &[u8]| {
        let signed = unsigned("HS256");
        let secret = hmac::Key::new(hmac::HMAC_SHA256, secret);
        let mac = hmac::sign(&secret, signed.as_bytes());
        format!("{signed}.{}", BASE64URL.encode(mac))
    };
    let public = key(1).public_key().as_ref().to_owned();
    let signature = BASE64URL.encode(key(1).sign(none.as_bytes()));
    vec![
        case(
            "alg is none, without a signature",
            format!("{none}."),
            "malformed",
        ),
        case(
            "alg is none, and it is signed",
            format!("{none}.{signature}"),
            "malformed",
        ),
        case("alg is None", format!("{}.", unsigned("None")), "malformed"),
        case(
            "alg is HS256 by the bytes of the public key",
            hs256(&public),
            "malformed",
        ),
        case(
            "alg is HS256 by the text of the public key",
            hs256(BASE64URL.encode(&public).as_bytes()),
            "malformed",
        ),
        case("alg is HS256 by an empty secret", hs256(b""), "malformed"),
        case(
            "alg is ES256",
            format!("{}.{signature}", unsigned("ES256")),
            "malformed",
        ),
    ]
}

fn other_signatures() -> Vec<Case> {
    let payload = serde_json::to_value(claims()).unwrap();
    let receipt = sign(&claims());
    let (signed, signature) = receipt.rsplit_once('.').unwrap();
    let bytes = BASE64URL.decode(signature).unwrap();
    let with = |bytes: &[u8]| format!("{signed}.{}", BASE64URL.encode(bytes));
    let mut flipped = bytes.clone();
    flipped[0] ^= 1;
    let hashed = digest::digest(&digest::SHA256, signed.as_bytes());
    let of_digest = key(1).sign(hashed.as_ref());
    let by_kid = |seed, kid: &str| sign_by(seed, &header_with("kid", kid), &payload);
    vec![
        case(
            "signed by a stranger's key",
            sign_by(3, &header(), &payload),
            "bad-signature",
        ),
        case(
            "signed by the retired key as the present one",
            sign_by(2, &header(), &payload),
            "bad-signature",
        ),
        case(
            "signed by the present key as the retired one",
            by_kid(1, "retired"),
            "bad-signature",
        ),
        case(
            "the named key is of another type",
            by_kid(4, "ec"),
            "unknown-key",
        ),
        case(
            "the named key is of another curve",
            by_kid(5, "x25519"),
            "unknown-key",
        ),
        case(
            "the named key cannot be read",
            by_kid(6, "not-base64"),
            "unknown-key",
        ),
        case(
            "one bit of the signature differs",
            with(&flipped),
            "bad-signature",
        ),
        case(
            "the signature is empty",
            format!("{signed}."),
            "bad-signature",
        ),
        case(
            "the signature is cut off",
            with(&bytes[..63]),
            "bad-signature",
        ),
        case(
            "the signature has a byte more",
            with(&[&*bytes, &[0]].concat()),
            "bad-signature",
        ),
        case(
            "the signature is all zeros",
            with(&[0; 64]),
            "bad-signature",
        ),
        case(
            "the signature is of the digest",
            with(of_digest.as_ref()),
            "bad-signature",
        ),
        case(
            "the signature's scalar is not reduced (RFC 8032, section 5.1.7)",
            with(&not_reduced(&bytes)),
            "bad-signature",
        ),
    ]
}

/// The signature with the order of the group added to its scalar, which some verifiers take for the same.
fn not_reduced(signature: &[u8]) -> Vec<u8> {
    const ORDER: [u8; 32] = [
        0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde,
        0x14, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
    ];
    let (point, scalar) = signature.split_at(32);
    let mut carry = 0;
    let scalar = scalar.iter().zip(ORDER).map(|(byte, order)| {
        carry = u16::from(*byte) + u16::from(order) + (carry >> 8);
        (carry & 0xff) as u8
    });
    point.iter().copied().chain(scalar).collect()
}

fn other_payloads() -> Vec<Case> {
    let receipt = sign(&claims());
    let (header_part, rest) = receipt.split_once('.').unwrap();
    let (_, signature) = rest.split_once('.').unwrap();
    let altered = |name: &str, value: Value| {
        let payload = BASE64URL.encode(payload_with(name, value).to_string());
        format!("{header_part}.{payload}.{signature}")
    };
    let signed = |name: &str, value: Value| sign_by(1, &header(), &payload_with(name, value));
    let mut incomplete = serde_json::to_value(claims()).unwrap();
    incomplete
        .as_object_mut()
        .unwrap()
        .remove("parametersDigest");
    let twice =
        serde_json::to_string(&claims())
            .unwrap()
            .replacen('{', r#"{"decision":"Rejected","#, 1);
    vec![
        case(
            "the digest was altered",
            altered("parametersDigest", json!(hex(&[9; 32]))),
            "bad-signature",
        ),
        case(
            "the lapse was altered",
            altered("exp", json!(LAPSES_AT + 86_400)),
            "bad-signature",
        ),
        case(
            "the approver was altered",
            altered("approver", json!("bob@example.com")),
            "bad-signature",
        ),
        case(
            "a rejection was altered to an approval",
            altered_rejection(),
            "bad-signature",
        ),
        case(
            "the digest is in upper case",
            signed(
                "parametersDigest",
                json!(claims().parameters_digest.to_uppercase()),
            ),
            "other-parameters",
        ),
        case(
            "the decision is in another case",
            signed("decision", json!("approved")),
            "malformed",
        ),
        case(
            "the decision is unknown",
            signed("decision", json!("Maybe")),
            "malformed",
        ),
        case(
            "the assurance is unknown",
            signed("assurance", json!("hearsay")),
            "malformed",
        ),
        case(
            "the lapse is a text",
            signed("exp", json!(LAPSES_AT.to_string())),
            "malformed",
        ),
        case(
            "the lapse is a fraction",
            signed("exp", json!(LAPSES_AT as f64 + 0.5)),
            "malformed",
        ),
        case(
            "the audience is a list",
            signed("aud", json!([AGENT])),
            "malformed",
        ),
        case(
            "a claim is missing",
            sign_by(1, &header(), &incomplete),
            "malformed",
        ),
        case(
            "a claim is there twice",
            sign_texts(&header().to_string(), &twice),
            "malformed",
        ),
        case(
            "the payload is a list",
            sign_texts(&header().to_string(), "[]"),
            "malformed",
        ),
        case(
            "the payload is no JSON",
            sign_texts(&header().to_string(), "Approved"),
            "malformed",
        ),
    ]
}

fn altered_rejection() -> String {
    let rejection = Claims {
        decision: Decision::Rejected,
        ..claims()
    };
    let signature = sign(&rejection).rsplit_once('.').unwrap().1.to_owned();
    let receipt = sign(&claims());
    format!("{}.{signature}", receipt.rsplit_once('.').unwrap().0)
}

fn other_forms() -> Vec<Case> {
    let receipt = sign(&claims());
    let parts: Vec<&str> = receipt.split('.').collect();
    let signature = BASE64URL.decode(parts[2]).unwrap();
    let signed = format!("{}.{}", parts[0], parts[1]);
    let json = json!({"protected": parts[0], "payload": parts[1], "signature": parts[2]});
    // 64 bytes leave four bits of the last digit unused: they must be zero (RFC 4648, section 3.5), and
    // the next digit has one of them set.
    let (rest, last) = receipt.split_at(receipt.len() - 1);
    let unused_bits = format!("{rest}{}", char::from(last.as_bytes()[0] + 1));
    vec![
        case("nothing", String::new(), "malformed"),
        case("one part", parts[0].to_owned(), "malformed"),
        case("two parts", signed.clone(), "malformed"),
        case(
            "four parts",
            format!("{receipt}.{}", parts[2]),
            "bad-signature",
        ),
        case(
            "without the payload",
            format!("{}..{}", parts[0], parts[2]),
            "bad-signature",
        ),
        case(
            "the JSON serialization of a JWS",
            json.to_string(),
            "malformed",
        ),
        case(
            "the signature is padded",
            format!("{signed}.{}", URL_SAFE.encode(&signature)),
            "malformed",
        ),
        case(
            "the signature is in the other alphabet",
            format!("{signed}.{}", STANDARD.encode(&signature)),
            "malformed",
        ),
        case(
            "unused bits of the signature are set",
            unused_bits,
            "malformed",
        ),
        case("a space before", format!(" {receipt}"), "malformed"),
        case("a line end behind", format!("{receipt}\n"), "malformed"),
        case("a scheme before", format!("Bearer {receipt}"), "malformed"),
    ]
}
