//! Receipts that the gate did not make: other headers, algorithms, signatures, payloads and forms.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE, URL_SAFE_NO_PAD as BASE64URL};
use human_oversight_protocol::parameters::hex;
use human_oversight_protocol::receipt::{Claims, Decision};
use ring::signature::KeyPair;
use ring::{digest, hmac};
use serde_json::{Value, json};

use super::case::{AGENT, Case, LAPSES_AT, case, claims, header, header_with, payload_with, sign};
use crate::permits::case as permit;
use crate::signing::{key, key_set, sign_by, sign_texts};

pub(super) fn cases() -> Vec<Case> {
    [
        other_headers(),
        other_keys(),
        other_algorithms(),
        other_signatures(),
        altered_payloads(),
        other_payloads(),
        other_forms(),
    ]
    .concat()
}

fn payload() -> Value {
    serde_json::to_value(claims()).unwrap()
}

fn all(result: &str, receipts: impl IntoIterator<Item = (&'static str, String)>) -> Vec<Case> {
    let receipts = receipts.into_iter();
    receipts
        .map(|(name, receipt)| case(name, receipt, result))
        .collect()
}

fn other_headers() -> Vec<Case> {
    let without = |name: &str| {
        let mut header = header();
        header.as_object_mut().unwrap().remove(name);
        sign_by(1, &header, &payload())
    };
    let with = |name: &str, value: Value| sign_by(1, &header_with(name, value), &payload());
    let text = |header: &str| sign_texts(header, &payload().to_string());
    let jwk = serde_json::to_value(&key_set().keys[0]).unwrap();
    let twice = r#"{"alg":"none","alg":"EdDSA","typ":"oversight-receipt+jwt","kid":"present"}"#;
    let prefixed = json!("application/oversight-receipt+jwt");
    let jku = json!("https://evil.example.com/keys");
    let receipts = [
        ("typ is missing", without("typ")),
        ("typ is JWT", with("typ", json!("JWT"))),
        (
            "typ is in another case",
            with("typ", json!("Oversight-Receipt+JWT")),
        ),
        ("typ has a prefix", with("typ", prefixed)),
        ("a permit as a receipt", permit::sign(&permit::claims())),
        (
            "the claims of a permit, typed as a receipt",
            sign_by(1, &header(), &permit::payload()),
        ),
        (
            "typ is that of a permit",
            with("typ", json!("oversight-permit+jwt")),
        ),
        (
            "typ is that of a grant",
            with("typ", json!("oversight-grant+jwt")),
        ),
        ("alg is missing", without("alg")),
        ("alg is in another case", with("alg", json!("eddsa"))),
        ("alg is Ed25519", with("alg", json!("Ed25519"))),
        ("alg is a list", with("alg", json!(["EdDSA"]))),
        ("kid is missing", without("kid")),
        ("kid is null", with("kid", json!(null))),
        ("the header brings its own key", with("jwk", jwk)),
        ("the header names an address of keys", with("jku", jku)),
        (
            "the header has critical extensions",
            with("crit", json!(["b64"])),
        ),
        ("the header has a member twice", text(twice)),
        ("the header is a list", text(r#"["EdDSA"]"#)),
        (
            "the header is a list of the right values",
            text(r#"["EdDSA","oversight-receipt+jwt","present"]"#),
        ),
    ];
    all("malformed", receipts)
}

fn other_keys() -> Vec<Case> {
    let by_kid = |seed, kid: &str| sign_by(seed, &header_with("kid", kid), &payload());
    let unknown = [
        ("kid is unknown", by_kid(1, "other")),
        ("kid is empty", by_kid(1, "")),
        ("kid is in another case", by_kid(1, "Present")),
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
        (
            "signed by the present key as the retired one",
            by_kid(1, "retired"),
        ),
    ];
    [all("unknown-key", unknown), all("bad-signature", bad)].concat()
}

fn other_algorithms() -> Vec<Case> {
    let unsigned = |alg: &str| {
        let header = BASE64URL.encode(header_with("alg", alg).to_string());
        format!("{header}.{}", BASE64URL.encode(payload().to_string()))
    };
    let none = unsigned("none");
    // The confusion that RFC 8725, section 2.1, warns of: the public key as the secret of an HMAC.
    let hs256 = |secret: &[u8]| {
        let signed = unsigned("HS256");
        let secret = hmac::Key::new(hmac::HMAC_SHA256, secret);
        let mac = hmac::sign(&secret, signed.as_bytes());
        format!("{signed}.{}", BASE64URL.encode(mac))
    };
    let key = key(1);
    let public = key.public_key().as_ref();
    let text = BASE64URL.encode(public);
    let signature = BASE64URL.encode(key.sign(none.as_bytes()));
    let es256 = format!("{}.{signature}", unsigned("ES256"));
    let receipts = [
        ("alg is none, without a signature", format!("{none}.")),
        (
            "alg is none, and it is signed",
            format!("{none}.{signature}"),
        ),
        ("alg is None", format!("{}.", unsigned("None"))),
        ("alg is HS256 by the bytes of the public key", hs256(public)),
        (
            "alg is HS256 by the text of the public key",
            hs256(text.as_bytes()),
        ),
        ("alg is HS256 by an empty secret", hs256(b"")),
        ("alg is ES256", es256),
    ];
    all("malformed", receipts)
}

fn other_signatures() -> Vec<Case> {
    let receipt = sign(&claims());
    let (signed, signature) = receipt.rsplit_once('.').unwrap();
    let bytes = BASE64URL.decode(signature).unwrap();
    let with = |bytes: &[u8]| format!("{signed}.{}", BASE64URL.encode(bytes));
    let mut flipped = bytes.clone();
    flipped[0] ^= 1;
    let hashed = digest::digest(&digest::SHA256, signed.as_bytes());
    let of_digest = key(1).sign(hashed.as_ref());
    let receipts = [
        ("one bit of the signature differs", with(&flipped)),
        ("the signature is empty", format!("{signed}.")),
        ("the signature is cut off", with(&bytes[..63])),
        (
            "the signature has a byte more",
            with(&[&*bytes, &[0]].concat()),
        ),
        ("the signature is all zeros", with(&[0; 64])),
        ("the signature is of the digest", with(of_digest.as_ref())),
        (
            "the signature's scalar is not reduced (RFC 8032, section 5.1.7)",
            with(&not_reduced(&bytes)),
        ),
    ];
    all("bad-signature", receipts)
}

/// The signature with the order of the group added to its scalar, which lenient verifiers accept.
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

fn altered_payloads() -> Vec<Case> {
    let receipt = sign(&claims());
    let parts: Vec<&str> = receipt.split('.').collect();
    let altered = |name: &str, value: Value| {
        let payload = BASE64URL.encode(payload_with(name, value).to_string());
        format!("{}.{payload}.{}", parts[0], parts[2])
    };
    let rejection = sign(&Claims {
        decision: Decision::Rejected,
        ..claims()
    });
    let (_, signature) = rejection.rsplit_once('.').unwrap();
    let receipts = [
        (
            "the digest was altered",
            altered("parametersDigest", json!(hex(&[9; 32]))),
        ),
        (
            "the lapse was altered",
            altered("exp", json!(LAPSES_AT + 86_400)),
        ),
        (
            "the approver was altered",
            altered("approver", json!("bob@example.com")),
        ),
        (
            "a rejection was altered to an approval",
            format!("{}.{}.{signature}", parts[0], parts[1]),
        ),
    ];
    all("bad-signature", receipts)
}

fn other_payloads() -> Vec<Case> {
    let with = |name: &str, value: Value| sign_by(1, &header(), &payload_with(name, value));
    let text = |payload: &str| sign_texts(&header().to_string(), payload);
    let upper_case = json!(claims().parameters_digest.to_uppercase());
    let mut incomplete = payload();
    incomplete
        .as_object_mut()
        .unwrap()
        .remove("parametersDigest");
    let twice = r#"{"decision":"Rejected","#;
    let twice = payload().to_string().replacen('{', twice, 1);
    let receipts = [
        (
            "the decision is in another case",
            with("decision", json!("approved")),
        ),
        ("the decision is unknown", with("decision", json!("Maybe"))),
        (
            "the assurance is unknown",
            with("assurance", json!("hearsay")),
        ),
        (
            "the lapse is a text",
            with("exp", json!(LAPSES_AT.to_string())),
        ),
        (
            "the lapse is a fraction",
            with("exp", json!(LAPSES_AT as f64 + 0.5)),
        ),
        ("the audience is a list", with("aud", json!([AGENT]))),
        ("a claim is missing", text(&incomplete.to_string())),
        ("a claim is there twice", text(&twice)),
        ("the payload is a list", text("[]")),
        (
            "the payload has something behind it",
            text(&format!("{} {{}}", payload())),
        ),
        ("the payload is no JSON", text("Approved")),
    ];
    let upper_case = [(
        "the digest is in upper case",
        with("parametersDigest", upper_case),
    )];
    [
        all("other-parameters", upper_case),
        all("malformed", receipts),
    ]
    .concat()
}

fn other_forms() -> Vec<Case> {
    let receipt = sign(&claims());
    let parts: Vec<&str> = receipt.split('.').collect();
    let signature = BASE64URL.decode(parts[2]).unwrap();
    let signed = format!("{}.{}", parts[0], parts[1]);
    let with = |signature: String| format!("{signed}.{signature}");
    let json = json!({"protected": parts[0], "payload": parts[1], "signature": parts[2]});
    // 64 bytes leave four bits of the last digit unused: they must be zero (RFC 4648, section 3.5), and
    // the next digit has one of them set.
    let (rest, last) = receipt.split_at(receipt.len() - 1);
    let unused_bits = format!("{rest}{}", char::from(last.as_bytes()[0] + 1));
    let malformed = [
        ("nothing", String::new()),
        ("one part", parts[0].to_owned()),
        ("two parts", signed.clone()),
        ("the JSON serialization of a JWS", json.to_string()),
        ("the signature is padded", with(URL_SAFE.encode(&signature))),
        (
            "the signature is in the other alphabet",
            with(STANDARD.encode(&signature)),
        ),
        ("unused bits of the signature are set", unused_bits),
        ("a space before", format!(" {receipt}")),
        ("a line end behind", format!("{receipt}\n")),
        ("a scheme before", format!("Bearer {receipt}")),
    ];
    let bad = [
        ("four parts", format!("{receipt}.{}", parts[2])),
        ("without the payload", format!("{}..{}", parts[0], parts[2])),
    ];
    [all("malformed", malformed), all("bad-signature", bad)].concat()
}
