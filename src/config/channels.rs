//! The channels that the policy names: their URLs and secrets.

use std::fmt::Display;

use super::error::{ConfigError, ConfigErrors};
use super::lookup::non_empty;
use crate::channels::{ChannelUrl, Webhook, WebhookSecret};
use crate::policy::{Channel, Policy};

/// The channels whose settings can be used. The errors of the others are recorded.
pub(super) fn channels(
    policy: Option<&Policy>,
    lookup: impl Fn(&str) -> Option<String>,
    allows_private: bool,
    errors: &mut ConfigErrors,
) -> Vec<Webhook> {
    let parse_url = |text: &str| ChannelUrl::parse(text, allows_private);
    let mut webhooks = Vec::new();
    for channel in policy.map_or(&[][..], Policy::channels) {
        let url = setting(channel, channel.url_setting.clone(), &lookup, parse_url);
        let secret = channel.secret_setting();
        let secret = setting(channel, secret, &lookup, WebhookSecret::parse);
        if let (Some(url), Some(secret)) = (errors.keep(url), errors.keep(secret)) {
            let name = channel.name.clone();
            webhooks.push(Webhook { name, url, secret });
        }
    }
    webhooks
}

/// Reads one setting of a channel.
fn setting<T, E: Display>(
    channel: &Channel,
    name: String,
    lookup: impl Fn(&str) -> Option<String>,
    parse: impl Fn(&str) -> Result<T, E>,
) -> Result<T, ConfigError> {
    let parsed = match non_empty(lookup, &name) {
        Some(text) => parse(&text).map_err(|why| why.to_string()),
        None => Err("it is not set".to_owned()),
    };
    parsed.map_err(|why| ConfigError::Channel {
        name,
        why,
        channel: channel.name.clone(),
        line: channel.line,
    })
}
