//! Sending to channels.

use std::sync::Arc;
use std::time::Duration;

use human_oversight_protocol::callback;
use reqwest::header::CONTENT_TYPE;
use reqwest::{Client, StatusCode};

use super::channel::{Channel, Receiver};
use super::guard::PublicResolver;
use crate::azure::http::{builder, causes, retry_after};
use crate::values::Timestamp;

/// Sends messages to channels. Follows no redirect and uses no proxy; cheap to clone.
#[derive(Clone, Debug)]
pub struct Sender(Client);

/// What is sent to a channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Tells a webhook what it has processed already.
    pub id: String,
    /// JSON.
    pub body: String,
}

/// Why a channel did not accept a message. The text contains neither the URL nor the answer.
#[derive(Debug, thiserror::Error)]
pub enum ChannelError {
    #[error("it answers {}; only 2xx counts", .0.as_u16())]
    Status(StatusCode, Option<Duration>),
    #[error("it cannot be reached: {0}")]
    Unreachable(String),
}

impl Sender {
    /// A sender that connects only to public addresses, unless it `allows_private` ones. Slow: it reads the trusted
    /// certificates of the machine.
    ///
    /// # Errors
    /// When there are no trusted certificates.
    pub fn new(allows_private: bool) -> Result<Self, String> {
        let mut client = builder().no_proxy();
        if !allows_private {
            client = client.dns_resolver(Arc::new(PublicResolver));
        }
        Ok(Self(client.build().map_err(causes)?))
    }

    /// Sends a message, which a webhook gets signed at `now`.
    ///
    /// # Errors
    /// When the answer is no success, or there is none within `timeout`.
    pub async fn send(
        &self,
        channel: &Channel,
        Message { id, body }: &Message,
        now: Timestamp,
        timeout: Duration,
    ) -> Result<(), ChannelError> {
        let mut request = self
            .0
            .post(channel.url.url().clone())
            .timeout(timeout)
            .header(CONTENT_TYPE, "application/json");
        if let Receiver::Webhook(secret) = &channel.receiver {
            let at = now.unix_seconds().to_string();
            request = request
                .header(callback::ID, id)
                .header(callback::TIMESTAMP, &at)
                .header(callback::SIGNATURE, secret.sign(id, &at, body.as_bytes()));
        }
        let sent = request.body(body.clone()).send().await;
        let answer = sent.map_err(|error| ChannelError::Unreachable(causes(error)))?;
        let status = answer.status();
        if status.is_success() {
            return Ok(());
        }
        Err(ChannelError::Status(status, retry_after(answer.headers())))
    }
}

impl ChannelError {
    /// Whether the receiver wants no more messages.
    pub fn is_gone(&self) -> bool {
        matches!(self, Self::Status(StatusCode::GONE, _))
    }

    /// The pause that the receiver asks for.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Status(_, pause) => *pause,
            Self::Unreachable(_) => None,
        }
    }
}
