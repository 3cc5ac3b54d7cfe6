//! A pause: while it stands, no approval that it covers is claimed, and no request that it covers is
//! submitted. It ends when the operator removes it; no clock takes part.

use std::fmt;

use human_oversight_protocol::types::AGENT_CHARS;

use crate::content;
use crate::reveal;
use crate::values::{Owner, Timestamp};

/// A pause.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pause {
    pub scope: PauseScope,
    /// When it was set, by the clock that set it.
    pub since: Timestamp,
    /// The operator's reason, for operators only.
    pub reason: Option<String>,
}

/// What a pause covers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PauseScope {
    All,
    /// The requests of this owner.
    Owner(Owner),
    /// The requests of the agent with this name, and with every name that reads the same. An agent states its
    /// name itself, unless `HO_AGENT_KEYS` or its identity binds it.
    Agent(String),
}

/// Why a scope or a reason cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPause {
    #[error("a pause is for one owner or for one agent, not for both")]
    TwoScopes,
    #[error("an owner is `agents:NAME`, `key:SHA256`, `entra:OBJECT-ID` or `local`")]
    Owner,
    #[error("an agent has 1 to 128 characters on one line")]
    Agent,
    #[error("the reason has 1 to 500 characters on one line")]
    Reason,
}

const REASON_CHARS: usize = 500;

impl PauseScope {
    /// The scope of an owner or an agent, or of everything if neither is named.
    ///
    /// # Errors
    /// When both are named, or cannot be one.
    pub fn new(owner: Option<&str>, agent: Option<&str>) -> Result<Self, InvalidPause> {
        match (owner, agent) {
            (None, None) => Ok(Self::All),
            (Some(owner), None) => {
                let owner = Owner::parse(owner.trim()).ok_or(InvalidPause::Owner);
                owner.map(Self::Owner)
            }
            (None, Some(agent)) => {
                let agent = line(agent, AGENT_CHARS).ok_or(InvalidPause::Agent);
                agent.map(Self::Agent)
            }
            (Some(_), Some(_)) => Err(InvalidPause::TwoScopes),
        }
    }

    /// The scope of this kind and name.
    pub fn from_word(word: &str, name: Option<&str>) -> Option<Self> {
        let scope = match word {
            "all" => Self::new(None, None),
            "owner" => Self::new(Some(name?), None),
            "agent" => Self::new(None, Some(name?)),
            _ => return None,
        };
        scope.ok()
    }

    /// The kind of the scope, in rows and responses.
    pub fn word(&self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Owner(_) => "owner",
            Self::Agent(_) => "agent",
        }
    }

    /// The owner or the agent.
    pub fn name(&self) -> Option<String> {
        match self {
            Self::All => None,
            Self::Owner(owner) => Some(owner.to_string()),
            Self::Agent(name) => Some(name.clone()),
        }
    }

    /// What tells it from the scopes of other pauses: an agent's name in any capitals is one.
    pub fn key(&self) -> (&'static str, Option<String>) {
        let name = self.name();
        let key = match self {
            Self::Agent(_) => name.map(|name| name.to_lowercase()),
            Self::All | Self::Owner(_) => name,
        };
        (self.word(), key)
    }

    /// Whether it may cover a request of this owner and agent, where it is not known which credential submits or claims
    /// it: a row can lack its owner, and the operator may name by itself a key or program that `HO_AGENT_KEYS` gives agents.
    pub fn may_cover(&self, owner: Option<&Owner>, agent: &str) -> bool {
        match (self, owner) {
            (Self::Owner(_), None) => true,
            (Self::Owner(Owner::Key(_) | Owner::Identity(_)), Some(Owner::Agents(_))) => true,
            _ => self.covers(owner, agent),
        }
    }

    /// Whether it covers a request of this owner, if it has one, and this agent.
    pub fn covers(&self, owner: Option<&Owner>, agent: &str) -> bool {
        match self {
            Self::All => true,
            Self::Owner(name) => owner == Some(name),
            Self::Agent(name) => {
                let [name, agent] = [name, agent].map(|it| it.trim().to_lowercase());
                // In ASCII, `worker-l` and `worker-1` are two agents.
                let is_plain = name.is_ascii() && agent.is_ascii();
                name == agent || (!is_plain && content::reads_the_same(&name, &agent))
            }
        }
    }
}

impl fmt::Display for PauseScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("everything"),
            Self::Owner(name) => write!(f, "the owner {name}"),
            Self::Agent(name) => write!(f, "the agent {name}"),
        }
    }
}

impl Pause {
    /// A pause that begins now.
    ///
    /// # Errors
    /// When the reason cannot be used.
    pub fn new(
        scope: PauseScope,
        reason: Option<&str>,
        now: Timestamp,
    ) -> Result<Self, InvalidPause> {
        let reason = reason.map(|reason| line(reason, REASON_CHARS).ok_or(InvalidPause::Reason));
        Ok(Self {
            scope,
            since: now,
            reason: reason.transpose()?,
        })
    }
}

/// A text of one line in which something shows, without spaces around it.
fn line(text: &str, longest: usize) -> Option<String> {
    let text = text.trim();
    let is_line = reveal::is_shown(text)
        && text.chars().count() <= longest
        && !text.contains(|c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}'));
    is_line.then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_covers_its_owner_or_its_agent_in_any_capitals() {
        let scope = |owner, agent| PauseScope::new(owner, agent).unwrap();
        assert!(scope(None, None).covers(None, "RefundAgent"));
        let refunds = Owner::Agents("Refund*".to_owned());
        let owner = scope(Some("agents:Refund*"), None);
        assert!(owner.covers(Some(&refunds), "RefundAgent"));
        assert!(!owner.covers(Some(&Owner::Local), "RefundAgent"));
        assert!(!owner.covers(None, "RefundAgent"));
        let agent = scope(None, Some(" refundagent "));
        assert!(agent.covers(Some(&refunds), "RefundAgent"));
        assert!(agent.covers(None, "RefundAgent"));
        assert!(!agent.covers(Some(&refunds), "RefundAgent2"));
        for same in [
            "RefundAgent ",
            "Refund\u{200b}Agent",
            "R\u{435}fundAgent",
            "\u{ff32}efundAgent",
        ] {
            assert!(agent.covers(None, same), "{same:?}");
        }
        assert!(!scope(None, Some("worker-1")).covers(None, "worker-l"));
    }

    #[test]
    fn a_scope_is_one_and_a_text_is_one_line() {
        let both = PauseScope::new(Some("local"), Some("b"));
        assert_eq!(both, Err(InvalidPause::TwoScopes));
        let long = "x".repeat(129);
        for name in ["", " ", "a\nb", "a\u{2028}b", long.as_str()] {
            assert_eq!(PauseScope::new(None, Some(name)), Err(InvalidPause::Agent));
            assert_eq!(PauseScope::new(Some(name), None), Err(InvalidPause::Owner));
        }
        let now = Timestamp::parse("2026-11-22T17:30:00Z").unwrap();
        let long = "x".repeat(501);
        for reason in ["", "a\nb", long.as_str()] {
            let pause = Pause::new(PauseScope::All, Some(reason), now);
            assert_eq!(pause, Err(InvalidPause::Reason));
        }
    }
}
