//! What receipts and permits have in common: a compact JWS (RFC 7515) with Ed25519 (RFC 8037).
//!
//! The algorithm is fixed, not negotiated, and each kind has a `typ` of its own, so that one never passes
//! for another (RFC 8725, section 3.11).

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use ring::signature::{ED25519, Ed25519KeyPair, UnparsedPublicKey};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::types::{Key, KeySet};

const ALGORITHM: &str = "EdDSA";

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    alg: String,
    typ: String,
    kid: String,
}

/// Why a text proves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    Malformed,
    UnknownKey,
    BadSignature,
}

pub(crate) fn sign(typ: &str, claims: &impl Serialize, kid: &str, key: &Ed25519KeyPair) -> String {
    let header = Header {
        alg: ALGORITHM.to_owned(),
        typ: typ.to_owned(),
        kid: kid.to_owned(),
    };
    let signed = format!("{}.{}", encode(&header), encode(claims));
    let signature = key.sign(signed.as_bytes());
    format!("{signed}.{}", BASE64URL.encode(signature))
}

/// The claims of a text that one of the keys signed as this `typ`.
pub(crate) fn verify<T: DeserializeOwned>(
    typ: &str,
    text: &str,
    keys: &KeySet,
) -> Result<T, Fault> {
    let (signed, signature) = text.rsplit_once('.').ok_or(Fault::Malformed)?;
    let (header, payload) = signed.split_once('.').ok_or(Fault::Malformed)?;
    let header: Header = decode(header)?;
    if header.alg != ALGORITHM || header.typ != typ {
        return Err(Fault::Malformed);
    }
    let key = keys
        .keys
        .iter()
        .find(|key| key.kid == header.kid)
        .and_then(public_bytes)
        .ok_or(Fault::UnknownKey)?;
    let signature = BASE64URL.decode(signature).map_err(|_| Fault::Malformed)?;
    UnparsedPublicKey::new(&ED25519, key)
        .verify(signed.as_bytes(), &signature)
        .map_err(|_| Fault::BadSignature)?;
    decode(payload)
}

fn encode(part: &impl Serialize) -> String {
    BASE64URL.encode(serde_json::to_vec(part).expect("plain structs are JSON"))
}

fn decode<T: DeserializeOwned>(part: &str) -> Result<T, Fault> {
    let json = BASE64URL.decode(part).map_err(|_| Fault::Malformed)?;
    // serde also reads a struct from a list of its members.
    if !json.trim_ascii_start().starts_with(b"{") {
        return Err(Fault::Malformed);
    }
    serde_json::from_slice(&json).map_err(|_| Fault::Malformed)
}

fn public_bytes(key: &Key) -> Option<Vec<u8>> {
    if key.kty != "OKP" || key.crv != "Ed25519" {
        return None;
    }
    BASE64URL.decode(&key.x).ok()
}
