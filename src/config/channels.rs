//! The channels that the policy names: their URLs and secrets.

use std::fmt::Display;

use human_oversight_protocol::callback::Secret;

use super::error::{ConfigError, ConfigErrors};
use super::lookup::non_empty;
use crate::channels::{Channel, ChannelUrl, Receiver};
use crate::policy::{self, ChannelKind, Policy};

/// The channels whose settings can be used. The errors of the others are recorded.
pub(super) fn channels(
    policy: Option<&Policy>,
    lookup: impl Fn(&str) -> Option<String>,
    allows_private: bool,
    errors: &mut ConfigErrors,
) -> Vec<Channel> {
    let parse_url = |text: &str| ChannelUrl::parse(text, allows_private);
    let mut channels = Vec::new();
    for channel in policy.map_or(&[][..], Policy::channels) {
        let url = setting(channel, channel.url_setting.clone(), &lookup, parse_url);
        let receiver = match channel.kind {
            ChannelKind::Webhook => {
                let secret = channel.secret_setting();
                let secret = setting(channel, secret, &lookup, Secret::parse);
                secret.map(Receiver::Webhook)
            }
            ChannelKind::Teams => Ok(Receiver::Teams),
        };
        if let (Some(url), Some(receiver)) = (errors.keep(url), errors.keep(receiver)) {
            let name = channel.name.clone();
            channels.push(Channel {
                name,
                url,
                receiver,
                gets_pauses: channel.gets_pauses,
            });
        }
    }
    channels
}

/// Reads one setting of a channel.
fn setting<T, E: Display>(
    channel: &policy::Channel,
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
