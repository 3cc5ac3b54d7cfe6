use std::sync::LazyLock;

use human_oversight_protocol::parameters::hex;
use ring::hmac::{self, HMAC_SHA256};
use ring::rand::SystemRandom;

use crate::error::Error;

/// The key from which the secrets of named requests are derived, so that a second call under the same name has the
/// same handle.
#[derive(Clone, Debug)]
pub(crate) struct ClaimKey {
    key: hmac::Key,
    /// Whether it is the agent's, and not this process's alone.
    is_shared: bool,
}

impl ClaimKey {
    /// A random one, which is in the memory of this process alone.
    pub(crate) fn of_process() -> Self {
        static KEY: LazyLock<hmac::Key> = LazyLock::new(|| {
            hmac::Key::generate(HMAC_SHA256, &SystemRandom::new())
                .expect("the system provides random bytes")
        });
        Self {
            key: KEY.clone(),
            is_shared: false,
        }
    }

    /// The agent's, which several processes have.
    pub(crate) fn shared(key: &str) -> Result<Self, Error> {
        if key.len() != 64 || !key.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            let why =
                "HO_CLAIM_KEY must be 64 hexadecimal digits, as `openssl rand -hex 32` prints them";
            return Err(Error::Settings(why.to_owned()));
        }
        Ok(Self {
            // The digits, not what they say: as in the clients in other languages.
            key: hmac::Key::new(HMAC_SHA256, key.as_bytes()),
            is_shared: true,
        })
    }

    pub(crate) fn is_shared(&self) -> bool {
        self.is_shared
    }

    /// The secret of the request with this name.
    pub(crate) fn secret(&self, agent: &str, correlation_id: &str) -> String {
        let name = format!("{agent}\0{correlation_id}");
        hex(hmac::sign(&self.key, name.as_bytes()).as_ref())
    }
}
