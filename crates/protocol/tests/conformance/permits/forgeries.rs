//! Permits that the gate did not make, and other things that it signed.

use base64::Engine;
use base64::engine::general_purpose::{URL_SAFE, URL_SAFE_NO_PAD as BASE64URL};
use human_oversight_protocol::parameters::hex;
use ring::hmac;
use ring::signature::KeyPair;
use serde_json::{Value, json};

use super::case::{Case, case, claims, header, header_with, payload, payload_with, sign};
use crate::receipts::case as receipt;
use crate::signing::{key, key_set, sign_by, sign_texts};

pub(super) fn cases() -> Vec<Case> {
    [
        other_types(),
        other_headers(),
        other_keys(),
        other_algorithms(),
        altered(),
        other_payloads(),
        other_forms(),
    ]
    .concat()
}

fn all(result: &str, permits: impl IntoIterator<Item = (&'static str, String)>) -> Vec<Case> {
    let permits = permits.into_iter();
    permits
        .map(|(name, permit)| case(name, permit, result))
        .collect()
}

/// Every other thing that the receipt key signs, or may sign one day, is no permit.
fn other_types() -> Vec<Case> {
    let typed = |typ: &str| sign_by(1, &header_with("typ", typ), &payload());
    let mut untyped = header();
    untyped.as_object_mut().unwrap().remove("typ");
    let decided = serde_json::to_value(receipt::claims()).unwrap();
    let permits = [
        (
            "the receipt as the permit",
            receipt::sign(&receipt::claims()),
        ),
        (
            "the claims of a receipt, typed as a permit",
            sign_by(1, &header(), &decided),
        ),
        ("typ is that of a receipt", typed("oversight-receipt+jwt")),
        ("typ is that of a vote", typed("oversight-vote+jwt")),
        (
            "typ is that of a revocation",
            typed("oversight-revocation+jwt"),
        ),
        ("typ is that of a grant", typed("oversight-grant+jwt")),
        ("typ is JWT", typed("JWT")),
        ("typ is empty", typed("")),
        ("typ is in another case", typed("Oversight-Permit+JWT")),
        (
            "typ has a prefix",
            typed("application/oversight-permit+jwt"),
        ),
        ("typ has a space behind", typed("oversight-permit+jwt ")),
        ("typ is missing", sign_by(1, &untyped, &payload())),
        (
            "typ is a list",
            sign_by(
                1,
                &header_with("typ", json!(["oversight-permit+jwt"])),
                &payload(),
            ),
        ),
    ];
    all("malformed", permits)
}

fn other_headers() -> Vec<Case> {
    let with = |name: &str, value: Value| sign_by(1, &header_with(name, value), &payload());
    let text = |header: &str| sign_texts(header, &payload().to_string());
    let jwk = serde_json::to_value(&key_set().keys[0]).unwrap();
    let twice = r#"{"alg":"EdDSA","typ":"oversight-receipt+jwt","typ":"oversight-permit+jwt","kid":"present"}"#;
    let permits = [
        ("the header brings its own key", with("jwk", jwk)),
        (
            "the header names an address of keys",
            with("jku", json!("https://evil.example.com/keys")),
        ),
        (
            "the header has critical extensions",
            with("crit", json!(["b64"])),
        ),
        ("kid is null", with("kid", json!(null))),
        ("the header has typ twice", text(twice)),
        (
            "the header is a list of the right values",
            text(r#"["EdDSA","oversight-permit+jwt","present"]"#),
        ),
        (
            "the header has something behind it",
            text(&format!("{} {{}}", header())),
        ),
    ];
    all("malformed", permits)
}

fn other_keys() -> Vec<Case> {
    let by_kid = |seed, kid: &str| sign_by(seed, &header_with("kid", kid), &payload());
    let unknown = [
        ("kid is unknown", by_kid(1, "other")),
        ("kid is empty", by_kid(1, "")),
        ("the named key is of another type", by_kid(4, "ec")),
        ("the named key is of another curve", by_kid(5, "x25519")),
        ("the named key cannot be read", by_kid(6, "not-base64")),
    ];
    let bad = [
        ("signed by a stranger's key", by_kid(3, "present")),
        (
            "signed by the retired key as the present one",
            by_kid(2, "present"),
        ),
    ];
    [all("unknown-key", unknown), all("bad-signature", bad)].concat()
}

fn other_algorithms() -> Vec<Case> {
    let unsigned = |alg: &str| {
        let header = BASE64URL.encode(header_with("alg", alg).to_string());
        format!("{header}.{}", BASE64URL.encode(payload().to_string()))
    };
    let key = key(1);
    let none = unsigned("none");
    let signature = BASE64URL.encode(key.sign(none.as_bytes()));
    // The confusion that RFC 8725, section 2.1, warns of: the public key as the secret of an HMAC.
    let hs256 = unsigned("HS256");
    let secret = hmac::Key::new(hmac::HMAC_SHA256, key.public_key().as_ref());
    let mac = BASE64URL.encode(hmac::sign(&secret, hs256.as_bytes()));
    let permits = [
        ("alg is none, without a signature", format!("{none}.")),
        (
            "alg is none, and it is signed",
            format!("{none}.{signature}"),
        ),
        (
            "alg is HS256 by the bytes of the public key",
            format!("{hs256}.{mac}"),
        ),
    ];
    all("malformed", permits)
}

fn altered() -> Vec<Case> {
    let permit = sign(&claims());
    let parts: Vec<&str> = permit.split('.').collect();
    let altered = |name: &str, value: Value| {
        let payload = BASE64URL.encode(payload_with(name, value).to_string());
        format!("{}.{payload}.{}", parts[0], parts[2])
    };
    let mut signature = BASE64URL.decode(parts[2]).unwrap();
    signature[0] ^= 1;
    let flipped = BASE64URL.encode(&signature);
    let decided = receipt::sign(&receipt::claims());
    let (_, of_receipt) = decided.rsplit_once('.').unwrap();
    let another = "fedcba9876543210fedcba9876543210";
    let permits = [
        ("the nonce was altered", altered("jti", json!(another))),
        (
            "the digest was altered",
            altered("parametersDigest", json!(hex(&[9; 32]))),
        ),
        (
            "the receipt was altered",
            altered("receiptDigest", json!(hex(&[9; 32]))),
        ),
        (
            "the expiry was altered",
            altered("exp", json!(receipt::LAPSES_AT + 86_400)),
        ),
        (
            "the signature is that of the receipt",
            format!("{}.{}.{of_receipt}", parts[0], parts[1]),
        ),
        (
            "one bit of the signature differs",
            format!("{}.{}.{flipped}", parts[0], parts[1]),
        ),
        (
            "the signature is empty",
            format!("{}.{}.", parts[0], parts[1]),
        ),
    ];
    all("bad-signature", permits)
}

fn other_payloads() -> Vec<Case> {
    let with = |name: &str, value: Value| sign_by(1, &header(), &payload_with(name, value));
    let text = |payload: &str| sign_texts(&header().to_string(), payload);
    let without = |name: &str| {
        let mut payload = payload();
        payload.as_object_mut().unwrap().remove(name);
        text(&payload.to_string())
    };
    let twice = r#"{"jti":"fedcba9876543210fedcba9876543210","#;
    let twice = payload().to_string().replacen('{', twice, 1);
    let permits = [
        ("iss is missing", without("iss")),
        ("sub is missing", without("sub")),
        ("jti is missing", without("jti")),
        (
            "the digest of the parameters is missing",
            without("parametersDigest"),
        ),
        (
            "the digest of the receipt is missing",
            without("receiptDigest"),
        ),
        ("iat is missing", without("iat")),
        ("exp is missing", without("exp")),
        ("exp is null", with("exp", json!(null))),
        ("exp is a text", with("exp", json!("1800000900"))),
        ("iat is a fraction", with("iat", json!(1_800_000_060.5))),
        ("jti is a list", with("jti", json!([super::case::NONCE]))),
        ("aud is a list", with("aud", json!([receipt::AGENT]))),
        ("jti is there twice", text(&twice)),
        ("the payload is a list", text("[]")),
        (
            "the payload has something behind it",
            text(&format!("{} {{}}", payload())),
        ),
        ("the payload is no JSON", text("Granted")),
    ];
    all("malformed", permits)
}

fn other_forms() -> Vec<Case> {
    let permit = sign(&claims());
    let parts: Vec<&str> = permit.split('.').collect();
    let signature = BASE64URL.decode(parts[2]).unwrap();
    let json = json!({"protected": parts[0], "payload": parts[1], "signature": parts[2]});
    let padded = format!("{}.{}.{}", parts[0], parts[1], URL_SAFE.encode(&signature));
    let malformed = [
        ("nothing", String::new()),
        ("two parts", format!("{}.{}", parts[0], parts[1])),
        ("the JSON serialization of a JWS", json.to_string()),
        ("the signature is padded", padded),
        ("a space before", format!(" {permit}")),
        ("a line end behind", format!("{permit}\n")),
    ];
    let bad = [
        ("four parts", format!("{permit}.{}", parts[2])),
        (
            "the receipt behind the permit",
            format!("{permit}.{}", receipt::sign(&receipt::claims())),
        ),
    ];
    [all("malformed", malformed), all("bad-signature", bad)].concat()
}
