//! A channel of the organisation.

use human_oversight_protocol::callback::Secret;

use super::url::ChannelUrl;

/// A channel.
#[derive(Clone, Debug)]
pub struct Channel {
    /// Its name in the policy.
    pub name: String,
    pub url: ChannelUrl,
    pub receiver: Receiver,
    /// Whether it gets the pauses of operations.
    pub gets_pauses: bool,
}

/// What receives the messages of a channel.
#[derive(Clone, Debug)]
pub enum Receiver {
    /// A webhook, which verifies signatures made with its secret.
    Webhook(Secret),
    /// A workflow of Microsoft Teams, which posts cards.
    Teams,
}
