//! The file of settings, and the environment.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use human_oversight_client::Gate;
use human_oversight_protocol::types::{ACTION_CHARS, AGENT_BYTES, AGENT_CHARS, TIMEOUT_SECONDS};
use serde::Deserialize;
use serde::de::Error;
use serde_json::Map;

use crate::call::check_action;
use crate::claim_key::{ClaimKey, InvalidClaimKey};
use crate::line::is_line;
use crate::pattern::Pattern;
use crate::span;
use crate::template::{Filling, Texts};

/// The file of settings.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// The agent's name at the gate.
    #[serde(deserialize_with = "agent")]
    pub(crate) agent: String,
    /// Tools that need approval although `pass` names them.
    #[serde(default)]
    hold: Vec<Pattern>,
    /// Tools that need none.
    #[serde(default)]
    pass: Vec<Pattern>,
    /// The time for a decision; the default is the gate's.
    #[serde(default, deserialize_with = "timeout")]
    pub(crate) timeout: Option<Duration>,
    /// What people read as the action.
    #[serde(default, deserialize_with = "action")]
    action: Option<Texts>,
    /// What people read first of the parameters.
    #[serde(default)]
    summary: Option<Texts>,
}

/// What cannot be used of the settings.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    #[error("{}: {source}", .file.display())]
    Unreadable {
        file: PathBuf,
        source: std::io::Error,
    },
    #[error("{}: {}", .file.display(), .source.to_string().trim_end())]
    Invalid {
        file: PathBuf,
        source: Box<toml::de::Error>,
    },
    #[error(
        "the action must have at most {ACTION_CHARS} characters with the name of the server and that of a tool, and the \
         name of the server none that controls or turns a line: change `action`, or --server"
    )]
    Action,
    #[error("HO_CLAIM_KEY is not set: it must be a key that `human-oversight-mcp keygen` prints")]
    NoClaimKey,
    #[error(transparent)]
    ClaimKey(#[from] InvalidClaimKey),
    #[error("APPROVER_EMAILS must be email addresses, separated by commas")]
    Approvers,
    #[error(transparent)]
    Gate(#[from] human_oversight_client::Error),
}

impl Config {
    /// Reads the file.
    pub(crate) fn read(file: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(file).map_err(|source| ConfigError::Unreadable {
            file: file.to_owned(),
            source,
        })?;
        toml::from_str(&text).map_err(|source| ConfigError::Invalid {
            file: file.to_owned(),
            source: Box::new(source),
        })
    }

    /// Whether people can be shown a call of this server, if the name of its tool is short.
    pub(crate) fn check(&self, server: &str) -> Result<(), ConfigError> {
        let filling = Filling {
            server,
            tool: "x",
            arguments: &Map::new(),
        };
        check_action(&self.action(&filling), "x").map_err(|_| ConfigError::Action)?;
        let actions = self.action.iter().flat_map(|it| it.fill_all(&filling));
        for action in actions {
            check_action(&action, "x").map_err(|_| ConfigError::Action)?;
        }
        Ok(())
    }

    /// Whether calls of this tool need approval: all do but those of `pass`, and of those the ones of `hold`.
    pub(crate) fn holds(&self, server: &str, tool: &str) -> bool {
        let is_named = self.hold.iter().any(|it| it.may_mean(server, tool));
        is_named || !self.pass.iter().any(|it| it.matches(server, tool))
    }

    /// A misspelt pattern of `hold` must not let a tool of `pass` run in silence.
    pub(crate) fn warn_of_idle_patterns(&self, server: &str, tools: &HashSet<String>) {
        let means_none = |it: &&Pattern| !tools.iter().any(|tool| it.may_mean(server, tool));
        for pattern in self.hold.iter().filter(means_none).map(Pattern::as_str) {
            tracing::warn!(
                pattern,
                "hold names no tool of this server: what it was to hold runs without approval if pass names it"
            );
        }
    }

    /// What people read as the action.
    pub(crate) fn action(&self, filling: &Filling<'_>) -> String {
        let text = self.action.as_ref().and_then(|texts| texts.fill(filling));
        text.unwrap_or_else(|| format!("Call {} of {}", filling.tool, filling.server))
    }

    /// What people read first of the parameters, if the file says.
    pub(crate) fn summary(&self, filling: &Filling<'_>) -> Option<String> {
        self.summary.as_ref()?.fill(filling)
    }
}

/// The gate, and the key of claim secrets, as the environment names them.
pub(crate) fn read_environment() -> Result<(Gate, ClaimKey), ConfigError> {
    let key = std::env::var_os("HO_CLAIM_KEY").ok_or(ConfigError::NoClaimKey)?;
    let key = ClaimKey::parse(key.to_str().ok_or(InvalidClaimKey)?)?;
    if !approvers().iter().all(|it| is_address(it)) {
        return Err(ConfigError::Approvers);
    }
    Ok((Gate::from_env()?, key))
}

/// Whether the environment names approvers.
pub(crate) fn has_approvers() -> bool {
    !approvers().is_empty()
}

fn approvers() -> Vec<String> {
    let list = std::env::var("APPROVER_EMAILS").unwrap_or_default();
    let items = list.split(',').map(str::trim).filter(|it| !it.is_empty());
    items.map(str::to_owned).collect()
}

/// Whether the gate may take it for one; what it refuses besides is logged with the first held call.
fn is_address(text: &str) -> bool {
    let is_odd = |c: char| c.is_whitespace() || c.is_control() || ";<>".contains(c);
    let parts: Vec<&str> = text.split('@').collect();
    parts.len() == 2 && parts.iter().all(|it| !it.is_empty()) && !text.contains(is_odd)
}

fn agent<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let agent = String::deserialize(deserializer)?;
    let fits = (1..=AGENT_CHARS).contains(&agent.chars().count()) && agent.len() <= AGENT_BYTES;
    if !fits || agent.trim() != agent || !is_line(&agent) {
        return Err(D::Error::custom(format!(
            "must have 1 to {AGENT_CHARS} characters on one line, none of which turns it (at most {AGENT_BYTES} bytes), without \
             blanks at its ends"
        )));
    }
    Ok(agent)
}

fn timeout<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Duration>, D::Error> {
    let timeout = span::parse(&String::deserialize(deserializer)?).map_err(D::Error::custom)?;
    if !TIMEOUT_SECONDS.contains(&timeout.as_secs()) {
        let (least, most) = (TIMEOUT_SECONDS.start(), TIMEOUT_SECONDS.end() / 86_400);
        return Err(D::Error::custom(format!(
            "must be from {least}s to {most}d"
        )));
    }
    Ok(Some(timeout))
}

fn action<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Texts>, D::Error> {
    let texts = Texts::deserialize(deserializer)?;
    if texts.has_arguments() {
        // The gate's policy has rules for actions, and people recognise them by their words.
        return Err(D::Error::custom(
            "an action has the same words each time: arguments belong in `summary`",
        ));
    }
    if !texts.are_lines() {
        return Err(D::Error::custom(
            "must have characters, on one line, and none that turns it",
        ));
    }
    Ok(Some(texts))
}
