//! Sending to a webhook.

use std::sync::Arc;
use std::time::Duration;

use reqwest::StatusCode;
use reqwest::header::CONTENT_TYPE;

use super::guard::PublicResolver;
use super::secret::WebhookSecret;
use super::url::ChannelUrl;
use crate::azure::http::{builder, causes};
use crate::values::Timestamp;

/// A webhook of the organisation.
#[derive(Clone, Debug)]
pub struct Webhook {
    /// The name of the channel.
    pub name: String,
    pub url: ChannelUrl,
    pub secret: WebhookSecret,
}

/// What is sent to a webhook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Tells the receiver what it has processed already.
    pub id: String,
    /// JSON.
    pub body: String,
}

/// Why a webhook did not accept a message. The text contains neither the URL nor the answer.
#[derive(Debug, thiserror::Error)]
pub enum WebhookError {
    #[error("it answers {}; only 2xx counts", .0.as_u16())]
    Status(StatusCode),
    #[error("it cannot be reached: {0}")]
    Unreachable(String),
}

impl Webhook {
    /// Sends a message, signed at `now`. Follows no redirect, uses no proxy, and connects to no address that is not
    /// public, unless the URL allows that.
    ///
    /// # Errors
    /// When the answer is no success, or there is none within `timeout`.
    pub async fn send(
        &self,
        message: &Message,
        now: Timestamp,
        timeout: Duration,
    ) -> Result<(), WebhookError> {
        let unreachable = |error| WebhookError::Unreachable(causes(error));
        let mut client = builder().no_proxy().timeout(timeout);
        if !self.url.allows_private() {
            client = client.dns_resolver(Arc::new(PublicResolver));
        }
        let client = client.build().map_err(unreachable)?;
        let Message { id, body } = message;
        let at = now.unix_seconds();
        let request = client
            .post(self.url.url().clone())
            .header(CONTENT_TYPE, "application/json")
            .header("webhook-id", id)
            .header("webhook-timestamp", at)
            .header("webhook-signature", self.secret.sign(id, at, body))
            .body(body.clone());
        let status = request.send().await.map_err(unreachable)?.status();
        if status.is_success() {
            Ok(())
        } else {
            Err(WebhookError::Status(status))
        }
    }
}
