//! The gate's JSON as plain types, which need serde alone.
//!
//! Times are RFC 3339 in UTC with milliseconds, such as `2026-11-22T17:30:00.000Z`.

use std::ops::RangeInclusive;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

/// The maximum length of an agent's name, in characters.
pub const AGENT_CHARS: usize = 128;

/// The maximum length of an agent's name, in bytes of UTF-8: each may become three characters of a
/// table's key, and a key in Azure has at most 1 KiB of UTF-16.
/// <https://learn.microsoft.com/rest/api/storageservices/understanding-the-table-service-data-model>
pub const AGENT_BYTES: usize = 170;

/// The maximum length of a correlation id, in characters.
pub const CORRELATION_CHARS: usize = 64;

/// The longest description of an action, in characters.
pub const ACTION_CHARS: usize = 256;

/// The longest reason of an agent, in characters.
pub const REASON_CHARS: usize = 2_000;

/// The longest state of a callback, in characters.
pub const STATE_CHARS: usize = 256;

/// The most bytes of the parameters as canonical JSON.
pub const PARAMETERS_BYTES: usize = 30 * 1024;

/// The most approvers that a request names.
pub const APPROVERS: usize = 20;

/// The longest name of a channel, in characters.
pub const CHANNEL_CHARS: usize = 64;

/// The time for a decision, in seconds.
pub const TIMEOUT_SECONDS: RangeInclusive<u64> = 10..=2_592_000;

/// How long a call may wait for a decision, in seconds: well under the 230 s after which the front end of Azure times
/// out.
pub const WAIT_SECONDS: RangeInclusive<u64> = 1..=100;

/// The longest error of a report, in characters.
pub const ERROR_CHARS: usize = 2_000;

/// The most bytes of a body.
pub const BODY_BYTES: usize = 64 * 1024;

/// How the error of a report begins whose action did not run. No error of an action itself should begin so: the proxy for
/// the Model Context Protocol tells a model by it that it may call again.
pub const NOT_RUN: &str = "not run";

/// How the error of a report begins whose action was given up and may have run, so that it must not be called again.
pub const GIVEN_UP: &str = "given up while it ran";

/// A request for approval: the body of `POST /api/submit`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NewApproval {
    /// The agent's name: 1 to [`AGENT_CHARS`] characters, at most [`AGENT_BYTES`] bytes of UTF-8, no control
    /// characters.
    pub agent_name: String,
    /// The action: 1 to 256 characters, one line.
    pub action_description: String,
    /// The exact arguments of the action, at most 30 KiB in canonical form (RFC 8785).
    pub parameters: Map<String, Value>,
    /// The approvers: 1 to 20 mail addresses. The decision of one is enough, unless the operator's policy says
    /// otherwise. May be left out where the policy names the approvers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub approver_emails: Vec<String>,
    /// The agent's name for this request, `[A-Za-z0-9._-]{1,64}`; the default is one of the gate's. The
    /// same name with the same content is the same request, so a retry is safe.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub correlation_id: Option<String>,
    /// The time for a decision in seconds: 10 to 2,592,000 (30 days).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout_seconds: Option<u32>,
    /// Why the agent wants this: at most 2,000 characters, shown last and marked as not verified.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The address of the person the agent acts for, who is shown and cannot be an approver.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_behalf_of: Option<String>,
    /// SHA-256 (64 hexadecimal digits) of a secret that claim, outcome and withdraw must then present.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub claimant: Option<String>,
    /// The id of an earlier request of the same owner that ended without an approval: this one takes its place, and
    /// the approvers see what changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub supersedes: Option<String>,
    /// Where the gate calls when there is news of this request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub callback: Option<NewCallback>,
}

/// Where the gate calls when there is news of a request.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewCallback {
    /// The name of a channel of the operator's, 1 to 64 characters, which takes callbacks for this agent.
    pub channel: String,
    /// A text of the agent's own, at most 256 characters, which each callback repeats and no person is shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
}

impl From<&str> for NewCallback {
    fn from(channel: &str) -> Self {
        Self {
            channel: channel.to_owned(),
            state: None,
        }
    }
}

