//! The request that an agent submits.

use std::fmt;

use uuid::Uuid;

use crate::values::{Address, ApprovalId, Digest, Owner, Timestamp};

/// A request as submitted; it never changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The agent's name and its correlation id.
    pub id: ApprovalId,
    /// The action, in one line.
    pub action: String,
    /// The exact arguments.
    pub parameters: Parameters,
    /// The agent's own explanation; unverified.
    pub reason: Option<String>,
    /// The person on whose behalf the agent acts; never an approver.
    pub on_behalf_of: Option<Address>,
    /// The digest of the secret that calls of claim, outcome and withdraw must present.
    pub claimant: Option<Digest>,
    /// The digest of the submitted body, which identifies a repeat.
    pub digest: Digest,
    /// Who submitted it; `None` if it was stored without an owner.
    pub owner: Option<Owner>,
    /// The object id in Entra of the program that submitted it, if it identified itself by one.
    pub agent_object_id: Option<Uuid>,
    /// The earlier request of the same owner that this one takes the place of.
    pub supersedes: Option<ApprovalId>,
    /// How the agent is notified of the end.
    pub callback: Option<Callback>,
    /// Whether a decision by sign-in takes the link from the email or a fresh sign-in. The emails of requests that were
    /// submitted without sign-in, or to an earlier version, need not have such a link.
    pub needs_step_up: bool,
    pub requested_at: Timestamp,
    /// The deadline: from this moment on no decision counts.
    pub expires_at: Timestamp,
}

impl Request {
    /// Whether `HO_AGENT_KEYS` binds the agent's name; otherwise it is the agent's own claim.
    pub fn is_agent_known(&self) -> bool {
        matches!(&self.owner, Some(Owner::Agents(name)) if name == self.id.agent())
    }
}

/// How the agent learns that its request has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Callback {
    /// The name of a channel that the policy lets the agent use.
    pub channel: String,
    /// The agent's own text, which comes back to it. Never shown to people.
    pub state: Option<String>,
}

/// The arguments of an action in canonical form (RFC 8785), and the digest of that text.
#[derive(Clone, PartialEq, Eq)]
pub struct Parameters {
    pub json: String,
    pub digest: Digest,
}

impl fmt::Debug for Parameters {
    /// Writes only the digest: parameters must not reach a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Parameters({})", self.digest)
    }
}
