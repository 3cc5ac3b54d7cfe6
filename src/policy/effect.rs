//! What a policy says about a request.

use std::time::Duration;

use serde_json::Value;

use super::matched::{Matched, RuleId};
use super::requirement::Requirement;
use crate::values::Address;

/// A request, as far as rules look at it.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    pub agent: &'a str,
    pub action: &'a str,
    /// The parameters, parsed from strict JSON: each number is exact.
    pub parameters: &'a Value,
    pub on_behalf_of: Option<&'a Address>,
    /// The approvers whom the agent names.
    pub requested: &'a [Address],
}

/// What becomes of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// No rule decides, and the default leaves it to the approvers whom the agent names.
    Requester {
        /// Why limits keep rules from deciding.
        limits: Vec<String>,
    },
    /// The first candidate whose limit allows it approves; if none does, what the default says.
    Approve {
        /// The rules, in the order of the file.
        candidates: Vec<Candidate>,
        /// What the default says, where all their limits are used up.
        otherwise: Box<Self>,
    },
    Deny {
        /// The rules, in the order of the file, or the default alone.
        rules: Vec<Matched>,
        /// The words of the first, for agent and people.
        reason: String,
    },
    Require(Requirement),
}

/// An `approve` rule that applies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    pub rule: Matched,
    pub limit: Option<Limit>,
}

/// Why a candidate with a limit does not approve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LimitRefusal {
    UsedUp,
    /// The uses cannot be read or written.
    Uncounted,
}

impl LimitRefusal {
    /// The fact, in words for people.
    pub fn fact(self, rule: &RuleId) -> String {
        match self {
            Self::UsedUp => format!("the limit of rule {rule} is used up"),
            Self::Uncounted => {
                format!("the uses of rule {rule}, which has a limit, cannot be counted")
            }
        }
    }
}

impl Effect {
    /// What the default says, with other facts about the limits.
    pub fn since_limits(mut self, facts: Vec<String>) -> Self {
        let rules = match &mut self {
            Self::Requester { limits } => {
                *limits = facts;
                return self;
            }
            Self::Deny { rules, .. } => rules,
            Self::Require(requirement) => &mut requirement.rules,
            Self::Approve { .. } => return self,
        };
        let default = RuleId::default_rule();
        if let Some(matched) = rules.iter_mut().find(|matched| matched.rule == default) {
            matched.facts = facts;
        }
        self
    }
}

/// The most requests that an `approve` rule approves for one owner in any period of this length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    pub times: u32,
    pub per: Duration,
}
