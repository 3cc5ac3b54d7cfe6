//! The receipts whose signatures this process has made or verified.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use human_oversight_protocol::receipt::{Claims, ReceiptError, verify};
use human_oversight_protocol::types::KeySet;

/// The most receipts that are remembered, of about 3 kB each.
const MOST: usize = 128;

/// The claims of receipts that were signed here or verified, by their whole text: the same text verifies again under the
/// same keys, which a process never changes. An agent reads its decision, claims it and reports the outcome, and each call
/// reads the receipt.
#[derive(Default)]
pub(super) struct KnownReceipts(Mutex<HashMap<String, Claims>>);

impl KnownReceipts {
    /// The claims of a receipt that one of the keys signed.
    pub(super) fn verify(&self, receipt: &str, keys: &KeySet) -> Result<Claims, ReceiptError> {
        if let Some(claims) = self.known().get(receipt) {
            return Ok(claims.clone());
        }
        let claims = verify(receipt, keys)?;
        self.add(receipt.to_owned(), claims.clone());
        Ok(claims)
    }

    /// Remembers a receipt that one of the keys signed.
    pub(super) fn add(&self, receipt: String, claims: Claims) {
        let mut known = self.known();
        if known.len() == MOST {
            known.clear();
        }
        known.insert(receipt, claims);
    }

    fn known(&self) -> MutexGuard<'_, HashMap<String, Claims>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use human_oversight_protocol::receipt::sign;
    use human_oversight_protocol::signing_key::SigningKey;
    use serde_json::json;

    use super::*;
    use crate::keys::keyring::{generate_receipt_key, parse};
    use crate::keys::receipt_keys::ReceiptKeys;

    #[test]
    fn only_the_same_text_is_known() {
        let named = parse(&generate_receipt_key()).unwrap();
        let keys = ReceiptKeys::new(&named).unwrap();
        let key = SigningKey::from_pkcs8(&named[0].bytes).unwrap();
        let receipt = |sub: usize| {
            let claims: Claims = serde_json::from_value(json!({
                "iss": "https://gate.example.com", "aud": "A", "sub": sub.to_string(), "iat": 1,
                "correlationId": "c", "actionDescription": "Pay", "parametersDigest": "00",
                "decision": "Approved", "approver": "alice@example.com", "assurance": "link",
            }))
            .unwrap();
            (sign(&claims, &named[0].kid, &key), claims)
        };
        let known = KnownReceipts::default();
        for sub in [0, 1, 0].into_iter().chain(0..2 * MOST) {
            let (text, claims) = receipt(sub);
            assert_eq!(known.verify(&text, keys.public()), Ok(claims));
            let (signed, signature) = text.rsplit_once('.').unwrap();
            let (other, _) = receipt(sub + 1);
            let moved = format!("{}.{signature}", other.rsplit_once('.').unwrap().0);
            let bad = Err(ReceiptError::BadSignature);
            assert_eq!(known.verify(&moved, keys.public()), bad);
            assert!(known.verify(signed, keys.public()).is_err());
            assert!(known.known().len() <= MOST);
        }
    }
}
