//! Random bytes for keys, nonces, ids and jitter.

use ring::rand::{SecureRandom, SystemRandom};

/// Bytes from the system's secure random number generator.
pub fn random_bytes<const BYTES: usize>() -> [u8; BYTES] {
    let mut bytes = [0; BYTES];
    SystemRandom::new()
        .fill(&mut bytes)
        .expect("the system has random bytes");
    bytes
}
