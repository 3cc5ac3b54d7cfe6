//! Channels: webhooks of the organisation's other systems, signed by Standard Webhooks 1.0.

mod guard;
mod secret;
mod url;
mod webhook;

pub use secret::{InvalidSecret, WebhookSecret};
pub use url::{ChannelUrl, InvalidUrl};
pub use webhook::{Message, Webhook, WebhookError};
