//! Callbacks: by these the gate wakes an agent, so that it looks at a request again. They are webhooks of Standard
//! Webhooks 1.0, signed with a secret that the gate's operator shares with the agent.
//!
//! A callback proves no decision. It may come twice, late, or after a newer one.
//! <https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use ring::hmac;
use ring::rand::SystemRandom;
use serde::{Deserialize, Serialize};

use crate::types::Status;

/// The header with the callback's name, which is the same at each attempt to deliver it.
pub const ID: &str = "webhook-id";

/// The header with the time of the attempt, in seconds since 1970.
pub const TIMESTAMP: &str = "webhook-timestamp";

/// The header with the signatures, separated by blanks.
pub const SIGNATURE: &str = "webhook-signature";

/// By how many seconds the time of the attempt may differ from the receiver's clock.
pub const LEEWAY_SECONDS: u64 = 300;

/// What the text of a secret begins with.
const PREFIX: &str = "whsec_";

/// What a signature with a shared secret begins with.
const VERSION: &str = "v1,";

/// The body of a callback. Unknown members, which a later gate may add, are ignored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Body {
    /// What happened, such as `request.decided`.
    #[serde(rename = "type")]
    pub kind: String,
    /// When it happened.
    pub timestamp: String,
    /// About which request.
    pub data: Data,
}

/// About which request a callback is, and how it was then.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Data {
    /// The agent that submitted it.
    pub agent_name: String,
    /// The agent's name for it.
    pub correlation_id: String,
    /// The place of this callback among those of the request, which may arrive in any order.
    pub sequence: u64,
    /// The state of the request.
    pub status: Status,
    /// The agent's own text, as it was submitted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
}

/// The secret of a channel, which gate and agent share.
#[derive(Clone)]
pub struct Secret(hmac::Key);

/// The text is no secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it must be `whsec_` and 24 to 64 bytes in base64")]
pub struct InvalidSecret;

/// Why a callback counts for nothing.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NotVerified {
    /// A header is missing, is there twice, or cannot be read.
    #[error("the callback needs the header {0} once, as the gate sends it")]
    Header(&'static str),
    /// It was sent more than [`LEEWAY_SECONDS`] before or after this time: it may be replayed, or a clock is wrong.
    #[error("the callback was sent at another time than now, by more than five minutes")]
    NotFresh,
    /// None of its signatures is one of this secret over this body.
    #[error("the callback has no signature of this secret")]
    BadSignature,
    /// It is signed, and is none of the gate's callbacks.
    #[error("the callback has another form than the gate's: {0}")]
    Malformed(#[from] serde_json::Error),
}

impl Secret {
    /// A fresh one, for a gate and an agent in one process.
    pub fn generate() -> Self {
        let key = hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new());
        Self(key.expect("the system provides random bytes"))
    }

    /// Parses `whsec_` and 24 to 64 bytes in base64.
    ///
    /// # Errors
    /// When the text is anything else.
    pub fn parse(text: &str) -> Result<Self, InvalidSecret> {
        let encoded = text.strip_prefix(PREFIX).ok_or(InvalidSecret)?;
        let bytes = BASE64.decode(encoded).map_err(|_| InvalidSecret)?;
        if !(24..=64).contains(&bytes.len()) {
            return Err(InvalidSecret);
        }
        Ok(Self(hmac::Key::new(hmac::HMAC_SHA256, &bytes)))
    }

    /// The value of [`SIGNATURE`] over the values of the other two headers and the body.
    pub fn sign(&self, id: &str, timestamp: &str, body: &[u8]) -> String {
        let signature = hmac::sign(&self.0, &signed(id, timestamp, body));
        format!("{VERSION}{}", BASE64.encode(signature))
    }

    /// Verifies a callback as it arrived: all headers of the call, whose names may be in any case, and the bytes of
    /// its body. `now` is in seconds since 1970.
    ///
    /// # Errors
    /// When it is anything but a callback of the gate's, signed with this secret and sent now.
    pub fn verify<N: AsRef<str>, V: AsRef<[u8]>>(
        &self,
        headers: impl IntoIterator<Item = (N, V)>,
        body: &[u8],
        now: i64,
    ) -> Result<Body, NotVerified> {
        let [id, timestamp, signatures] = pick([ID, TIMESTAMP, SIGNATURE], headers)?;
        let not_a_time = |_| NotVerified::Header(TIMESTAMP);
        let sent: i64 = timestamp.parse().map_err(not_a_time)?;
        if now.abs_diff(sent) > LEEWAY_SECONDS {
            return Err(NotVerified::NotFresh);
        }
        let signed = signed(&id, &timestamp, body);
        let mut signatures = signatures
            .split(' ')
            .filter_map(|it| it.strip_prefix(VERSION))
            .filter_map(|it| BASE64.decode(it).ok());
        // In constant time.
        if !signatures.any(|it| hmac::verify(&self.0, &signed, &it).is_ok()) {
            return Err(NotVerified::BadSignature);
        }
        Ok(serde_json::from_slice(body)?)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

fn signed(id: &str, timestamp: &str, body: &[u8]) -> Vec<u8> {
    [id.as_bytes(), b".", timestamp.as_bytes(), b".", body].concat()
}

/// The values of these headers, each of which must be there once.
fn pick<const COUNT: usize, N: AsRef<str>, V: AsRef<[u8]>>(
    names: [&'static str; COUNT],
    headers: impl IntoIterator<Item = (N, V)>,
) -> Result<[String; COUNT], NotVerified> {
    let mut values = names.map(|_| None);
    for (name, value) in headers {
        let Some(at) = names
            .iter()
            .position(|it| name.as_ref().eq_ignore_ascii_case(it))
        else {
            continue;
        };
        let unreadable = |_| NotVerified::Header(names[at]);
        let text = String::from_utf8(value.as_ref().to_vec()).map_err(unreadable)?;
        if values[at].replace(text).is_some() {
            return Err(NotVerified::Header(names[at]));
        }
    }
    if let Some(at) = values.iter().position(Option::is_none) {
        return Err(NotVerified::Header(names[at]));
    }
    Ok(values.map(Option::unwrap_or_default))
}
