use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use human_oversight_protocol::parameters::{hex, sha256};
use ring::rand::{SecureRandom, SystemRandom};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::claim_key::ClaimKey;

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
    /// The handle that belongs to the name of a request, or a fresh one.
    pub(crate) fn new(agent: &str, correlation_id: Option<&str>, key: &ClaimKey) -> Self {
        match correlation_id {
            Some(name) => Self {
                id: approval_id(agent, name),
                secret: key.secret(agent, name),
            },
            None => Self {
                id: approval_id(agent, &Uuid::now_v7().to_string()),
                secret: random_hex::<32>(),
            },
        }
    }

    /// Whether it is of a request of this agent.
    pub(crate) fn is_of(&self, agent: &str) -> bool {
        self.id == approval_id(agent, self.correlation_id())
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
