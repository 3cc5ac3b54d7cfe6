//! The channels of a policy: other systems that can be told.

use std::collections::BTreeMap;

use super::matched::{MAX_NAME, is_name};
use super::read_values::read_globs;
use super::reader::{Members, Node};
use super::text::{Glob, Text};
use super::truth::Truth;

/// The most channels of a policy.
const MAX_CHANNELS: usize = 20;
/// The most channels that are notified of a request, or of pauses.
pub const MAX_TOLD: usize = 5;
/// The most characters of the name of a setting.
const SETTING_CHARS: usize = 100;
/// What the setting with a channel's URL begins with, and what the one with its secret ends with.
const SETTING: &str = "HO_CHANNEL_";
const SECRET: &str = "_SECRET";

/// A channel that the policy names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Channel {
    pub name: String,
    pub kind: ChannelKind,
    /// The line of its URL.
    pub line: usize,
    /// The name of the setting that holds its URL.
    pub url_setting: String,
    /// Whether it gets the pauses of operations.
    pub gets_pauses: bool,
    /// The agents that it can call back.
    callback_for: Vec<Glob>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChannelKind {
    Webhook,
    /// A workflow of Microsoft Teams that posts cards.
    Teams,
}

impl Channel {
    /// Whether it can call this agent back: a name that may only be read as one of the list's is not enough.
    pub fn can_call_back(&self, agent: &str) -> bool {
        let agent = Text::new(agent);
        let mut globs = self.callback_for.iter();
        globs.any(|glob| glob.matches(&agent) == Truth::True)
    }

    /// The name of the setting that holds its secret.
    pub fn secret_setting(&self) -> String {
        format!("{}{SECRET}", self.url_setting)
    }

    /// The names of the settings that it has: those with its URL and, for a webhook, its secret.
    pub fn settings(&self) -> impl Iterator<Item = String> {
        let secret = (self.kind == ChannelKind::Webhook).then(|| self.secret_setting());
        std::iter::once(self.url_setting.clone()).chain(secret)
    }
}

pub(super) fn read(mut table: Members<'_>) -> Vec<Channel> {
    let mut channels = Vec::new();
    let mut lines: BTreeMap<String, usize> = BTreeMap::new();
    for (index, (name, _, mut node)) in table.take_all().enumerate() {
        node.name = format!("channel `{}`", crate::reveal::line(name, MAX_NAME));
        if index == MAX_CHANNELS {
            node.fault(format!(
                "is one too many: a policy has at most {MAX_CHANNELS} channels"
            ));
            break;
        }
        if !is_name(name) {
            node.fault(format!(
                "must have a name of 1 to {MAX_NAME} letters and digits of ASCII, `-` and `_`"
            ));
        }
        let Some(mut members) = node.table() else {
            continue;
        };
        let kind = members.require("kind").and_then(|node| {
            node.word(&[
                ("webhook", ChannelKind::Webhook),
                ("teams", ChannelKind::Teams),
            ])
        });
        let callback_for = members.take("callback_for");
        if let Some(node) = &callback_for
            && kind == Some(ChannelKind::Teams)
        {
            node.fault("belongs to a channel of the kind \"webhook\"");
        }
        let pauses = members.take("pauses");
        let gets_pauses = pauses.as_ref().and_then(Node::boolean) == Some(true);
        let others = channels.iter().filter(|it: &&Channel| it.gets_pauses);
        if let Some(node) = pauses.filter(|_| gets_pauses && others.count() == MAX_TOLD) {
            node.fault(format!(
                "is one too many: at most {MAX_TOLD} channels get pauses"
            ));
        }
        let url = members.require("url");
        let url = url.and_then(|node| read_setting(&node, &mut lines));
        if let (Some(kind), Some((line, url_setting))) = (kind, url) {
            channels.push(Channel {
                name: name.to_owned(),
                kind,
                line,
                url_setting,
                gets_pauses,
                callback_for: callback_for.map_or_else(Vec::new, |node| read_globs(&node)),
            });
        }
        members.finish();
    }
    channels
}

/// The line, and the name of a setting that no other channel has.
fn read_setting(node: &Node<'_>, lines: &mut BTreeMap<String, usize>) -> Option<(usize, String)> {
    let text = node.text(SETTING_CHARS)?;
    let rest = text.strip_prefix(SETTING).unwrap_or_default();
    let is_plain = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
    if rest.is_empty() || !rest.chars().all(is_plain) || rest.ends_with(SECRET) {
        // The text may be the URL itself, which is a secret.
        node.fault(format!(
            "must be the name of the setting with the URL: {SETTING} and capitals, digits and `_`, without \
             {SECRET} at the end"
        ));
        return None;
    }
    if let Some(earlier) = lines.insert(text.to_owned(), node.line) {
        node.fault(format!("is that of the channel in line {earlier}"));
        return None;
    }
    Some((node.line, text.to_owned()))
}

/// The names of channels, sorted.
pub(super) fn read_tell(node: &Node<'_>, channels: &[Channel]) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for (item, name) in node.texts(1..=MAX_NAME) {
        if channels.iter().any(|channel| channel.name == name) {
            names.push(name.to_owned());
        } else {
            item.fault(format!(
                "is no channel: there is no `{}` in [channels]",
                crate::reveal::line(name, MAX_NAME)
            ));
        }
    }
    names.sort();
    names.dedup();
    if names.len() > MAX_TOLD {
        node.fault(format!("must have at most {MAX_TOLD} items"));
    }
    names
}
