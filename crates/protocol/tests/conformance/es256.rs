//! Receipts and permits of P-256 keys, in `conformance/es256.json`, and receipts of keys of both types, in `keys.json`.
//! Words of refusals are not compared in the first: they depend on the order of the checks.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use human_oversight_protocol::parameters::sha256;
use human_oversight_protocol::receipt::thumbprint;
use human_oversight_protocol::types::KeySet;
use serde::Deserialize;

use crate::{permits, read, receipts};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Vectors {
    keys: KeySet,
    receipts: Vec<receipts::case::Case>,
    permits: Vec<permits::case::Case>,
}

#[test]
fn a_key_of_p256_verifies_es256_and_nothing_else_does() {
    let vectors: Vectors = read("es256.json");
    assert!(vectors.receipts.len() >= 18 && vectors.permits.len() >= 4);
    for case in &vectors.receipts {
        let is_permitted = receipts::result(case, &vectors.keys, 0, &[]) == "permitted";
        assert_eq!(is_permitted, case.result == "permitted", "{}", case.name);
    }
    for case in &vectors.permits {
        let is_granted = permits::result(case, &vectors.keys) == "granted";
        assert_eq!(is_granted, case.result == "granted", "{}", case.name);
    }
}

#[test]
fn a_receipt_counts_only_while_its_key_is_in_force() {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Vectors {
        keys: KeySet,
        receipts: Vec<receipts::case::Case>,
    }
    let vectors: Vectors = read("keys.json");
    assert!(vectors.receipts.len() >= 40);
    for case in &vectors.receipts {
        let result = receipts::result(case, &vectors.keys, 0, &[]);
        assert_eq!(result, case.result, "{}", case.name);
    }
}

#[test]
fn the_thumbprint_of_a_key_of_p256_covers_both_coordinates() {
    let Vectors { keys, .. } = read("es256.json");
    let key = &keys.keys[0];
    let y = key.y.as_ref().unwrap();
    let members = format!(r#"{{"crv":"P-256","kty":"EC","x":"{}","y":"{y}"}}"#, key.x);
    let expected = BASE64URL.encode(sha256(members.as_bytes()));
    assert_eq!(thumbprint(key), expected);
}
