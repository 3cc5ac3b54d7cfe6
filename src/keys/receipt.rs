//! Receipts and permits: signing a decision, checking a stored decision against its receipt, and signing
//! the grant of a claim.
//!
//! Only deciding signs, for a decision that is not stored yet; a receipt is kept only if its write
//! succeeds. A stored decision is never signed again.

use human_oversight_protocol::parameters::{hex, sha256};
use human_oversight_protocol::permit;
use human_oversight_protocol::receipt::{self, Assurance, Claims, Decision, public_key, verify};
use human_oversight_protocol::revocation;
use human_oversight_protocol::types::{Key, KeySet};
use ring::signature::{Ed25519KeyPair, KeyPair};

use super::keyring::{KeyError, NamedKey};
use crate::domain::{self, Approval, Execution, Proposal, Revoker, State, Verdict};
use crate::values::Timestamp;

/// The keys of `HO_RECEIPT_KEYS`. The first one signs; the public halves of all of them verify.
pub struct ReceiptKeys {
    kid: String,
    pair: Ed25519KeyPair,
    public: KeySet,
}

/// A row contradicts its own receipt: it was changed outside the gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the stored request contradicts its receipt")]
pub struct Contradiction;

/// The prefix of an Ed25519 public key in SPKI DER (RFC 8410, section 4); 32 bytes follow.
const SPKI_PREFIX: [u8; 12] = [
    0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00,
];

/// Whether these bytes are a private or public Ed25519 key in DER.
pub(super) fn is_ed25519_key(der: &[u8]) -> bool {
    Ed25519KeyPair::from_pkcs8_maybe_unchecked(der).is_ok()
        || der
            .strip_prefix(&SPKI_PREFIX)
            .is_some_and(|key| key.len() == 32)
}

impl ReceiptKeys {
    /// The first key must be private (PKCS#8 DER); the others may be private or public (SPKI DER).
    ///
    /// # Errors
    /// When `keys` is empty, the first key is not private, or a key is not an Ed25519 key.
    pub fn new(keys: &[NamedKey]) -> Result<Self, KeyError> {
        let private = |der: &[u8]| Ed25519KeyPair::from_pkcs8_maybe_unchecked(der).ok();
        let NamedKey { kid, bytes } = keys.first().ok_or(KeyError::Empty)?;
        let pair = private(bytes).ok_or(KeyError::NotPrivate)?;
        let public: Result<Vec<Key>, KeyError> = keys
            .iter()
            .zip(1..)
            .map(|(NamedKey { kid, bytes }, entry)| match private(bytes) {
                Some(pair) => Ok(public_key(kid, pair.public_key().as_ref())),
                None => bytes
                    .strip_prefix(&SPKI_PREFIX)
                    .filter(|key| key.len() == 32)
                    .map(|key| public_key(kid, key))
                    .ok_or(KeyError::NotEd25519 { entry }),
            })
            .collect();
        Ok(Self {
            kid: kid.clone(),
            pair,
            public: KeySet {
                keys: public?,
                issuers: Vec::new(),
            },
        })
    }

    /// The public keys, without issuers.
    pub fn public(&self) -> &KeySet {
        &self.public
    }

    /// Signs a proposed decision.
    pub fn sign(&self, issuer: &str, approval: &Approval, proposal: &Proposal) -> String {
        let claims = claims(issuer, approval, proposal);
        receipt::sign(&claims, &self.kid, &self.pair)
    }

    /// Signs the permit of a claim that is about to be granted; `None` where there is nothing to claim. Like
    /// a receipt, it is kept only if its write succeeds.
    pub fn sign_permit(
        &self,
        issuer: &str,
        approval: &Approval,
        nonce: &str,
        now: Timestamp,
    ) -> Option<String> {
        let State::Approved {
            decision,
            run_by,
            execution: Execution::Awaited,
        } = &approval.state
        else {
            return None;
        };
        let request = &approval.request;
        let claims = permit::Claims {
            iss: issuer.to_owned(),
            aud: request.id.agent().to_owned(),
            sub: request.id.to_string(),
            jti: nonce.to_owned(),
            claimant: request.claimant.map(|digest| digest.to_string()),
            parameters_digest: request.parameters.digest.to_string(),
            receipt_digest: permit::digest(&decision.receipt),
            iat: now.unix_seconds(),
            exp: run_by.unix_seconds(),
        };
        Some(permit::sign(&claims, &self.kid, &self.pair))
    }

