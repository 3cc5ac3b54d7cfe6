//! The function key of a call. The host has checked it, but does not report whose it is.

use human_oversight_protocol::parameters::sha256;

use crate::values::{Digest, Owner};

/// The function key that an agent's call presents; empty without the host.
#[derive(Clone)]
pub struct FunctionKey(String);

impl FunctionKey {
    pub fn new(key: String) -> Self {
        Self(key)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The owner of what this key submits, if no list gives the key another. The host compares keys without
    /// regard to case, so the digest is of the lower case.
    pub fn owner(&self) -> Owner {
        if self.0.is_empty() {
            Owner::Local
        } else {
            Owner::Key(Digest(sha256(self.0.to_lowercase().as_bytes())))
        }
    }

    /// The owners by which an operator may name the key: by its digest in lower case, and as it is sent.
    pub fn owners(&self) -> [Owner; 2] {
        self.digests().map(Owner::Key)
    }

    /// The digests by which an operator's list may name the key: as sent, and in lower case.
    pub(super) fn digests(&self) -> [Digest; 2] {
        [self.0.clone(), self.0.to_lowercase()].map(|key| Digest(sha256(key.as_bytes())))
    }
}
