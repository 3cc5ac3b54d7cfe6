//! The HMAC keys of `HO_LINK_KEYS`.

use ring::hmac;

use super::keyring::{KeyError, NamedKey};

/// HMAC-SHA256 keys (RFC 2104): the first one makes new secrets and MACs, all of them verify.
pub struct LinkKeys(Vec<LinkKey>);

pub(super) struct LinkKey {
    pub(super) kid: String,
    pub(super) key: hmac::Key,
}

/// The minimum length of a key, in bytes.
const MIN_KEY_BYTES: usize = 32;

impl LinkKeys {
    /// Takes named keys; the first one is used for new links and MACs.
    ///
    /// # Errors
    /// When there is none, or one has fewer than 32 bytes.
    pub fn new(keys: &[NamedKey]) -> Result<Self, KeyError> {
        let keys: Result<Vec<_>, _> = keys
            .iter()
            .map(|NamedKey { kid, bytes }| match bytes.len() {
                MIN_KEY_BYTES.. => Ok(LinkKey {
                    kid: kid.clone(),
                    key: hmac::Key::new(hmac::HMAC_SHA256, bytes),
                }),
                _ => Err(KeyError::TooShort {
                    kid: kid.clone(),
                    bytes: MIN_KEY_BYTES,
                }),
            })
            .collect();
        match keys? {
            none if none.is_empty() => Err(KeyError::None),
            keys => Ok(Self(keys)),
        }
    }

    /// The id of the key for new links.
    pub fn current_kid(&self) -> &str {
        &self.current().kid
    }

    /// Whether there is a key with this id.
    pub fn has(&self, kid: &str) -> bool {
        self.find(kid).is_some()
    }

    pub(super) fn current(&self) -> &LinkKey {
        &self.0[0]
    }

    pub(super) fn find(&self, kid: &str) -> Option<&LinkKey> {
        self.0.iter().find(|key| key.kid == kid)
    }
}

impl LinkKey {
    /// A MAC over a list of parts. Each is preceded by its length, so that no two lists collide.
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
