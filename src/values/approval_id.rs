//! The id of a request.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use human_oversight_protocol::types::{AGENT_BYTES, AGENT_CHARS, CORRELATION_CHARS};

/// `base64url(agent name) . correlation id`: safe in a URL, and decodes without a look-up.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ApprovalId {
    agent: String,
    correlation: String,
}

impl ApprovalId {
    /// `None` unless both parts are valid: an agent name of 1 to 128 characters and at most 170 bytes
    /// without control characters; a correlation id of `[A-Za-z0-9._-]{1,64}`.
    pub fn new(agent: &str, correlation: &str) -> Option<Self> {
        let agent_fits = (1..=AGENT_CHARS).contains(&agent.chars().count())
            && agent.len() <= AGENT_BYTES
            && !agent.chars().any(char::is_control);
        (agent_fits && is_plain_name(correlation, CORRELATION_CHARS)).then(|| Self {
            agent: agent.to_owned(),
            correlation: correlation.to_owned(),
        })
    }

    pub fn agent(&self) -> &str {
        &self.agent
    }

    pub fn correlation(&self) -> &str {
        &self.correlation
    }
}

/// Whether `text` is 1 to `longest` characters of `[A-Za-z0-9._-]`.
pub fn is_plain_name(text: &str, longest: usize) -> bool {
    (1..=longest).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
}

impl fmt::Display for ApprovalId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", BASE64URL.encode(&self.agent), self.correlation)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an approval id")]
pub struct InvalidId;

impl FromStr for ApprovalId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let (agent, correlation) = text.split_once('.').ok_or(InvalidId)?;
        let agent = BASE64URL.decode(agent).map_err(|_| InvalidId)?;
        let agent = String::from_utf8(agent).map_err(|_| InvalidId)?;
        Self::new(&agent, correlation).ok_or(InvalidId)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_survives_writing_and_parsing() {
        for agent in [
            "UserManagerAgent",
            "a/b\\c#d?e",
            "Ärzte 👩‍⚕️",
            &"x".repeat(128),
            &"ж".repeat(85),
        ] {
            let correlation = format!("run-1.b_2{}", "x".repeat(55));
            let id = ApprovalId::new(agent, &correlation).unwrap();
            assert_eq!((id.agent(), id.correlation()), (agent, &*correlation));
            let text = id.to_string();
            assert!(
                text.bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b)),
                "{text}"
            );
            assert_eq!(text.parse(), Ok(id));
        }
    }

    #[test]
    fn invalid_parts_and_texts_are_refused() {
        for (agent, correlation) in [
            ("", "x"),
            ("a\nb", "x"),
            (&"x".repeat(129) as &str, "x"),
            (&"€".repeat(57), "x"),
            ("a", ""),
            ("a", "../../x"),
            ("a", "ü"),
            ("a", &"x".repeat(65)),
        ] {
            assert_eq!(
                ApprovalId::new(agent, correlation),
                None,
                "{agent} {correlation}"
            );
        }
        for text in [
            "", ".", "YQ", "YQ.", ".x", "YQ==.x", "Y!.x", "_w.x", "YQ.x/y",
        ] {
            assert_eq!(text.parse::<ApprovalId>(), Err(InvalidId), "{text}");
        }
    }
}
