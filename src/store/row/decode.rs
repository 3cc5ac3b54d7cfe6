//! Decodes columns into an approval. An error names the column at fault, never its content.

use human_oversight_protocol::parameters::sha256;
use serde::de::DeserializeOwned;
use serde_json::Value;
use uuid::Uuid;

use super::columns::{
    AGENT_OBJECT_ID, AUTH_CONTEXT, AUTH_TIME, CLAIM_PERMIT, Columns, DECIDER, GRANT, PRESET,
    QUESTION, REVISION, REVOCATION, STEP_UP, SUPERSEDES,
};
use super::encode::{ApproverEntry, HistoryEntry, MailEntry, addresses};
use super::{hand_overs, outbox, plan, votes};
use crate::domain::{
    Approval, Approver, Assurance, Claim, Decider, Decision, Delivery, DeliveryState, Event,
    Execution, LateDecision, Notice, Parameters, Plan, Request, Revocation, State, Status, Words,
};
use crate::store::error::StoreError;
use crate::store::grant_text::parse_grant;
use crate::store::unverified::UnverifiedRow;
use crate::values::{ApprovalId, Digest, Timestamp};

/// The columns of a decision and its execution, invalid in a request without a decision.
const DECISION: [&str; 19] = [
    DECIDER,
    GRANT,
    PRESET,
    QUESTION,
    "Approver",
    "ApproverObjectId",
    "Comment",
    "Assurance",
    AUTH_TIME,
    AUTH_CONTEXT,
    "Receipt",
    "RunBy",
    "ClaimNonce",
    CLAIM_PERMIT,
    "ExecutionStatus",
    "ExecutionTimestamp",
    "ExecutionError",
    "RevokedBy",
    REVOCATION,
];

/// The approval in a row whose MAC was verified, and its revision; 0 in version 1.
pub(in crate::store) fn decode(
    mut columns: Columns,
    id: &ApprovalId,
) -> Result<(Approval, u32), StoreError> {
    columns.0.retain(|_, value| !value.is_null());
    let revision = columns.revision()?;
    columns.0.remove(REVISION);
    let mut approval = take_approval(&mut columns, id).map_err(StoreError::damaged)?;
    approval.seat_votes();
    if let Err(fault) = approval.check_votes() {
        return Err(StoreError::damaged(&format!("Plan, Votes: {fault}")));
    }
    if !approval.history_is_consistent() {
        return Err(StoreError::damaged("History"));
    }
    match columns.0.keys().next() {
        None => Ok((approval, revision)),
        Some(column) if DECISION.contains(&column.as_str()) => Err(StoreError::damaged(column)),
        // A later version wrote it; its meaning is unknown.
        Some(column) => Err(StoreError::LaterVersion(column.clone())),
    }
}

/// The columns of [`unverified`], for a row that may turn out to be no approval.
pub(in crate::store) fn unverified_columns(columns: &Columns) -> Columns {
    let read = [
        "Notifications",
        "ResponseTimestamp",
        "DeadlineTimestamp",
        "Owner",
        "ActionDescription",
    ];
    let read = read
        .iter()
        .filter_map(|&name| columns.0.get_key_value(name));
    Columns(
        read.map(|(name, value)| (name.clone(), value.clone()))
            .collect(),
    )
}

/// What can be read of a row that is no approval.
pub(in crate::store) fn unverified(mut columns: Columns) -> UnverifiedRow {
    let approvers: Result<Vec<ApproverEntry>, _> = json(&mut columns, "Notifications");
    let approvers = approvers.unwrap_or_default().into_iter();
    let mut time = |column| columns.take_optional(column).unwrap_or_default();
    let ended_at = time("ResponseTimestamp").or_else(|| time("DeadlineTimestamp"));
    UnverifiedRow {
        ended_at,
        owner: columns.take_optional("Owner").unwrap_or_default(),
        approvers: approvers.filter_map(ApproverEntry::into_approver).collect(),
        action: columns
            .take_optional("ActionDescription")
            .unwrap_or_default(),
    }
}

/// Removes every column that this version knows.
fn take_approval(columns: &mut Columns, id: &ApprovalId) -> Result<Approval, &'static str> {
    // Derived from other columns, or used by the store alone.
    for column in [
        "PartitionKey",
        "RowKey",
        "RowSeal",
        "OperationId",
        "DueTimestamp",
        "DueEntry",
        "NotificationStatus",
        "NotifiedTimestamp",
    ] {
        columns.0.remove(column);
    }
    let request = request(columns, id)?;
    let history: Vec<HistoryEntry> = json(columns, "History")?;
    let approvers = approvers(columns)?;
    let hand_overs = hand_overs::decode(columns)?;
    // Who received a seat was added to the people of the plan.
    let planned = approvers.len().checked_sub(hand_overs.len());
    let plan = plan::decode(columns, planned.ok_or("HandOvers")?)?;
    let plan = Plan { hand_overs, ..plan };
    let votes = votes::decode(columns, &approvers)?;
    let history: Vec<Event> = history.into_iter().map(HistoryEntry::into_event).collect();
    let outbox = outbox::decode(columns, &history)?;
    let state = state(columns, &plan)?;
    let late = late(columns)?;
    Ok(Approval {
        request,
        state,
        plan,
        approvers,
        votes,
        outbox,
        late,
        history,
    })
}

