//! The HMAC keys of `HO_LINK_KEYS`: for the secrets of approvers, approver MACs and row MACs.

use human_oversight_protocol::types::KeyLife;
use ring::hmac;

use super::keyring::{KeyError, NamedKey};
use super::receipt_keys::is_receipt_key;

/// HMAC-SHA256 keys (RFC 2104). The first one makes new secrets and MACs; all of them verify.
pub struct LinkKeys(Vec<LinkKey>);

pub(super) struct LinkKey {
    pub(super) kid: String,
    pub(super) key: hmac::Key,
}

const MIN_KEY_BYTES: usize = 32;

impl LinkKeys {
    /// # Errors
    /// When `keys` is empty, or a key is shorter than 32 bytes, a receipt key or has a life.
    pub fn new(keys: &[NamedKey]) -> Result<Self, KeyError> {
        if keys.is_empty() {
            return Err(KeyError::Empty);
        }
        let keys = (1..).zip(keys).map(|(entry, key)| LinkKey::new(entry, key));
        keys.collect::<Result<_, _>>().map(Self)
    }

    /// The id of the key that makes new secrets and MACs.
    pub fn current_kid(&self) -> &str {
        &self.current().kid
    }

    /// The ids of all keys, the current one first.
    pub fn kids(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|key| key.kid.as_str())
    }

    /// Whether there is a key with this id.
    pub fn has(&self, kid: &str) -> bool {
        self.find(kid).is_some()
    }

    pub(super) fn current(&self) -> &LinkKey {
        &self.0[0]
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &LinkKey> {
        self.0.iter()
    }

    pub(super) fn find(&self, kid: &str) -> Option<&LinkKey> {
        self.0.iter().find(|key| key.kid == kid)
    }
}

impl LinkKey {
    fn new(entry: usize, NamedKey { kid, life, bytes }: &NamedKey) -> Result<Self, KeyError> {
        if *life != KeyLife::default() {
            return Err(KeyError::LifeOfLinkKey { entry });
        }
        if bytes.len() < MIN_KEY_BYTES {
            let bytes = MIN_KEY_BYTES;
            return Err(KeyError::TooShort { entry, bytes });
        }
        if is_receipt_key(bytes) {
            return Err(KeyError::ReceiptKey { entry });
        }
        Ok(Self {
            kid: kid.clone(),
            key: hmac::Key::new(hmac::HMAC_SHA256, bytes),
        })
    }

    /// The MAC of a list of parts. The length of each part precedes it, so that no two lists collide.
    pub(super) fn mac<const PARTS: usize>(&self, parts: [&[u8]; PARTS]) -> hmac::Tag {
        let mut context = hmac::Context::with_key(&self.key);
        for part in parts {
            let length = u64::try_from(part.len()).expect("a length fits");
            context.update(&length.to_be_bytes());
            context.update(part);
        }
        context.sign()
    }
}
