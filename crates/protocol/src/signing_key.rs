//! The gate's private keys. The type of a key decides its algorithm: Ed25519 signs EdDSA (RFC 8037), P-256 signs
//! ES256 (RFC 7518, section 3.4).

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair};

use crate::types::{Key, KeyLife};

/// A private key.
pub enum SigningKey {
    /// Signs EdDSA.
    Ed25519(Ed25519KeyPair),
    /// Signs ES256.
    P256(EcdsaKeyPair),
}

/// A public key, which DER and JWK write differently.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PublicKey {
    /// 32 bytes.
    Ed25519(Vec<u8>),
    /// The coordinates of the point, 32 bytes each.
    P256(Vec<u8>, Vec<u8>),
}

impl SigningKey {
    /// Reads a private key in PKCS#8 DER, which names the type. A key of P-256 must contain its public half, as
    /// OpenSSL and .NET write it.
    pub fn from_pkcs8(der: &[u8]) -> Option<Self> {
        if let Ok(pair) = Ed25519KeyPair::from_pkcs8_maybe_unchecked(der) {
            return Some(Self::Ed25519(pair));
        }
        let random = SystemRandom::new();
        EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der, &random)
            .ok()
            .map(Self::P256)
    }

    /// The public half.
    pub fn public(&self) -> PublicKey {
        match self {
            Self::Ed25519(pair) => PublicKey::Ed25519(pair.public_key().as_ref().to_vec()),
            Self::P256(pair) => {
                // An uncompressed point (SEC 1, section 2.3.3).
                let (x, y) = pair.public_key().as_ref()[1..].split_at(32);
                PublicKey::P256(x.to_vec(), y.to_vec())
            }
        }
    }

    pub(crate) fn algorithm(&self) -> &'static str {
        match self {
            Self::Ed25519(_) => EDDSA,
            Self::P256(_) => ES256,
        }
    }

    pub(crate) fn sign(&self, message: &[u8]) -> Vec<u8> {
        match self {
            Self::Ed25519(pair) => pair.sign(message).as_ref().to_vec(),
            Self::P256(pair) => {
                let signature = pair.sign(&SystemRandom::new(), message);
                signature
                    .expect("the system has random bytes")
                    .as_ref()
                    .to_vec()
            }
        }
    }
}

impl PublicKey {
    /// The JWK of this name.
    pub fn jwk(&self, kid: &str, life: KeyLife) -> Key {
        let (kty, crv, alg, x, y) = match self {
            Self::Ed25519(x) => ("OKP", "Ed25519", EDDSA, x, None),
            Self::P256(x, y) => ("EC", "P-256", ES256, x, Some(BASE64URL.encode(y))),
        };
        Key {
            kty: kty.to_owned(),
            crv: crv.to_owned(),
            alg: alg.to_owned(),
            usage: "sig".to_owned(),
            kid: kid.to_owned(),
            x: BASE64URL.encode(x),
            y,
            life,
        }
    }
}

pub(crate) const EDDSA: &str = "EdDSA";
pub(crate) const ES256: &str = "ES256";
