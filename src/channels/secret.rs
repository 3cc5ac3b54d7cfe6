//! The signatures of Standard Webhooks 1.0 with a shared secret (`v1`).

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;

/// What the text of a secret begins with.
const PREFIX: &str = "whsec_";

/// The secret of a webhook, which its receiver has too.
#[derive(Clone)]
pub struct WebhookSecret(hmac::Key);

/// The text is no secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it must be `whsec_` and 24 to 64 bytes in base64")]
pub struct InvalidSecret;

impl WebhookSecret {
    /// Parses `whsec_` and 24 to 64 bytes in base64.
    ///
    /// # Errors
    /// When the text is anything else.
    pub fn parse(text: &str) -> Result<Self, InvalidSecret> {
        let encoded = text.strip_prefix(PREFIX).ok_or(InvalidSecret)?;
        let bytes = STANDARD.decode(encoded).map_err(|_| InvalidSecret)?;
        if !(24..=64).contains(&bytes.len()) {
            return Err(InvalidSecret);
        }
        Ok(Self(hmac::Key::new(hmac::HMAC_SHA256, &bytes)))
    }

    /// The value of the header `webhook-signature`, over what the other two headers say and the body.
    pub(super) fn sign(&self, id: &str, unix_seconds: i64, body: &str) -> String {
        let signed = format!("{id}.{unix_seconds}.{body}");
        let signature = hmac::sign(&self.0, signed.as_bytes());
        format!("v1,{}", STANDARD.encode(signature))
    }
}

impl fmt::Debug for WebhookSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WebhookSecret")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_has_24_to_64_bytes() {
        let secret = |length| format!("whsec_{}", STANDARD.encode(vec![7; length]));
        for (length, is_valid) in [(23, false), (24, true), (64, true), (65, false)] {
            assert_eq!(WebhookSecret::parse(&secret(length)).is_ok(), is_valid);
        }
        let bare = STANDARD.encode([7; 32]);
        assert!(WebhookSecret::parse(&bare).is_err());
        assert!(WebhookSecret::parse("whsec_not base64, but long enough").is_err());
        let read = WebhookSecret::parse(&secret(32)).unwrap();
        assert_eq!(format!("{read:?}"), "WebhookSecret");
    }
}
