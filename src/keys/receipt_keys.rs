//! The keys of `HO_RECEIPT_KEYS`: which one signs at a time, and the public halves.

use human_oversight_protocol::signing_key::{PublicKey, SigningKey};
use human_oversight_protocol::types::{KeyLife, KeySet};
use ring::agreement::{self, ECDH_P256, EphemeralPrivateKey, agree_ephemeral};
use ring::rand::SystemRandom;

use super::keyring::{KeyError, NamedKey};
use super::known_receipts::KnownReceipts;
use crate::values::Timestamp;

/// The first private key that is in force signs; the public halves of all of them verify what they signed while
/// they were in force.
pub struct ReceiptKeys {
    private: Vec<PrivateKey>,
    public: KeySet,
    pub(super) known: KnownReceipts,
}

struct PrivateKey {
    kid: String,
    life: KeyLife,
    key: SigningKey,
}

/// Nothing can be signed at this time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "nothing can be signed: no private key of HO_RECEIPT_KEYS is in force, by its nbf, exp and revoked"
)]
pub struct NoKeyInForce;

/// The prefix of an Ed25519 public key in SPKI DER (RFC 8410, section 4); 32 bytes follow.
const ED25519_PREFIX: &[u8] = b"\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00";

/// The prefix of a P-256 public key in SPKI DER (RFC 5480, section 2), an uncompressed point; its coordinates follow, of 32
/// bytes each.
const P256_PREFIX: &[u8] =
    b"\x30\x59\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\
\x07\x03\x42\x00\x04";

impl ReceiptKeys {
    /// The first key that is not revoked must be private (PKCS#8 DER); the others may be private or public (SPKI DER).
    /// The DER names the type of a key, and so its algorithm.
    ///
    /// # Errors
    /// When `keys` is empty, that key is not private, or a key is of no such type.
    pub fn new(keys: &[NamedKey]) -> Result<Self, KeyError> {
        if keys.is_empty() {
            return Err(KeyError::Empty);
        }
        let first = keys.iter().find(|key| !key.life.revoked);
        if first.is_some_and(|key| SigningKey::from_pkcs8(&key.bytes).is_none()) {
            return Err(KeyError::NotPrivate);
        }
        let mut public: Vec<(PublicKey, KeyLife)> = Vec::new();
        let mut private = Vec::new();
        for (NamedKey { kid, life, bytes }, entry) in keys.iter().zip(1..) {
            let signing = SigningKey::from_pkcs8(bytes);
            let key = match &signing {
                Some(key) => Some(key.public()),
                None => from_spki(bytes),
            };
            let key = key.ok_or(KeyError::NotReceiptKey { entry })?;
            if public
                .iter()
                .any(|(other, its)| *other == key && its != life)
            {
                return Err(KeyError::OtherLife { entry });
            }
            public.push((key, *life));
            private.extend(signing.map(|key| PrivateKey {
                kid: kid.clone(),
                life: *life,
                key,
            }));
        }
        let jwks = public.iter().zip(keys);
        Ok(Self {
            private,
            public: KeySet {
                keys: jwks
                    .map(|((key, life), it)| key.jwk(&it.kid, *life))
                    .collect(),
                issuers: Vec::new(),
            },
            known: KnownReceipts::default(),
        })
    }

    /// The public keys, without issuers.
    pub fn public(&self) -> &KeySet {
        &self.public
    }

    /// The kid of the key that signs at this time.
    ///
    /// # Errors
    /// When there is none.
    pub fn signing_kid(&self, at: Timestamp) -> Result<&str, NoKeyInForce> {
        self.signer(at.unix_seconds()).map(|(kid, _)| kid)
    }

    /// The first second since 1970, from `now` on, in which no key is in force; `None` if there is always one.
    pub fn lapses_at(&self, now: Timestamp) -> Option<i64> {
        let mut at = now.unix_seconds();
        loop {
            let in_force = self.private.iter().filter(|key| key.life.covers(at));
            let ends: Vec<Option<i64>> = in_force.map(|key| key.life.exp).collect();
            if ends.contains(&None) {
                return None;
            }
            match ends.into_iter().flatten().max() {
                Some(end) => at = end,
                None => return Some(at),
            }
        }
    }

    /// The key that signs what is dated so, in seconds since 1970, and its kid.
    pub(super) fn signer(&self, at: i64) -> Result<(&str, &SigningKey), NoKeyInForce> {
        let mut in_force = self.private.iter().filter(|key| key.life.covers(at));
        let key = in_force.next().ok_or(NoKeyInForce)?;
        Ok((&key.kid, &key.key))
    }
}

/// Whether these bytes are a private or public receipt key in DER.
pub(super) fn is_receipt_key(der: &[u8]) -> bool {
    SigningKey::from_pkcs8(der).is_some() || from_spki(der).is_some()
}

fn from_spki(der: &[u8]) -> Option<PublicKey> {
    if let Some(key) = der.strip_prefix(ED25519_PREFIX) {
        return (key.len() == 32).then(|| PublicKey::Ed25519(key.to_vec()));
    }
    let (x, y) = der.strip_prefix(P256_PREFIX)?.split_at_checked(32)?;
    let point = [&[4], x, y].concat();
    (y.len() == 32 && is_on_curve(&point)).then(|| PublicKey::P256(x.to_vec(), y.to_vec()))
}

/// Whether a point is one of P-256: with no other point can a secret be agreed on.
fn is_on_curve(point: &[u8]) -> bool {
    let peer = agreement::UnparsedPublicKey::new(&ECDH_P256, point);
    EphemeralPrivateKey::generate(&ECDH_P256, &SystemRandom::new())
        .is_ok_and(|own| agree_ephemeral(own, &peer, |_| ()).is_ok())
}