/// The response of submit, status, claim, outcome and withdraw.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Approval {
    /// `base64url(agentName).correlationId`.
    pub id: String,
    /// The name of the request, the agent's or the gate's.
    pub correlation_id: String,
    /// The agent that submitted the request.
    pub agent_name: String,
    /// The action.
    pub action_description: String,
    /// SHA-256 of the canonical parameters (RFC 8785), in 64 hexadecimal digits.
    pub parameters_digest: String,
    /// The state of the request.
    pub status: Status,
    /// The address of the person who decided, if one did.
    pub approver: Option<String>,
    /// That person's comment.
    pub comment: Option<String>,
    /// Where the person who rejected asks for a changed request: what they ask.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revise: Option<Revise>,
    /// When the request was stored.
    pub request_timestamp: String,
    /// The deadline.
    pub expires_at: String,
    /// When the request was decided or closed otherwise.
    pub response_timestamp: Option<String>,
    /// For an approval: how far its execution is.
    pub execution: Option<Execution>,
    /// The notification of each approver.
    pub notifications: Vec<Notification>,
    /// Whether the approvers can be reached by mail.
    pub deliverable: Deliverable,
    /// The signed record of the decision, a compact JWS; see [`crate::receipt`].
    pub receipt: Option<String>,
    /// In the response of claim alone: the signed right to run the action, a compact JWS; see
    /// [`crate::permit`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub permit: Option<String>,
    /// Where the policy asks for several votes and the request is open: how many there are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<Progress>,
    /// Whether a person, the policy or a standing grant decided, if one did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decider: Option<Decider>,
    /// The operator's policy, if a rule of it applied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<Policy>,
    /// The address of the status route for this request.
    pub status_url: String,
}

/// What an approver asks for, who rejected and would look at a changed request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revise {
    /// The approver's words.
    pub question: String,
}

/// How many of the votes are there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// The number of the open stage, from 1.
    pub stage: usize,
    /// The number of stages.
    pub stages: usize,
    /// The approvals that the open stage needs.
    pub needed: usize,
    /// The approvals that it has.
    pub given: usize,
    /// The groups whose approval is missing in it.
    pub awaiting: Vec<String>,
}

/// What decided a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Decider {
    /// An approver.
    Person,
    /// A rule of the operator's policy.
    Policy,
    /// A standing grant that an approver gave before.
    Grant,
    /// A value that this version does not know.
    #[serde(other)]
    Unknown,
}

/// The part of the operator's policy that applied to a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// SHA-256 of the policy's text, in 64 hexadecimal digits.
    pub digest: String,
    /// The ids of the rules that applied.
    pub rules: Vec<String>,
    /// Why they applied, in words.
    pub facts: Vec<String>,
}

/// The state of a request. Only [`Status::Approved`] permits a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Status {
    /// There is no decision yet.
    Pending,
    /// An approver approved.
    Approved,
    /// An approver rejected.
    Rejected,
    /// The deadline passed without a decision.
    Timeout,
    /// The agent withdrew the request.
    Cancelled,
    /// No approver can be reached by mail, permanently.
    Undeliverable,
    /// A status that this version does not know. It is not an approval.
    #[serde(other)]
    Unknown,
}

/// The execution of an approved action.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Execution {
    /// How far it is.
    pub status: ExecutionStatus,
    /// When it reached that status.
    pub timestamp: String,
    /// The error that the agent reported.
    pub error: Option<String>,
}

/// How far the execution is. `Executed` and `ExecutionFailed` are as the agent reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum ExecutionStatus {
    /// The approval was claimed; the action is running.
    Executing,
    /// The agent reported success.
    Executed,
    /// The agent reported a failure.
    ExecutionFailed,
    /// The agent claimed the approval and reported no outcome in time.
    ExecutionUnknown,
    /// The approval was not claimed in time and can no longer be used.
    Lapsed,
    /// The approval was revoked before it was claimed and can no longer be used.
    Revoked,
    /// A value that this version does not know.
    #[serde(other)]
    Unknown,
}

/// The notification of one approver.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Notification {
    /// The approver's address.
    pub approver: String,
    /// The state of its delivery.
    pub state: MailState,
    /// The number of attempts.
    pub attempts: u32,
    /// Why the last attempt failed, if it did.
    #[serde(default)]
    pub fault: Option<MailFault>,
    /// Whether five wrong one-time codes have blocked approving by this approver's link.
    pub locked: bool,
}

/// The state of a delivery by mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum MailState {
    /// Waiting for an attempt.
    Queued,
    /// Being sent.
    Sending,
    /// Accepted by the mail system.
    Sent,
    /// Permanently failed.
    Failed,
    /// Not sent before the request was closed, and no longer needed.
    Dropped,
    /// The mail system did not confirm or refuse it, and it is not sent twice; or a value that this
    /// version does not know.
    #[serde(other)]
    Unknown,
}

/// Why an attempt failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum MailFault {
    /// The address does not exist, or its mail system rejects the mail.
    Refused,
    /// The mail system is unavailable; the gate retries.
    Unavailable,
    /// The mail system rejects the gate's configuration; the operator must act.
    Misconfigured,
    /// The mail system did not say whether it accepted the mail.
    Unclear,
    /// A value that this version does not know.
    #[serde(other)]
    Unknown,
}