    /// Signs the revocation of an approval; `None` where there is none. Like a receipt, it is kept only if
    /// its write succeeds.
    pub fn sign_revocation(
        &self,
        issuer: &str,
        approval: &Approval,
        by: &Revoker,
        now: Timestamp,
    ) -> Option<String> {
        let claims = revocation_claims(issuer, approval, by, now)?;
        Some(revocation::sign(&claims, &self.kid, &self.pair))
    }

    /// The address under which the decision was signed; `None` where there is none that verifies.
    pub fn issuer_of(&self, approval: &Approval) -> Option<String> {
        let (_, receipt) = approval.signed_decision()?;
        verify(receipt, &self.public).ok().map(|claims| claims.iss)
    }
}

/// Checks a stored decision against its receipt, with the public keys of the gate that signed it.
///
/// # Errors
/// When the receipt does not verify, or its claims differ from the row.
pub fn check(approval: &Approval, keys: &KeySet) -> Result<(), Contradiction> {
    let Some((decided, receipt)) = approval.signed_decision() else {
        return Ok(());
    };
    let signed = verify(receipt, keys).map_err(|_| Contradiction)?;
    // Takes the issuer from the receipt, since the gate's address may have changed.
    if signed == claims(&signed.iss, approval, &decided) {
        check_revocation(approval, keys)
    } else {
        Err(Contradiction)
    }
}

fn check_revocation(approval: &Approval, keys: &KeySet) -> Result<(), Contradiction> {
    let State::Approved {
        execution: Execution::Revoked { at, revocation },
        ..
    } = &approval.state
    else {
        return Ok(());
    };
    let signed = revocation::verify(&revocation.proof, keys).map_err(|_| Contradiction)?;
    let expected = revocation_claims(&signed.iss, approval, &revocation.by, *at);
    if expected.as_ref() == Some(&signed) {
        Ok(())
    } else {
        Err(Contradiction)
    }
}

fn revocation_claims(
    issuer: &str,
    approval: &Approval,
    by: &Revoker,
    at: Timestamp,
) -> Option<revocation::Claims> {
    let request = &approval.request;
    Some(revocation::Claims {
        iss: issuer.to_owned(),
        aud: request.id.agent().to_owned(),
        sub: request.id.to_string(),
        iat: at.unix_seconds(),
        receipt_digest: permit::digest(&approval.decision()?.receipt),
        revoked_by: by.to_string(),
    })
}

fn claims(issuer: &str, approval: &Approval, decided: &Proposal) -> Claims {
    let request = &approval.request;
    Claims {
        iss: issuer.to_owned(),
        aud: request.id.agent().to_owned(),
        sub: request.id.to_string(),
        iat: decided.at.unix_seconds(),
        exp: decided.run_by.map(Timestamp::unix_seconds),
        correlation_id: request.id.correlation().to_owned(),
        action_description: request.action.clone(),
        parameters_digest: request.parameters.digest.to_string(),
        claimant: request.claimant.map(|digest| digest.to_string()),
        decision: match decided.verdict() {
            Verdict::Approve => Decision::Approved,
            Verdict::Reject => Decision::Rejected,
        },
        comment_digest: decided
            .comment_for_agent()
            .map(|comment| hex(&sha256(comment.as_bytes()))),
        approver: decided.by.to_string(),
        assurance: match decided.assurance {
            domain::Assurance::Link => Assurance::Link,
            domain::Assurance::LinkOnly => Assurance::LinkOnly,
            domain::Assurance::Entra(_) => Assurance::Entra,
        },
        approver_object_id: decided.assurance.object_id().map(|id| id.to_string()),
    }
}
