//! Encodes an approval into columns: flat ones for the report, JSON ones for the gate.

use serde::{Deserialize, Serialize};

use super::columns::{
    AGENT_OBJECT_ID, AUTH_CONTEXT, AUTH_TIME, CLAIM_PERMIT, Columns, DECIDER, GRANT, PRESET,
    QUESTION, REVOCATION, STEP_UP, SUPERSEDES,
};
use super::key::keys;
use super::{hand_overs, outbox, plan, votes};
use crate::domain::{
    Approval, Approver, Claim, Decider, Delivery, DeliveryFault, Event, EventKind, Execution,
    Notice, State,
};
use crate::store::entry::IndexEntry;
use crate::store::error::StoreError;
use crate::store::grant_text::grant_text;
use crate::store::text_json::{is_zero, json, optional_text, text};
use crate::values::{Address, Timestamp};

/// The limit of Azure Table Storage for a text column, in UTF-16 units; enforced for both backends, so that
/// local development fails where production would.
pub(crate) const COLUMN_LIMIT: usize = 32_768;

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct ApproverEntry {
    #[serde(with = "text")]
    pub(super) approver: Address,
    pub(super) key: String,
    pub(super) seal: String,
    pub(super) wrong_codes: u32,
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(super) wrong_revocation_codes: u32,
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(super) wrong_reveal_codes: u32,
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(super) wrong_hand_over_codes: u32,
    pub(super) mails: Vec<MailEntry>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct MailEntry {
    #[serde(with = "text")]
    pub(super) kind: Notice,
    pub(super) attempts: u32,
    pub(super) state: String,
    #[serde(with = "text")]
    pub(super) at: Timestamp,
    #[serde(
        with = "optional_text",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub(super) fault: Option<DeliveryFault>,
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(super) resends: u32,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) arrived_before: bool,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct HistoryEntry {
    #[serde(with = "text")]
    pub(super) at: Timestamp,
    #[serde(with = "text")]
    pub(super) what: EventKind,
    #[serde(
        with = "optional_text",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub(super) by: Option<Address>,
}

/// The columns of an approval that is due at `due`, without a MAC.
pub(in crate::store) fn encode(
    approval: &Approval,
    due: Option<Timestamp>,
    entry: Option<&IndexEntry>,
    operation_id: &str,
) -> Result<Columns, StoreError> {
    let mut columns = Columns::default();
    request(approval, &mut columns);
    plan::encode(approval, &mut columns);
    votes::encode(approval, &mut columns);
    hand_overs::encode(approval, &mut columns);
    state(approval, &mut columns);
    notifications(approval, &mut columns);
    outbox::encode(approval, &mut columns);
    columns.set_optional("DueTimestamp", due.as_ref());
    columns.set_optional("DueEntry", entry.map(|entry| &entry.key));
    columns.set("OperationId", &operation_id.to_owned());
    fits(&columns)?;
    Ok(columns)
}

fn request(approval: &Approval, columns: &mut Columns) {
    let request = &approval.request;
    let (partition_key, row_key) = keys(&request.id);
    columns.set("PartitionKey", &partition_key);
    columns.set("RowKey", &row_key);
    columns.set("AgentName", &request.id.agent().to_owned());
    columns.set("CorrelationId", &request.id.correlation().to_owned());
    columns.set("ActionDescription", &request.action);
    columns.set("Parameters", &request.parameters.json);
    columns.set("ParametersDigest", &request.parameters.digest);
    columns.set("RequestTimestamp", &request.requested_at);
    columns.set("RequestDigest", &request.digest);
    columns.set("DeadlineTimestamp", &request.expires_at);
    columns.set_optional("OnBehalfOf", request.on_behalf_of.as_ref());
    columns.set_optional("Reason", request.reason.as_ref());
    columns.set_optional("Claimant", request.claimant.as_ref());
    columns.set_optional("Owner", request.owner.as_ref());
    columns.set_optional(AGENT_OBJECT_ID, request.agent_object_id.as_ref());
    columns.set_optional(SUPERSEDES, request.supersedes.as_ref());
    if request.needs_step_up {
        columns.set(STEP_UP, &"1".to_owned());
    }
}

fn state(approval: &Approval, columns: &mut Columns) {
    columns.set("Status", &approval.state.status());
    columns.set_optional("ResponseTimestamp", approval.closed_at().as_ref());
    if let Some(decision) = approval.decision() {
        match &decision.by {
            Decider::Person { address, assurance } => {
                columns.set("Approver", address);
                columns.set_optional("ApproverObjectId", assurance.object_id().as_ref());
                columns.set("Assurance", &assurance.word().to_owned());
                columns.set_optional(AUTH_TIME, assurance.auth_time().as_ref());
                columns.set_optional(AUTH_CONTEXT, assurance.auth_context().as_ref());
            }
            policy @ Decider::Policy { .. } => columns.set(DECIDER, &policy.to_string()),
            decider @ Decider::Grant(signed) => {
                columns.set(DECIDER, &decider.to_string());
                columns.set(GRANT, &grant_text(signed));
            }
        }
        let words = &decision.words;
        columns.set_optional(PRESET, words.preset.as_ref());
        columns.set_optional("Comment", words.comment.as_ref());
        columns.set_optional(QUESTION, words.question.as_ref());
        columns.set("Receipt", &decision.receipt);
    }
    if let State::Approved {
        execution: ran,
        run_by,
        ..
    } = &approval.state
    {
        columns.set("RunBy", run_by);
        execution(ran, columns);
    }
    if let Some(late) = &approval.late {
        columns.set("LateResponseTimestamp", &late.at);
        columns.set("LateDecision", &late.verdict);
        columns.set("LateApprover", &late.by);
    }
}

fn execution(execution: &Execution, columns: &mut Columns) {
    let (at, claim, error) = match execution {
        Execution::Awaited => return,
        Execution::Executing { at, claim }
        | Execution::Executed { at, claim }
        | Execution::Unknown { at, claim } => (at, Some(claim), None),
        Execution::Failed { at, claim, error } => (at, Some(claim), error.as_ref()),
        Execution::Lapsed { at } => (at, None, None),
        Execution::Revoked { at, revocation } => {
            columns.set("RevokedBy", &revocation.by);
            columns.set(REVOCATION, &revocation.proof);
            (at, None, None)
        }
    };
    let word = execution.word().map(str::to_owned);
    columns.set_optional("ExecutionStatus", word.as_ref());
    columns.set("ExecutionTimestamp", at);
    if let Some(Claim { nonce, permit }) = claim {
        columns.set("ClaimNonce", nonce);
        columns.set_optional(CLAIM_PERMIT, permit.as_ref());
    }
    columns.set_optional("ExecutionError", error);
}

fn notifications(approval: &Approval, columns: &mut Columns) {
    let Approval {
        approvers, history, ..
    } = approval;
    columns.set("ApproverEmails", &addresses(approvers));
    let deliverable = approval.deliverable().word().to_owned();
    columns.set("NotificationStatus", &deliverable);
    columns.set_optional("NotifiedTimestamp", approval.notified_at().as_ref());
    let approvers: Vec<_> = approvers.iter().map(ApproverEntry::from_approver).collect();
    columns.set("Notifications", &json(&approvers));
    let history: Vec<_> = history.iter().map(HistoryEntry::from_event).collect();
    columns.set("History", &json(&history));
}

/// `ApproverEmails`.
pub(super) fn addresses(approvers: &[Approver]) -> String {
    let addresses = approvers.iter().map(|approver| approver.address.as_str());
    json(&addresses.collect::<Vec<_>>())
}

fn fits(columns: &Columns) -> Result<(), StoreError> {
    for column in [
        "Parameters",
        "Plan",
        "Votes",
        "VoteReceipts",
        hand_overs::HAND_OVERS,
        outbox::OUTBOX,
        "Notifications",
        "History",
    ] {
        let text = columns.text(column).unwrap_or_default();
        // A text has at most as many UTF-16 units as bytes.
        if text.len() > COLUMN_LIMIT {
            let size = text.encode_utf16().count();
            if size > COLUMN_LIMIT {
                return Err(StoreError::TooLarge {
                    column,
                    size,
                    limit: COLUMN_LIMIT,
                });
            }
        }
    }
    Ok(())
}

impl ApproverEntry {
    fn from_approver(approver: &Approver) -> Self {
        Self {
            approver: approver.address.clone(),
            key: approver.link_key.clone(),
            seal: approver.mac.clone(),
            wrong_codes: approver.wrong_codes,
            wrong_revocation_codes: approver.wrong_revocation_codes,
            wrong_reveal_codes: approver.wrong_reveal_codes,
            wrong_hand_over_codes: approver.wrong_hand_over_codes,
            mails: approver
                .deliveries
                .iter()
                .map(MailEntry::from_mail)
                .collect(),
        }
    }
}

impl MailEntry {
    fn from_mail(mail: &Delivery) -> Self {
        Self {
            kind: match mail.notice {
                // Earlier versions know no other word.
                Notice::Failure => Notice::Outcome,
                notice => notice,
            },
            attempts: mail.attempts,
            state: mail.state.word().to_owned(),
            at: mail.state.at(),
            fault: mail.fault,
            resends: mail.resends,
            arrived_before: mail.arrived_before,
        }
    }
}

impl HistoryEntry {
    fn from_event(event: &Event) -> Self {
        Self {
            at: event.at,
            what: event.what,
            by: event.by.clone(),
        }
    }
}
