//! What receipts, permits and the other signed texts have in common: a compact JWS (RFC 7515).
//!
//! The key's type fixes the algorithm, which is never negotiated, and each kind has a `typ` of its own, so that
//! one never passes for another (RFC 8725, sections 3.1 and 3.11).

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use ring::signature::{ECDSA_P256_SHA256_FIXED, ED25519, UnparsedPublicKey, VerificationAlgorithm};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::signing_key::{EDDSA, ES256, SigningKey};
use crate::types::{Key, KeySet};

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    alg: String,
    typ: String,
    kid: String,
}

/// When the gate signed, which all claims say.
#[derive(Deserialize)]
struct Issue {
    iat: i64,
}

/// Why a text proves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It is not a compact JWS with the required header and claims.
    Malformed,
    /// The key that it names is not in the set.
    UnknownKey,
    /// The signature was not made with that key.
    BadSignature,
    /// The key is revoked: what it signed proves nothing.
    RevokedKey,
    /// It is dated outside the time for which the key was in force.
    KeyNotInForce,
}

/// The error type of one kind of signed text.
macro_rules! define_error {
    ($name:ident, $kind:literal) => {
        #[doc = concat!("Why a ", $kind, " is not valid.")]
        #[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
        #[non_exhaustive]
        pub enum $name {
            /// It is not a compact JWS with the required header and claims.
            #[error(
                "not a {}: it is not a compact JWS of type {TYPE} signed with EdDSA or ES256",
                $kind
            )]
            Malformed,
            /// The key that it names is not in the set.
            #[error("the {} names a key that the gate does not publish", $kind)]
            UnknownKey,
            /// The signature was not made with that key.
            #[error("the {}'s signature is wrong", $kind)]
            BadSignature,
            /// The key is revoked: what it signed proves nothing.
            #[error("the {} is signed with a key that is revoked", $kind)]
            RevokedKey,
            /// It is dated outside the time for which the key was in force.
            #[error("the {} is dated outside the time of its key", $kind)]
            KeyNotInForce,
        }

        impl From<$crate::jws::Fault> for $name {
            fn from(fault: $crate::jws::Fault) -> Self {
                use $crate::jws::Fault;
                match fault {
                    Fault::Malformed => Self::Malformed,
                    Fault::UnknownKey => Self::UnknownKey,
                    Fault::BadSignature => Self::BadSignature,
                    Fault::RevokedKey => Self::RevokedKey,
                    Fault::KeyNotInForce => Self::KeyNotInForce,
                }
            }
        }

        impl From<$name> for $crate::jws::Fault {
            fn from(error: $name) -> Self {
                match error {
                    $name::Malformed => Self::Malformed,
                    $name::UnknownKey => Self::UnknownKey,
                    $name::BadSignature => Self::BadSignature,
                    $name::RevokedKey => Self::RevokedKey,
                    $name::KeyNotInForce => Self::KeyNotInForce,
                }
            }
        }
    };
}
pub(crate) use define_error;

pub(crate) fn sign(typ: &str, claims: &impl Serialize, kid: &str, key: &SigningKey) -> String {
    let header = Header {
        alg: key.algorithm().to_owned(),
        typ: typ.to_owned(),
        kid: kid.to_owned(),
    };
    let signed = format!("{}.{}", encode(&header), encode(claims));
    let signature = key.sign(signed.as_bytes());
    format!("{signed}.{}", BASE64URL.encode(signature))
}

/// The claims of a text that one of the keys signed as this `typ`, while it was in force.
pub(crate) fn verify<T: DeserializeOwned>(
    typ: &str,
    text: &str,
    keys: &KeySet,
) -> Result<T, Fault> {
    let (signed, signature) = text.rsplit_once('.').ok_or(Fault::Malformed)?;
    let (header, payload) = signed.split_once('.').ok_or(Fault::Malformed)?;
    let header: Header = decode(header)?;
    if header.typ != typ {
        return Err(Fault::Malformed);
    }
    let named = keys.keys.iter().filter(|key| key.kid == header.kid);
    let mut named = named.filter_map(|key| Some((key, Verifier::read(key)?)));
    // A name of two keys names neither.
    let (Some((named, key)), None) = (named.next(), named.next()) else {
        return Err(Fault::UnknownKey);
    };
    if header.alg != key.algorithm {
        return Err(Fault::Malformed);
    }
    let signature = BASE64URL.decode(signature).map_err(|_| Fault::Malformed)?;
    UnparsedPublicKey::new(key.verification, key.bytes)
        .verify(signed.as_bytes(), &signature)
        .map_err(|_| Fault::BadSignature)?;
    if named.life.revoked {
        return Err(Fault::RevokedKey);
    }
    let Issue { iat } = decode(payload)?;
    if !named.life.covers(iat) {
        return Err(Fault::KeyNotInForce);
    }
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

/// A key of one of the two types that verify.
struct Verifier {
    algorithm: &'static str,
    verification: &'static dyn VerificationAlgorithm,
    bytes: Vec<u8>,
}

impl Verifier {
    fn read(key: &Key) -> Option<Self> {
        let x = BASE64URL.decode(&key.x).ok()?;
        match (&*key.kty, &*key.crv, &key.y) {
            ("OKP", "Ed25519", _) => Some(Self {
                algorithm: EDDSA,
                verification: &ED25519,
                bytes: x,
            }),
            ("EC", "P-256", Some(y)) if x.len() == 32 => Some(Self {
                algorithm: ES256,
                verification: &ECDSA_P256_SHA256_FIXED,
                // An uncompressed point (SEC 1, section 2.3.3). One off the curve, or of another length, verifies
                // nothing.
                bytes: [vec![4], x, BASE64URL.decode(y).ok()?].concat(),
            }),
            _ => None,
        }
    }
}
