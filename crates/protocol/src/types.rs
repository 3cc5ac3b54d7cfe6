//! What goes over the wire: the gate's JSON, as plain types. They need serde and nothing else.
//!
//! Times are RFC 3339 in UTC with milliseconds, such as `2026-11-22T17:30:00.000Z`.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The maximum length of an agent's name, in characters.
pub const AGENT_CHARS: usize = 128;

/// The maximum length of an agent's name, in bytes of UTF-8: each may become three characters of a
/// table's key, and a key in Azure has at most 1 KiB of UTF-16.
/// <https://learn.microsoft.com/rest/api/storageservices/understanding-the-table-service-data-model>
pub const AGENT_BYTES: usize = 170;

/// The maximum length of a correlation id, in characters.
pub const CORRELATION_CHARS: usize = 64;

/// A request for approval: the body of `POST /api/submit`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NewApproval {
    /// Who asks: 1 to [`AGENT_CHARS`] characters, at most [`AGENT_BYTES`] bytes of UTF-8, no control
    /// characters.
    pub agent_name: String,
    /// What is to be done: 1 to 256 characters, one line.
    pub action_description: String,
    /// The exact arguments of the action, at most 30 KiB in canonical form (RFC 8785).
    pub parameters: Map<String, Value>,
    /// Who may decide: 1 to 20 mail addresses, any one of whom is enough.
    pub approver_emails: Vec<String>,
    /// The caller's name for this request, `[A-Za-z0-9._-]{1,64}`; the gate makes one if it is left
    /// out. The same name with the same content is the same request, so a retry is safe.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub correlation_id: Option<String>,
    /// Seconds until the request times out, 10 to 2,592,000 (30 days).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout_seconds: Option<u32>,
    /// The agent's own words, at most 2,000 characters; shown last and marked as not verified.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The address of the person the agent acts for: shown, and never one of the approvers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_behalf_of: Option<String>,
    /// SHA-256 (64 hexadecimal digits) of a secret that claim, outcome and withdraw must then bring.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub claimant: Option<String>,
}

/// An approval as the gate shows it: the answer of submit, status, claim, outcome and withdraw.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Approval {
    /// `base64url(agentName).correlationId`.
    pub id: String,
    /// The caller's or the gate's name for the request.
    pub correlation_id: String,
    /// Who asked.
    pub agent_name: String,
    /// What is to be done.
    pub action_description: String,
    /// SHA-256 of the canonical parameters (RFC 8785), 64 hexadecimal digits.
    pub parameters_digest: String,
    /// Where the decision stands.
    pub status: Status,
    /// The address of the person who decided.
    pub approver: Option<String>,
    /// What that person wrote.
    pub comment: Option<String>,
    /// When the request was stored.
    pub request_timestamp: String,
    /// When it times out.
    pub expires_at: String,
    /// When it was decided or otherwise closed.
    pub response_timestamp: Option<String>,
    /// What became of an approval.
    pub execution: Option<Execution>,
    /// One entry for each approver.
    pub notifications: Vec<Notification>,
    /// Whether the approvers could be reached by mail.
    pub deliverable: Deliverable,
    /// The signed proof of the decision, a compact JWS; see [`crate::receipt`].
    pub receipt: Option<String>,
    /// Where to ask again.
    pub status_url: String,
}

/// Where the decision stands. Only [`Status::Approved`] can lead to anything being run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Status {
    /// Nobody has decided yet.
    Pending,
    /// One of the approvers said yes.
    Approved,
    /// One of the approvers said no.
    Rejected,
    /// Nobody decided in time.
    Timeout,
    /// The agent withdrew the request.
    Cancelled,
    /// No approver can be reached by mail, for good.
    Undeliverable,
    /// A word that this version does not know. It is no approval.
    #[serde(other)]
    Unknown,
}

/// What became of an approval.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Execution {
    /// How far it got.
    pub status: ExecutionStatus,
    /// Since when.
    pub timestamp: String,
    /// What the agent reported of a failure.
    pub error: Option<String>,
}

/// How far the approved action got. Everything after `Executing` is the agent's word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum ExecutionStatus {
    /// The approval was claimed; the action is running.
    Executing,
    /// The agent reported success.
    Executed,
    /// The agent reported a failure.
    ExecutionFailed,
    /// The agent claimed the approval and was not heard of again.
    ExecutionUnknown,
    /// Nobody claimed the approval in time; it can no longer be used.
    Lapsed,
    /// A word that this version does not know.
    #[serde(other)]
    Unknown,
}

/// What the gate knows of one approver's mail.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Notification {
    /// The address.
    pub approver: String,
    /// Where the mail with the question is.
    pub state: MailState,
    /// How often it was tried.
    pub attempts: u32,
    /// Why the last try failed, if it did.
    #[serde(default)]
    pub fault: Option<MailFault>,
    /// Whether five wrong codes have locked approving by this person's link.
    pub locked: bool,
}

/// Where a mail is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum MailState {
    /// Waiting to be tried (again).
    Queued,
    /// Being sent.
    Sending,
    /// Taken by the mail system.
    Sent,
    /// Refused for good.
    Failed,
    /// Not sent before the request was closed, and no longer needed.
    Dropped,
    /// Nobody said whether it was taken, and a second copy would be worse; or a word that this version
    /// does not know.
    #[serde(other)]
    Unknown,
}

/// Why a mail could not be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum MailFault {
    /// Nobody is at the address, or the mail is not wanted there.
    Refused,
    /// The mail system is down or busy; the gate tries again.
    Unavailable,
    /// The gate is not set up as the mail system wants it; its operator has to act.
    Misconfigured,
    /// The mail system did not say whether it took the mail.
    Unclear,
    /// A word that this version does not know.
    #[serde(other)]
    Unknown,
}

/// Whether the approvers could be reached by mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Deliverable {
    /// Every approver's mail was taken by the mail system.
    Ok,
    /// Some were.
    Degraded,
    /// None was, so far.
    None,
    /// A word that this version does not know.
    #[serde(other)]
    Unknown,
}

/// The body of `POST /api/claim/{id}`.
#[derive(Clone, Serialize, Deserialize)]
pub struct Claim {
    /// The claimant's name for this claim, `[A-Za-z0-9._-]{16,64}`: the same one again gets the same
    /// answer, any other is refused.
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
    /// What went wrong, at most 2,000 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
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

/// The public keys that receipts are signed with, retired ones too: the answer of `GET /api/keys`
/// (a JWK set, RFC 7517).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeySet {
    /// The keys; the first one signs.
    pub keys: Vec<Key>,
}

/// One public key: an Ed25519 JWK (RFC 8037).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Key {
    /// Always `OKP`.
    pub kty: String,
    /// Always `Ed25519`.
    pub crv: String,
    /// Always `EdDSA`.
    pub alg: String,
    /// Always `sig`.
    #[serde(rename = "use")]
    pub usage: String,
    /// The key's name, as in a receipt's header.
    pub kid: String,
    /// The public key, base64url.
    pub x: String,
}

/// An error as the gate answers it: `application/problem+json` (RFC 9457).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Problem {
    /// Which problem this is, as a URI.
    #[serde(rename = "type")]
    pub kind: String,
    /// The same for people.
    pub title: String,
    /// The HTTP status code.
    pub status: u16,
    /// What exactly is wrong and what to do.
    pub detail: String,
    /// Under which name the gate's log has this call.
    pub invocation_id: String,
    /// For a validation problem: each field at fault.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldError>,
}

/// One field at fault.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldError {
    /// Where it is, a JSON pointer (RFC 6901).
    pub pointer: String,
    /// What is wrong with it.
    pub detail: String,
}