fn request(columns: &mut Columns, id: &ApprovalId) -> Result<Request, &'static str> {
    let (agent, correlation) = (
        columns.take::<String>("AgentName"),
        columns.take::<String>("CorrelationId"),
    );
    let stored = agent.ok().zip(correlation.ok());
    if stored
        .and_then(|(agent, correlation)| ApprovalId::new(&agent, &correlation))
        .as_ref()
        != Some(id)
    {
        return Err("AgentName, CorrelationId");
    }
    Ok(Request {
        id: id.clone(),
        parameters: parameters(columns)?,
        action: columns.take("ActionDescription")?,
        reason: columns.take_optional("Reason")?,
        on_behalf_of: columns.take_optional("OnBehalfOf")?,
        claimant: columns.take_optional("Claimant")?,
        digest: columns.take("RequestDigest")?,
        owner: columns.take_optional("Owner")?,
        agent_object_id: columns.take_optional(AGENT_OBJECT_ID)?,
        supersedes: columns.take_optional(SUPERSEDES)?,
        callback: outbox::decode_callback(columns)?,
        needs_step_up: needs_step_up(columns)?,
        requested_at: columns.take("RequestTimestamp")?,
        expires_at: columns.take("DeadlineTimestamp")?,
    })
}

fn needs_step_up(columns: &mut Columns) -> Result<bool, &'static str> {
    match columns.take_optional::<String>(STEP_UP)?.as_deref() {
        None => Ok(false),
        Some("1") => Ok(true),
        Some(_) => Err(STEP_UP),
    }
}

fn parameters(columns: &mut Columns) -> Result<Parameters, &'static str> {
    let digest: Digest = columns.take("ParametersDigest")?;
    let json: String = columns.take("Parameters")?;
    // Parsed as for display.
    let is_object = serde_json::from_str::<Value>(&json).is_ok_and(|value| value.is_object());
    if digest.0 != sha256(json.as_bytes()) || !is_object {
        return Err("Parameters");
    }
    Ok(Parameters { json, digest })
}

fn approvers(columns: &mut Columns) -> Result<Vec<Approver>, &'static str> {
    let entries: Vec<ApproverEntry> = json(columns, "Notifications")?;
    let approvers: Option<Vec<_>> = entries
        .into_iter()
        .map(ApproverEntry::into_approver)
        .collect();
    let approvers = approvers.ok_or("Notifications")?;
    let emails: String = columns.take("ApproverEmails")?;
    if addresses(&approvers) != emails {
        return Err("ApproverEmails, Notifications");
    }
    Ok(approvers)
}

fn late(columns: &mut Columns) -> Result<Option<LateDecision>, &'static str> {
    let at = columns.take_optional("LateResponseTimestamp")?;
    let verdict = columns.take_optional("LateDecision")?;
    let by = columns.take_optional("LateApprover")?;
    match (at, verdict, by) {
        (None, None, None) => Ok(None),
        (Some(at), Some(verdict), Some(by)) => Ok(Some(LateDecision { by, verdict, at })),
        _ => Err("LateResponseTimestamp, LateDecision, LateApprover"),
    }
}

fn state(columns: &mut Columns, plan: &Plan) -> Result<State, &'static str> {
    let status: Status = columns.take("Status")?;
    let closed_at: Option<Timestamp> = columns.take_optional("ResponseTimestamp")?;
    let has = |column| columns.0.contains_key(column);
    let decided = matches!(status, Status::Approved | Status::Rejected);
    if decided != has("Receipt")
        || (status == Status::Pending) != closed_at.is_none()
        || (status == Status::Approved) != has("RunBy")
        || (status != Status::Approved && has("ExecutionStatus"))
    {
        return Err("Status");
    }
    let Some(at) = closed_at else {
        return Ok(State::Pending);
    };
    Ok(match status {
        Status::Pending => State::Pending,
        Status::Approved => State::Approved {
            decision: decision(columns, plan, at)?,
            run_by: columns.take("RunBy")?,
            execution: execution(columns)?,
        },
        Status::Rejected => State::Rejected(decision(columns, plan, at)?),
        Status::Timeout => State::Timeout { at },
        Status::Cancelled => State::Cancelled { at },
        Status::Undeliverable => State::Undeliverable { at },
    })
}

fn decision(columns: &mut Columns, plan: &Plan, at: Timestamp) -> Result<Decision, &'static str> {
    let by = match columns.take_optional::<String>(DECIDER)? {
        None => Decider::Person {
            address: columns.take("Approver")?,
            assurance: assurance(columns)?,
        },
        Some(text) => match columns.take_optional::<String>(GRANT)? {
            None => policy_decider(&text, plan).ok_or(DECIDER)?,
            Some(grant) => grant_decider(&text, &grant).ok_or(GRANT)?,
        },
    };
    Ok(Decision {
        by,
        words: Words {
            preset: columns.take_optional(PRESET)?,
            comment: columns.take_optional("Comment")?,
            question: columns.take_optional(QUESTION)?,
        },
        at,
        receipt: columns.take("Receipt")?,
    })
}

