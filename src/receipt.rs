//! Receipts: what the gate signs when a person decides, and how it knows a row that was changed
//! behind its back.
//!
//! A receipt is made once, in the write that records the decision. Nothing signs from a stored row.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use human_oversight_protocol::parameters::{hex, sha256};
use human_oversight_protocol::receipt::{Assurance, Claims, Decision, Header, TYPE, verify};
use human_oversight_protocol::types::{Key, KeySet};
use ring::signature::{Ed25519KeyPair, KeyPair};

use crate::approval::{self, Approval, Ruling, Verdict};
use crate::keyring::{KeyError, NamedKey};
use crate::timestamp::Timestamp;

/// The keys of receipts: the first one signs, the public halves of all verify.
pub struct ReceiptKeys {
    kid: String,
    pair: Ed25519KeyPair,
    public: KeySet,
    /// What receipts say that were signed here, or whose signatures were found right, by their SHA-256:
    /// a row is read several times while it is used, and a signature costs as much as all the rest.
    verified: Mutex<HashMap<[u8; 32], Claims>>,
}

/// So many of them are remembered.
const REMEMBERED: usize = 1_024;

/// The row contradicts its own receipt: somebody changed it behind the gate's back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the stored request contradicts its receipt")]
pub struct Contradiction;

/// How an Ed25519 public key begins in SPKI DER (RFC 8410, section 4); 32 bytes follow.
const SPKI_PREFIX: [u8; 12] = [
    0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00,
];

impl ReceiptKeys {
    /// Takes the named keys: the first a private one (PKCS#8 DER), the others private or public
    /// (SPKI DER).
    ///
    /// # Errors
    /// When there is none, the first is no private key, or one is no Ed25519 key at all.
    pub fn new(keys: &[NamedKey]) -> Result<Self, KeyError> {
        let private = |der: &[u8]| Ed25519KeyPair::from_pkcs8_maybe_unchecked(der).ok();
        let NamedKey { kid, bytes } = keys.first().ok_or(KeyError::None)?;
        let pair = private(bytes).ok_or_else(|| KeyError::NotPrivate { kid: kid.clone() })?;
        let public: Result<Vec<Key>, KeyError> = keys
            .iter()
            .map(|NamedKey { kid, bytes }| match private(bytes) {
                Some(pair) => Ok(public_key(kid, pair.public_key().as_ref())),
                None => bytes
                    .strip_prefix(&SPKI_PREFIX)
                    .filter(|key| key.len() == 32)
                    .map(|key| public_key(kid, key))
                    .ok_or_else(|| KeyError::NotEd25519 { kid: kid.clone() }),
            })
            .collect();
        Ok(Self {
            kid: kid.clone(),
            pair,
            public: KeySet { keys: public? },
            verified: Mutex::default(),
        })
    }

    /// The public keys, for anybody.
    pub fn public(&self) -> &KeySet {
        &self.public
    }

    /// Signs a ruling on an approval.
    pub fn sign(&self, issuer: &str, approval: &Approval, ruling: &Ruling) -> String {
        let header = Header {
            alg: "EdDSA".to_owned(),
            typ: TYPE.to_owned(),
            kid: self.kid.clone(),
        };
        let claims = claims(issuer, approval, ruling);
        let json =
            |part: Result<Vec<u8>, _>| BASE64URL.encode(part.expect("plain structs are JSON"));
        let signed = format!(
            "{}.{}",
            json(serde_json::to_vec(&header)),
            json(serde_json::to_vec(&claims))
        );
        let signature = self.pair.sign(signed.as_bytes());
        let receipt = format!("{signed}.{}", BASE64URL.encode(signature.as_ref()));
        self.remember(sha256(receipt.as_bytes()), claims);
        receipt
    }

    /// Holds a stored decision against its receipt.
    ///
    /// # Errors
    /// When the receipt is not ours, or was made for anything else than what the row says.
    pub fn check(&self, approval: &Approval) -> Result<(), Contradiction> {
        let Some((ruling, receipt)) = approval.ruling() else {
            return Ok(());
        };
        let name = sha256(receipt.as_bytes());
        if let Some(signed) = self.verified().get(&name) {
            return agree(signed, approval, &ruling);
        }
        let signed = verify(receipt, &self.public).map_err(|_| Contradiction)?;
        let agreed = agree(&signed, approval, &ruling);
        self.remember(name, signed);
        agreed
    }

    fn remember(&self, name: [u8; 32], claims: Claims) {
        let mut verified = self.verified();
        if verified.len() >= REMEMBERED {
            verified.clear();
        }
        verified.insert(name, claims);
    }

    fn verified(&self) -> MutexGuard<'_, HashMap<[u8; 32], Claims>> {
        // Nobody leaves it half-written.
        self.verified.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Holds a stored decision against its receipt, with the public keys of the gate that made it.
///
/// # Errors
/// When the receipt is not that gate's, or was made for anything else than what the row says.
pub fn check(approval: &Approval, keys: &KeySet) -> Result<(), Contradiction> {
    let Some((ruling, receipt)) = approval.ruling() else {
        return Ok(());
    };
    let signed = verify(receipt, keys).map_err(|_| Contradiction)?;
    agree(&signed, approval, &ruling)
}

fn agree(signed: &Claims, approval: &Approval, ruling: &Ruling) -> Result<(), Contradiction> {
    // The gate's own address may have changed since.
    match *signed == claims(&signed.iss, approval, ruling) {
        true => Ok(()),
        false => Err(Contradiction),
    }
}

fn claims(issuer: &str, approval: &Approval, ruling: &Ruling) -> Claims {
    let request = &approval.request;
    Claims {
        iss: issuer.to_owned(),
        aud: request.id.agent().to_owned(),
        sub: request.id.to_string(),
        iat: ruling.at.unix_seconds(),
        exp: ruling.run_by.map(Timestamp::unix_seconds),
        correlation_id: request.id.correlation().to_owned(),
        action_description: request.action.clone(),
        parameters_digest: request.parameters.digest.to_string(),
        claimant: request.claimant.map(|digest| digest.to_string()),
        decision: match ruling.verdict() {
            Verdict::Approve => Decision::Approved,
            Verdict::Reject => Decision::Rejected,
        },
        comment_digest: ruling
            .comment
            .as_ref()
            .map(|comment| hex(&sha256(comment.as_bytes()))),
        approver: ruling.by.to_string(),
        assurance: match ruling.assurance {
            approval::Assurance::Link => Assurance::Link,
            approval::Assurance::Entra(_) => Assurance::Entra,
        },
        approver_object_id: ruling.assurance.object_id().map(|id| id.to_string()),
    }
}

fn public_key(kid: &str, x: &[u8]) -> Key {
    Key {
        kty: "OKP".to_owned(),
        crv: "Ed25519".to_owned(),
        alg: "EdDSA".to_owned(),
        usage: "sig".to_owned(),
        kid: kid.to_owned(),
        x: BASE64URL.encode(x),
    }
}
