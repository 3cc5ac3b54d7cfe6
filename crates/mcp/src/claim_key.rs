//! The key from which the names and the claim secrets of requests are derived, so that a restart finds what it
//! asked, and can run what was approved meanwhile.

use human_oversight_protocol::parameters::hex;
use ring::hmac;
use ring::rand::{SecureRandom, SystemRandom};

/// A key of 32 bytes, written as 64 hexadecimal digits. The HMAC has the bytes as its key; that of the clients' handles, under
/// the same setting, has the digits, and none of its handles is used here.
pub(crate) struct ClaimKey(hmac::Key);

#[derive(Debug, thiserror::Error)]
#[error("HO_CLAIM_KEY must be 64 hexadecimal digits, as `human-oversight-mcp keygen` prints them")]
pub(crate) struct InvalidClaimKey;

impl ClaimKey {
    pub(crate) fn parse(text: &str) -> Result<Self, InvalidClaimKey> {
        let text = text.trim().as_bytes();
        let digit = |digit: u8| {
            char::from(digit)
                .to_digit(16)
                .and_then(|it| u8::try_from(it).ok())
        };
        let byte = |pair: &[u8]| Some(digit(pair[0])? << 4 | digit(pair[1])?);
        let bytes: Option<Vec<u8>> = match text.len() {
            64 => text.chunks(2).map(byte).collect(),
            _ => None,
        };
        let bytes = bytes.ok_or(InvalidClaimKey)?;
        Ok(Self(hmac::Key::new(hmac::HMAC_SHA256, &bytes)))
    }

    /// A fresh key, as text.
    pub(crate) fn generate() -> String {
        random_hex::<32>()
    }

    /// The secret that the gate demands for the claim of this request.
    pub(crate) fn claim_secret(&self, id: &str) -> String {
        self.tag("claim", id)
    }

    /// The name of a request of this content: 40 hexadecimal digits.
    pub(crate) fn name(&self, content: &str) -> String {
        let mut name = self.tag("name", content);
        name.truncate(40);
        name
    }

    fn tag(&self, purpose: &str, text: &str) -> String {
        let tag = hmac::sign(&self.0, format!("{purpose}:{text}").as_bytes());
        hex(tag.as_ref())
    }
}

/// Random bytes as hexadecimal digits.
pub(crate) fn random_hex<const BYTES: usize>() -> String {
    let mut bytes = [0; BYTES];
    SystemRandom::new()
        .fill(&mut bytes)
        .expect("the system provides random bytes");
    hex(&bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_64_hexadecimal_digits() {
        assert!(ClaimKey::parse(&ClaimKey::generate()).is_ok());
        assert!(ClaimKey::parse(&format!(" {}\n", ClaimKey::generate())).is_ok());
        let short = "0".repeat(63);
        for wrong in [
            "",
            &short,
            &format!("{short}g"),
            &format!("{short}00"),
            &"é".repeat(32),
        ] {
            assert!(ClaimKey::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn names_and_secrets_depend_on_the_key_and_on_their_purpose() {
        let [one, other] = ["11", "22"].map(|byte| ClaimKey::parse(&byte.repeat(32)).unwrap());
        assert_eq!(one.claim_secret("a"), one.claim_secret("a"));
        assert_ne!(one.claim_secret("a"), one.claim_secret("b"));
        assert_ne!(one.claim_secret("a"), other.claim_secret("a"));
        assert_eq!(one.name("a").len(), 40);
        assert!(!one.claim_secret("a").starts_with(&one.name("a")));
    }
}