/// Whether the approvers can be reached by mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Deliverable {
    /// The mail system accepted the mail to every approver.
    Ok,
    /// It accepted the mail to some approvers.
    Degraded,
    /// It has accepted none so far.
    None,
    /// A value that this version does not know.
    #[serde(other)]
    Unknown,
}

/// The body of `POST /api/claim/{id}`.
#[derive(Clone, Serialize, Deserialize)]
pub struct Claim {
    /// The claimant's name for this claim, `[A-Za-z0-9._-]{16,64}`: a retry with the same one gets the
    /// same response; a claim with another is refused.
    pub nonce: String,
    /// The secret whose SHA-256 the request named as `claimant`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
}

/// The body of `POST /api/outcome/{id}`.
#[derive(Clone, Serialize, Deserialize)]
pub struct Report {
    /// [`ExecutionStatus::Executed`] or [`ExecutionStatus::ExecutionFailed`].
    pub status: ExecutionStatus,
    /// The error, at most [`ERROR_CHARS`] characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The nonce of the reporter's claim: the gate refuses the report where it has granted another claim. Gates
    /// before this member refuse a report that has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nonce: Option<String>,
    /// The secret whose SHA-256 the request named as `claimant`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
}

/// The body of `POST /api/withdraw/{id}`.
#[derive(Clone, Default, Serialize, Deserialize)]
pub struct Withdrawal {
    /// The secret whose SHA-256 the request named as `claimant`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
}

/// The public keys of receipts and permits, retired ones included: the response of `GET /api/keys` (a JWK
/// set, RFC 7517).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeySet {
    /// The keys; new receipts are signed with the first that is in force. Keys of a form that this version does
    /// not know are left out (RFC 7517, section 5).
    #[serde(deserialize_with = "read_keys")]
    pub keys: Vec<Key>,
    /// The base addresses of the gate, today's first: `iss` is one of them. Empty where the gate makes no
    /// permits.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub issuers: Vec<String>,
}

/// One public key as a JWK: Ed25519 (RFC 8037) or P-256 (RFC 7518, section 6.2).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Key {
    /// `OKP` or `EC`.
    pub kty: String,
    /// `Ed25519` or `P-256`.
    pub crv: String,
    /// `EdDSA` or `ES256`; empty in a set of another source that leaves it out.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub alg: String,
    /// `sig`; empty in a set of another source that leaves it out.
    #[serde(rename = "use", default, skip_serializing_if = "String::is_empty")]
    pub usage: String,
    /// The key's name, as in a receipt's header.
    pub kid: String,
    /// The public key, or of one of P-256 the first coordinate; base64url.
    pub x: String,
    /// Of a key of P-256: the second coordinate, base64url.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub y: Option<String>,
    /// When it counts.
    #[serde(flatten)]
    pub life: KeyLife,
}

/// When a key counts: what it signed proves something only if it is dated within this time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyLife {
    /// The first second of it, since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nbf: Option<i64>,
    /// The first second after it, since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exp: Option<i64>,
    /// Whether the key proves nothing, whatever the date.
    #[serde(default, skip_serializing_if = "is_false")]
    pub revoked: bool,
}

impl KeyLife {
    /// The time within both.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        let ends = [self.exp, other.exp].into_iter().flatten();
        Self {
            nbf: self.nbf.max(other.nbf),
            exp: ends.min(),
            revoked: self.revoked || other.revoked,
        }
    }

    /// Whether the key was in force at this time, in seconds since 1970.
    pub fn covers(&self, at: i64) -> bool {
        !self.revoked && self.nbf.is_none_or(|nbf| nbf <= at) && self.exp.is_none_or(|exp| at < exp)
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_false(flag: &bool) -> bool {
    !flag
}

fn read_keys<'de, D: Deserializer<'de>>(keys: D) -> Result<Vec<Key>, D::Error> {
    let keys = Vec::<Value>::deserialize(keys)?.into_iter();
    Ok(keys
        .filter_map(|key| serde_json::from_value(key).ok())
        .collect())
}

/// An error response: `application/problem+json` (RFC 9457).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Problem {
    /// The kind of problem, a URI.
    #[serde(rename = "type")]
    pub kind: String,
    /// The kind of problem, for people.
    pub title: String,
    /// The HTTP status code.
    pub status: u16,
    /// What is wrong and what to do.
    pub detail: String,
    /// The id of this call in the gate's log.
    pub invocation_id: String,
    /// For an invalid request: each invalid field.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldError>,
}

/// One invalid field.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldError {
    /// The field, as a JSON pointer (RFC 6901).
    pub pointer: String,
    /// What is wrong with it.
    pub detail: String,
}
