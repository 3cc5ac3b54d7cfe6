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
    /// The request to revoke, to allow, to send again or to redeliver (or `standing`), the grant to revoke, or the name of
    /// the channel to enable, and no other member; only these commands have it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// What to list; only that command has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub what: Option<What>,
    /// Where a list goes on: the `next` of its part before. Only that command has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
}

/// What is listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum What {
    /// What waits for a decision or a claim.
    Open,
    /// Emails that were not accepted, or perhaps not.
    Unsent,
    /// Rows and due entries that cannot be trusted.
    Damaged,
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
    /// Lets what was rejected be asked again, where a rule of the policy refuses that.
    Allow,
    /// Sends the emails of one request again.
    Resend,
    /// Lists requests or rows.
    List,
    /// Lists the standing grants.
    Grants,
    /// Ends one standing grant.
    #[serde(rename = "revoke-grant")]
    RevokeGrant,
    /// Lists the channels that are switched off.
    Channels,
    /// Tells channels again what they were not told of one request.
    Redeliver,
    /// Switches one channel on again.
    Enable,
}

/// The response to an allowance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Allowed {
    /// Whether this command allowed it; `false` if it was allowed before.
    pub done: bool,
    /// The id of the rejected request.
    pub id: String,
}

/// The response to sending emails again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resent {
    /// How many emails the next sweep sends again; 0 if there is nothing to send, or it waits for its turn already.
    pub queued: usize,
    /// The request's id.
    pub id: String,
    /// Those of the emails that ask a person who can no longer approve by link, after five wrong codes.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub locked: usize,
}

/// The response to the list of channels that are switched off.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OffChannels {
    /// The channels, by name.
    pub off: Vec<OffChannel>,
}

/// A channel that is switched off, since its receiver answered 410.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OffChannel {
    /// Its name in the policy.
    pub channel: String,
    /// Since when.
    pub since: String,
}

/// The response to enabling a channel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Enabled {
    /// Whether this command switched it on; `false` if it was not off.
    pub done: bool,
    /// The channel's name.
    pub channel: String,
}

/// The response to a list: a part of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listed {
    /// What waits for a decision or a claim.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub open: Vec<OpenRequest>,
    /// Emails that were not accepted, or perhaps not.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unsent: Vec<UnsentEmail>,
    /// What cannot be trusted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub damaged: Vec<DamagedRow>,
    /// Requests of this part that cannot be read; each may be open, or have an email that is not sent.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub unreadable: usize,
    /// Where the list goes on; absent at its end. A part may be empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

fn is_zero(count: &usize) -> bool {
    *count == 0
}

/// A request that waits for a decision or a claim.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OpenRequest {
    /// The request's id.
    pub id: String,
    /// The agent.
    pub agent_name: String,
    /// `Pending` or `Approved`.
    pub status: String,
    /// The deadline of the decision.
    pub expires_at: String,
    /// The end of the time to claim, of an approval; an older gate does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claim_by: Option<String>,
    /// Whether its emails were accepted: `Ok`, `Degraded` or `None`.
    pub deliverable: String,
    /// How many of its people can no longer approve by link, after five wrong codes.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub locked: usize,
}

/// An email that was tried and not accepted, or perhaps not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnsentEmail {
    /// The request's id.
    pub id: String,
    /// What it tells.
    pub kind: String,
    /// The address.
    pub to: String,
    /// What has become of it.
    pub state: String,
    /// Since when, or when it is tried again.
    pub at: String,
    /// How often it was tried.
    pub attempts: u32,
    /// Why it was not accepted, as far as that is known.
    pub fault: Option<String>,
}

/// A row, or a due entry, that cannot be trusted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DamagedRow {
    /// `row`, `standing row`, `kept decision` or `due entry`.
    pub table: String,
    /// Its keys; of a due entry their digest.
    pub row: String,
    /// Why it cannot be trusted.
    pub cause: String,
}

/// The response to the list of standing grants.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StandingGrants {
    /// The grants: those that approve requests first, each half with the latest end first.
    pub grants: Vec<StandingGrant>,
    /// The rows that cannot be trusted; their grants approve nothing.
    pub unreadable: usize,
}

/// A standing grant, also one that has ended, as long as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StandingGrant {
    /// Its id, which receipts of its uses name.
    pub id: String,
    /// The agent that it allows the action.
    pub agent_name: String,
    /// The owner of the agent's requests.
    pub owner: String,
    /// The action, exactly.
    pub action_description: String,
    /// SHA-256 of the canonical parameters, in 64 hexadecimal digits.
    pub parameters_digest: String,
    /// The person on whose behalf the agent acts, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_behalf_of: Option<String>,
    /// The request with whose approval it was given.
    pub approval: String,
    /// The approver who gave it.
    pub approver: String,
    /// When it was given.
    pub since: String,
    /// Its end.
    pub until: String,
    /// The most requests that it approves.
    pub uses: u16,
    /// Those that it has approved.
    pub used: u16,
    /// `active`, `used up`, `expired`, or what ended it before its time: `giver`, `operator`, `rejection` or
    /// `pause`.
    pub state: String,
}

/// The response to the revocation of a standing grant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GrantRevoked {
    /// Whether this command ended it; `false` if it had ended before.
    pub done: bool,
    /// Its id.
    pub id: String,
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
    /// Rows of pauses that cannot be trusted, of any scope; each stops everything.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub damaged: Vec<DamagedPause>,
}

/// A row of a pause that cannot be trusted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DamagedPause {
    /// Its keys.
    pub row: String,
    /// Why it cannot be trusted.
    pub cause: String,
    /// What it seems to pause: `pause` or `resume` with this scope replaces or removes it. Absent if it does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
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
