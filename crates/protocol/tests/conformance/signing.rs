//! Keys and signatures for cases, and how their file is written. The keys are used nowhere else.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use human_oversight_protocol::types::{Key, KeyLife, KeySet};
use ring::signature::{Ed25519KeyPair, KeyPair};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::path;

/// The key whose seed is this byte, 32 times.
pub(crate) fn key(seed: u8) -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap()
}

/// The gate's present key and a retired one; then keys that must not be used for a receipt.
pub(crate) fn key_set() -> KeySet {
    let public = |kid: &str, seed| Key {
        kty: "OKP".to_owned(),
        crv: "Ed25519".to_owned(),
        alg: "EdDSA".to_owned(),
        usage: "sig".to_owned(),
        kid: kid.to_owned(),
        x: BASE64URL.encode(key(seed).public_key()),
        y: None,
        life: KeyLife::default(),
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
        issuers: Vec::new(),
    }
}

/// Header and payload as texts, signed by the present key.
pub(crate) fn sign_texts(header: &str, payload: &str) -> String {
    let signed = format!("{}.{}", BASE64URL.encode(header), BASE64URL.encode(payload));
    let signature = key(1).sign(signed.as_bytes());
    format!("{signed}.{}", BASE64URL.encode(signature))
}

pub(crate) fn sign_by(seed: u8, header: &Value, payload: &Value) -> String {
    let signed = format!(
        "{}.{}",
        BASE64URL.encode(header.to_string()),
        BASE64URL.encode(payload.to_string())
    );
    let signature = key(seed).sign(signed.as_bytes());
    format!("{signed}.{}", BASE64URL.encode(signature))
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Vectors<C> {
    pub(crate) keys: KeySet,
    pub(crate) cases: Vec<C>,
}

/// Fails unless the file is what the keys sign; with `HO_UPDATE_CONFORMANCE` it is written first.
pub(crate) fn check_file<C: Serialize>(file: &str, cases: Vec<C>) {
    let text = text(&key_set().keys, &cases);
    if std::env::var_os("HO_UPDATE_CONFORMANCE").is_some() {
        std::fs::write(path(file), &text).unwrap();
    }
    assert_eq!(std::fs::read_to_string(path(file)).unwrap(), text);
}

/// One key and one case on a line.
fn text<C: Serialize>(keys: &[Key], cases: &[C]) -> String {
    fn lines<T: Serialize>(values: &[T]) -> String {
        let lines = values
            .iter()
            .map(|value| format!("    {}", serde_json::to_string(value).unwrap()));
        lines.collect::<Vec<_>>().join(",\n")
    }
    let (keys, cases) = (lines(keys), lines(cases));
    format!("{{\n  \"keys\": {{\"keys\": [\n{keys}\n  ]}},\n  \"cases\": [\n{cases}\n  ]\n}}\n")
}
