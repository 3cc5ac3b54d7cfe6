//! The JSON of `POST /api/operate`, for the operator's tools.

use serde::{Deserialize, Serialize};

/// A command of the operator: the body of the call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Operation {
    /// What to do.
    pub command: Command,
    /// The owner that it is for; without owner and agent, it is for everything.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// The agent that it is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// Why; a pause needs it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub because: Option<String>,
    /// The request to revoke, and no other member; only that command has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
}

/// The commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Command {
    /// Stops claims and submits.
    Pause,
    /// Ends a pause.
    Resume,
    /// Only lists.
    Executing,
    /// Revokes one approval that is not claimed yet.
    Revoke,
}

/// The response to a revocation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revoked {
    /// Whether this command revoked it; `false` if it was revoked before.
    pub done: bool,
    /// The request's id.
    pub id: String,
    /// When it was revoked.
    pub since: String,
    /// Who revoked it: `operator`, or the approver's address.
    pub by: String,
}

/// The response to the other commands: the state after the command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Operations {
    /// Whether there was a pause to end; `true` for other commands.
    pub done: bool,
    /// The pauses that stand, of any scope.
    pub pauses: Vec<Pause>,
    /// What agents may be running, of the scope of the command.
    pub executing: Vec<Running>,
    /// How many requests of that scope wait for a decision or a claim, which is what a pause stops; an older
    /// gate does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub open: Option<usize>,
    /// Requests that cannot be read; each may be open or executing.
    pub unreadable: usize,
}

/// A pause.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pause {
    /// The owner, if it is for one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// The agent, if it is for one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// When it was set.
    pub since: String,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub because: Option<String>,
}

/// An action that an agent may be running.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Running {
    /// The request's id.
    pub id: String,
    /// The agent.
    pub agent_name: String,
    /// When it was claimed.
    pub since: String,
}