/// The rule in `policy:RULE@DIGEST`, of the policy that made the plan.
fn policy_decider(text: &str, plan: &Plan) -> Option<Decider> {
    let policy = plan.policy()?;
    let rule = text.strip_prefix("policy:")?.rsplit_once('@')?.0;
    let decider = Decider::Policy {
        rule: rule.to_owned(),
        digest: policy.digest,
    };
    (decider.to_string() == text).then_some(decider)
}

/// The grant in `grant:ID`, of which the other column has the whole.
fn grant_decider(text: &str, grant: &str) -> Option<Decider> {
    let decider = Decider::Grant(Box::new(parse_grant(grant)?));
    (decider.to_string() == text).then_some(decider)
}

fn assurance(columns: &mut Columns) -> Result<Assurance, &'static str> {
    const AT_FAULT: &str = "Assurance, ApproverObjectId";
    let object_id: Option<Uuid> = columns
        .take_optional("ApproverObjectId")
        .map_err(|_| AT_FAULT)?;
    let word: Option<String> = columns.take_optional("Assurance").map_err(|_| AT_FAULT)?;
    let word = word.ok_or(AT_FAULT)?;
    let assurance = Assurance::from_word(&word, object_id).ok_or(AT_FAULT)?;
    let auth_time = columns.take_optional(AUTH_TIME)?;
    let context = columns.take_optional(AUTH_CONTEXT)?;
    assurance.with_sign_in(auth_time, context).ok_or(AT_FAULT)
}

fn execution(columns: &mut Columns) -> Result<Execution, &'static str> {
    let status: Option<String> = columns.take_optional("ExecutionStatus")?;
    let at: Option<Timestamp> = columns.take_optional("ExecutionTimestamp")?;
    let claim = claim(columns)?;
    let Some(status) = status else {
        return match (claim, at) {
            (None, None) => Ok(Execution::Awaited),
            _ => Err("ExecutionStatus"),
        };
    };
    let at = at.ok_or("ExecutionTimestamp")?;
    if status == "Lapsed" {
        return Ok(Execution::Lapsed { at });
    }
    if status == "Revoked" {
        let by = columns.take("RevokedBy")?;
        let proof = columns.take(REVOCATION)?;
        let revocation = Revocation { by, proof };
        return Ok(Execution::Revoked { at, revocation });
    }
    let claim = claim.ok_or("ClaimNonce")?;
    Ok(match status.as_str() {
        "Executing" => Execution::Executing { at, claim },
        "Executed" => Execution::Executed { at, claim },
        "ExecutionFailed" => Execution::Failed {
            at,
            claim,
            error: columns.take_optional("ExecutionError")?,
        },
        "ExecutionUnknown" => Execution::Unknown { at, claim },
        _ => return Err("ExecutionStatus"),
    })
}

/// A permit without a nonce stays, and so is an error.
fn claim(columns: &mut Columns) -> Result<Option<Claim>, &'static str> {
    let Some(nonce) = columns.take_optional("ClaimNonce")? else {
        return Ok(None);
    };
    let permit = columns.take_optional(CLAIM_PERMIT)?;
    Ok(Some(Claim { nonce, permit }))
}

fn json<T: DeserializeOwned>(columns: &mut Columns, name: &'static str) -> Result<T, &'static str> {
    let text: String = columns.take(name)?;
    serde_json::from_str(&text).map_err(|_| name)
}

impl ApproverEntry {
    fn into_approver(self) -> Option<Approver> {
        let mails = self.mails.into_iter().map(MailEntry::into_mail);
        let mut mails: Vec<Delivery> = mails.collect::<Option<_>>()?;
        let outcomes = mails
            .iter_mut()
            .filter(|mail| mail.notice == Notice::Outcome);
        for second in outcomes.skip(1) {
            second.notice = Notice::Failure;
        }
        Some(Approver {
            address: self.approver,
            link_key: self.key,
            mac: self.seal,
            wrong_codes: self.wrong_codes,
            wrong_revocation_codes: self.wrong_revocation_codes,
            wrong_reveal_codes: self.wrong_reveal_codes,
            wrong_hand_over_codes: self.wrong_hand_over_codes,
            deliveries: mails,
        })
    }
}

impl MailEntry {
    fn into_mail(self) -> Option<Delivery> {
        Some(Delivery {
            notice: self.kind,
            attempts: self.attempts,
            state: DeliveryState::from_word(&self.state, self.at)?,
            fault: self.fault,
            resends: self.resends,
            arrived_before: self.arrived_before,
        })
    }
}

impl HistoryEntry {
    fn into_event(self) -> Event {
        Event {
            at: self.at,
            what: self.what,
            by: self.by,
        }
    }
}
