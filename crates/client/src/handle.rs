use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use human_oversight_protocol::parameters::{hex, sha256};
use ring::rand::{SecureRandom, SystemRandom};
use serde::{Deserialize, Serialize};

/// What a process stores to resume a request later. With it the approval can be used, so keep it as you
/// keep a password.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Handle {
    /// The approval's id.
    pub id: String,
    /// The secret that the gate demands of the claimant.
    pub secret: String,
}

impl Handle {
    /// A handle with a fresh secret.
    pub(crate) fn new(agent: &str, correlation_id: &str) -> Self {
        Self {
            id: approval_id(agent, correlation_id),
            secret: random_hex::<32>(),
        }
    }

    pub(crate) fn correlation_id(&self) -> &str {
        self.id.split_once('.').unwrap_or_default().1
    }

    /// The SHA-256 of the secret, which the request names.
    pub(crate) fn claimant(&self) -> String {
        hex(&sha256(self.secret.as_bytes()))
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

pub(crate) fn approval_id(agent: &str, correlation_id: &str) -> String {
    format!("{}.{correlation_id}", BASE64URL.encode(agent))
}

pub(crate) fn random_hex<const BYTES: usize>() -> String {
    let mut bytes = [0; BYTES];
    SystemRandom::new()
        .fill(&mut bytes)
        .expect("the system provides random bytes");
    hex(&bytes)
}
