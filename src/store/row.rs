//! The row of an approval: flat columns for the report, JSON columns for people and for the gate.
//!
//! The names are the predecessor's where it had one. A row that does not add up does not decode.

use human_oversight_protocol::parameters::sha256;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::StoreError;
use crate::domain::{
    Approval, Approver, Assurance, Decision, Delivery, DeliveryFault, DeliveryState, Event,
    EventKind, Execution, LateDecision, Notice, Parameters, Request, State, Status, Verdict,
};
use crate::keys::LinkKeys;
use crate::values::{Address, ApprovalId, Digest, Timestamp};

/// The most characters (UTF-16) that Azure Table Storage takes in one text column; kept here for
/// every backend, so that nothing works on a laptop that fails in the cloud.
const COLUMN_LIMIT: usize = 32_768;

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Row {
    pub(super) partition_key: String,
    pub(super) row_key: String,
    agent_name: String,
    correlation_id: String,
    action_description: String,
    parameters: String,
    parameters_digest: String,
    approver_emails: String,
    request_timestamp: String,
    request_digest: String,
    deadline_timestamp: String,
    on_behalf_of: Option<String>,
    reason: Option<String>,
    claimant: Option<String>,
    status: String,
    approver: Option<String>,
    approver_object_id: Option<String>,
    response_timestamp: Option<String>,
    comment: Option<String>,
    assurance: Option<String>,
    receipt: Option<String>,
    run_by: Option<String>,
    claim_nonce: Option<String>,
    execution_status: Option<String>,
    execution_timestamp: Option<String>,
    execution_error: Option<String>,
    late_response_timestamp: Option<String>,
    late_decision: Option<String>,
    late_approver: Option<String>,
    notification_status: String,
    notified_timestamp: Option<String>,
    notifications: String,
    history: String,
    /// When the gate must look at it again, and its entry in the index of what is due.
    pub(super) due_timestamp: Option<String>,
    pub(super) due_entry: Option<String>,
    /// Which write made it what it is.
    pub(super) operation_id: String,
    /// What the gate made of all the columns above in that write.
    #[serde(skip_serializing_if = "String::is_empty")]
    row_seal: String,
}

/// The columns that are points in time; Azure Table Storage and the report know them as such.
const TIMES: [&str; 8] = [
    "RequestTimestamp",
    "DeadlineTimestamp",
    "ResponseTimestamp",
    "RunBy",
    "ExecutionTimestamp",
    "LateResponseTimestamp",
    "NotifiedTimestamp",
    "DueTimestamp",
];

/// The keys of an approval's row: everything outside `[A-Za-z0-9_.-]` as `~XX`, one for each byte,
/// so that no key ever needs escaping.
pub(super) fn keys(id: &ApprovalId) -> (String, String) {
    (encode_key(id.agent()), encode_key(id.correlation()))
}

fn encode_key(text: &str) -> String {
    let mut key = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'_' | b'.' | b'-' => key.push(byte.into()),
            _ if byte.is_ascii_alphanumeric() => key.push(byte.into()),
            _ => key.push_str(&format!("~{byte:02X}")),
        }
    }
    key
}

/// The approval that a row's keys are for.
pub(super) fn id(partition_key: &str, row_key: &str) -> Option<ApprovalId> {
    ApprovalId::new(&decode_key(partition_key)?, &decode_key(row_key)?)
}

fn decode_key(key: &str) -> Option<String> {
    let mut parts = key.split('~');
    let mut bytes = parts.next()?.as_bytes().to_vec();
    for part in parts {
        bytes.push(u8::from_str_radix(part.get(..2)?, 16).ok()?);
        bytes.extend_from_slice(&part.as_bytes()[2..]);
    }
    String::from_utf8(bytes).ok()
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ApproverEntry {
    approver: String,
    key: String,
    seal: String,
    wrong_codes: u32,
    mails: Vec<MailEntry>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct MailEntry {
    kind: String,
    attempts: u32,
    state: String,
    at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    fault: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct HistoryEntry {
    at: String,
    what: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    by: Option<String>,
}

impl Row {
    /// The row of an approval that is to be looked at when it is `due`, as one write makes it.
    pub(super) fn of(
        approval: &Approval,
        due: Option<Timestamp>,
        operation_id: String,
    ) -> Result<Self, StoreError> {
        let Approval {
            request,
            state,
            approvers,
            late,
            history,
        } = approval;
        let (partition_key, row_key) = keys(&request.id);
        let decision = approval.decision();
        let (execution, run_by) = match state {
            State::Approved {
                execution, run_by, ..
            } => (Some(execution), Some(run_by)),
            _ => (None, None),
        };
        let execution = execution.map(ExecutionColumns::of).unwrap_or_default();
        let row = Self {
            partition_key,
            row_key,
            agent_name: request.id.agent().to_owned(),
            correlation_id: request.id.correlation().to_owned(),
            action_description: request.action.clone(),
            parameters: request.parameters.json.clone(),
            parameters_digest: request.parameters.digest.to_string(),
            approver_emails: json(
                &approvers
                    .iter()
                    .map(|a| a.address.as_str())
                    .collect::<Vec<_>>(),
            ),
            request_timestamp: request.requested_at.to_string(),
            request_digest: request.digest.to_string(),
            deadline_timestamp: request.expires_at.to_string(),
            on_behalf_of: text(&request.on_behalf_of),
            reason: request.reason.clone(),
            claimant: text(&request.claimant),
            status: state.status().word().to_owned(),
            approver: decision.map(|d| d.by.to_string()),
            approver_object_id: decision
                .and_then(|d| d.assurance.object_id())
                .map(|id| id.to_string()),
            response_timestamp: text(&approval.closed_at()),
            comment: decision.and_then(|d| d.comment.clone()),
            assurance: decision.map(|d| d.assurance.word().to_owned()),
            receipt: decision.map(|d| d.receipt.clone()),
            run_by: run_by.map(ToString::to_string),
            claim_nonce: execution.nonce,
            execution_status: execution.status,
            execution_timestamp: execution.at,
            execution_error: execution.error,
            late_response_timestamp: late.as_ref().map(|l| l.at.to_string()),
            late_decision: late.as_ref().map(|l| l.verdict.word().to_owned()),
            late_approver: late.as_ref().map(|l| l.by.to_string()),
            notification_status: approval.deliverable().word().to_owned(),
            notified_timestamp: text(&approval.notified_at()),
            notifications: json(&approvers.iter().map(ApproverEntry::of).collect::<Vec<_>>()),
            history: json(&history.iter().map(HistoryEntry::of).collect::<Vec<_>>()),
            due_timestamp: text(&due),
            due_entry: None,
            operation_id,
            row_seal: String::new(),
        };
        row.fits()?;
        Ok(row)
    }

    /// As Azure Table Storage takes it: no empty columns, and times that say so.
    pub(super) fn into_entity(self) -> Map<String, Value> {
        let Ok(Value::Object(mut entity)) = serde_json::to_value(self) else {
            unreachable!("a struct is a JSON object");
        };
        entity.retain(|_, value| !value.is_null());
        for column in TIMES {
            if entity.contains_key(column) {
                entity.insert(format!("{column}@odata.type"), "Edm.DateTime".into());
            }
        }
        entity
    }

    /// Of what Azure Table Storage gave back.
    pub(super) fn of_entity(mut entity: Map<String, Value>) -> Result<Self, StoreError> {
        let has = |column: &&str| entity.contains_key(*column);
        let theirs = ["ActionDescription", "RequestTimestamp", "Status"];
        let ours = [
            "CorrelationId",
            "RequestDigest",
            "Notifications",
            "History",
            "Receipt",
            "OperationId",
            "RowSeal",
        ];
        if theirs.iter().all(has) && !ours.iter().any(has) {
            return Err(StoreError::Predecessor);
        }
        for column in TIMES {
            // Azure gives them back in another form than it was given, and the seal is over ours.
            if let Some(Value::String(text)) = entity.get_mut(column)
                && let Some(time) = time(text)
            {
                *text = time.to_string();
            }
        }
        serde_json::from_value(Value::Object(entity))
            .map_err(|_| StoreError::Damaged("its columns".to_owned()))
    }

    /// When the gate must look at it again.
    pub(super) fn due(&self) -> Result<Option<Timestamp>, StoreError> {
        let due = self.due_timestamp.as_deref().map(time);
        due.map(|due| due.ok_or_else(|| StoreError::Damaged("DueTimestamp".to_owned())))
            .transpose()
    }

    fn fits(&self) -> Result<(), StoreError> {
        for (column, text) in [
            ("Parameters", &self.parameters),
            ("Notifications", &self.notifications),
            ("History", &self.history),
        ] {
            // ASCII or not: a byte is never less than a UTF-16 unit.
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

    /// Seals it as it stands: the last thing before it is stored.
    pub(super) fn seal(&mut self, keys: Option<&LinkKeys>) -> Result<(), StoreError> {
        let unsealed = || StoreError::Unavailable("it was opened without keys".to_owned());
        self.row_seal.clear();
        self.row_seal = keys.ok_or_else(unsealed)?.row_mac(&self.columns());
        Ok(())
    }

    /// The approval in it; without keys nobody looks at the seal.
    pub(super) fn into_approval(
        mut self,
        id: &ApprovalId,
        keys: Option<&LinkKeys>,
    ) -> Result<Approval, StoreError> {
        if let Some(keys) = keys {
            let seal = std::mem::take(&mut self.row_seal);
            let checked = keys.verify_row_mac(&self.columns(), &seal);
            checked.map_err(|broken| StoreError::Damaged(broken.to_string()))?;
        }
        self.decode(id)
            .map_err(|what| StoreError::Damaged(what.to_owned()))
    }

    /// All the columns; without the seal, unless there is one.
    fn columns(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("a struct of text is JSON")
    }

    /// The error names the column at fault, never what is in it.
    fn decode(self, id: &ApprovalId) -> Result<Approval, &'static str> {
        let stored = ApprovalId::new(&self.agent_name, &self.correlation_id);
        if stored.as_ref() != Some(id) {
            return Err("AgentName, CorrelationId");
        }
        let digest = Digest::parse(&self.parameters_digest).ok_or("ParametersDigest")?;
        // Just as it will be read to be shown.
        let is_object =
            serde_json::from_str::<Value>(&self.parameters).is_ok_and(|v| v.is_object());
        if digest.0 != sha256(self.parameters.as_bytes()) || !is_object {
            return Err("Parameters");
        }
        let history: Vec<HistoryEntry> =
            serde_json::from_str(&self.history).map_err(|_| "History")?;
        let history = history
            .into_iter()
            .map(|entry| entry.decode().ok_or("History"))
            .collect::<Result<Vec<_>, _>>()?;
        let state = self.state()?;
        let approvers: Vec<ApproverEntry> =
            serde_json::from_str(&self.notifications).map_err(|_| "Notifications")?;
        let approvers = approvers
            .into_iter()
            .map(|entry| entry.decode().ok_or("Notifications"))
            .collect::<Result<Vec<_>, _>>()?;
        let addresses: Vec<_> = approvers.iter().map(|a| a.address.as_str()).collect();
        if approvers.is_empty() || json(&addresses) != self.approver_emails {
            return Err("ApproverEmails, Notifications");
        }
        let late = match (
            &self.late_response_timestamp,
            &self.late_decision,
            &self.late_approver,
        ) {
            (None, None, None) => None,
            (Some(at), Some(verdict), Some(by)) => Some(LateDecision {
                by: address(by).ok_or("LateApprover")?,
                verdict: Verdict::from_word(verdict).ok_or("LateDecision")?,
                at: time(at).ok_or("LateResponseTimestamp")?,
            }),
            _ => return Err("LateResponseTimestamp, LateDecision, LateApprover"),
        };
        let approval = Approval {
            request: Request {
                id: id.clone(),
                action: self.action_description,
                parameters: Parameters {
                    json: self.parameters,
                    digest,
                },
                reason: self.reason,
                on_behalf_of: optional(self.on_behalf_of.as_deref(), address)
                    .ok_or("OnBehalfOf")?,
                claimant: optional(self.claimant.as_deref(), Digest::parse).ok_or("Claimant")?,
                digest: Digest::parse(&self.request_digest).ok_or("RequestDigest")?,
                requested_at: time(&self.request_timestamp).ok_or("RequestTimestamp")?,
                expires_at: time(&self.deadline_timestamp).ok_or("DeadlineTimestamp")?,
            },
            state,
            approvers,
            late,
            history,
        };
        match approval.history_is_consistent() {
            true => Ok(approval),
            false => Err("History"),
        }
    }

    fn state(&self) -> Result<State, &'static str> {
        let status = Status::from_word(&self.status).ok_or("Status")?;
        let closed_at =
            optional(self.response_timestamp.as_deref(), time).ok_or("ResponseTimestamp")?;
        let decided = matches!(status, Status::Approved | Status::Rejected);
        if decided != self.receipt.is_some()
            || (status == Status::Pending) != closed_at.is_none()
            || (status == Status::Approved) != self.run_by.is_some()
            || (status != Status::Approved && self.execution_status.is_some())
        {
            return Err("Status");
        }
        let Some(at) = closed_at else {
            return Ok(State::Pending);
        };
        Ok(match status {
            Status::Pending => State::Pending,
            Status::Approved => State::Approved {
                decision: self.decision(at)?,
                run_by: self.run_by.as_deref().and_then(time).ok_or("RunBy")?,
                execution: self.execution()?,
            },
            Status::Rejected => State::Rejected(self.decision(at)?),
            Status::Timeout => State::Timeout { at },
            Status::Cancelled => State::Cancelled { at },
            Status::Undeliverable => State::Undeliverable { at },
        })
    }

    fn decision(&self, at: Timestamp) -> Result<Decision, &'static str> {
        Ok(Decision {
            by: self
                .approver
                .as_deref()
                .and_then(address)
                .ok_or("Approver")?,
            assurance: self.assurance()?,
            comment: self.comment.clone(),
            at,
            receipt: self.receipt.clone().ok_or("Receipt")?,
        })
    }

    fn assurance(&self) -> Result<Assurance, &'static str> {
        let object_id = optional(self.approver_object_id.as_deref(), |id| {
            Uuid::parse_str(id).ok()
        });
        match (self.assurance.as_deref(), object_id) {
            (Some("Link"), Some(None)) => Ok(Assurance::Link),
            (Some("Entra"), Some(Some(object_id))) => Ok(Assurance::Entra(object_id)),
            _ => Err("Assurance, ApproverObjectId"),
        }
    }

    fn execution(&self) -> Result<Execution, &'static str> {
        let Some(status) = &self.execution_status else {
            return match (&self.claim_nonce, &self.execution_timestamp) {
                (None, None) => Ok(Execution::Awaited),
                _ => Err("ExecutionStatus"),
            };
        };
        let at = self
            .execution_timestamp
            .as_deref()
            .and_then(time)
            .ok_or("ExecutionTimestamp")?;
        let nonce = || self.claim_nonce.clone().ok_or("ClaimNonce");
        Ok(match status.as_str() {
            "Executing" => Execution::Executing {
                at,
                nonce: nonce()?,
            },
            "Executed" => Execution::Executed {
                at,
                nonce: nonce()?,
            },
            "ExecutionFailed" => Execution::Failed {
                at,
                nonce: nonce()?,
                error: self.execution_error.clone(),
            },
            "ExecutionUnknown" => Execution::Unknown {
                at,
                nonce: nonce()?,
            },
            "Lapsed" => Execution::Lapsed { at },
            _ => return Err("ExecutionStatus"),
        })
    }
}

#[derive(Default)]
struct ExecutionColumns {
    status: Option<String>,
    at: Option<String>,
    nonce: Option<String>,
    error: Option<String>,
}

impl ExecutionColumns {
    fn of(execution: &Execution) -> Self {
        let (at, nonce, error) = match execution {
            Execution::Awaited => return Self::default(),
            Execution::Executing { at, nonce }
            | Execution::Executed { at, nonce }
            | Execution::Unknown { at, nonce } => (at, Some(nonce), None),
            Execution::Failed { at, nonce, error } => (at, Some(nonce), error.clone()),
            Execution::Lapsed { at } => (at, None, None),
        };
        Self {
            status: execution.word().map(str::to_owned),
            at: Some(at.to_string()),
            nonce: nonce.cloned(),
            error,
        }
    }
}

impl ApproverEntry {
    fn of(approver: &Approver) -> Self {
        Self {
            approver: approver.address.to_string(),
            key: approver.link_key.clone(),
            seal: approver.mac.clone(),
            wrong_codes: approver.wrong_codes,
            mails: approver.deliveries.iter().map(MailEntry::of).collect(),
        }
    }

    fn decode(self) -> Option<Approver> {
        let mails: Vec<Delivery> = self
            .mails
            .into_iter()
            .map(MailEntry::decode)
            .collect::<Option<_>>()?;
        mails
            .iter()
            .any(|mail| mail.notice == Notice::Request)
            .then_some(())?;
        Some(Approver {
            address: address(&self.approver)?,
            link_key: self.key,
            mac: self.seal,
            wrong_codes: self.wrong_codes,
            deliveries: mails,
        })
    }
}

impl MailEntry {
    fn of(mail: &Delivery) -> Self {
        let (state, at) = match mail.state {
            DeliveryState::Queued(at) => ("Queued", at),
            DeliveryState::Sending(at) => ("Sending", at),
            DeliveryState::Sent(at) => ("Sent", at),
            DeliveryState::Failed(at) => ("Failed", at),
            DeliveryState::Unknown(at) => ("Unknown", at),
            DeliveryState::Dropped(at) => ("Dropped", at),
        };
        Self {
            kind: mail.notice.word().to_owned(),
            attempts: mail.attempts,
            state: state.to_owned(),
            at: at.to_string(),
            fault: mail.fault.map(|fault| fault.word().to_owned()),
        }
    }

    fn decode(self) -> Option<Delivery> {
        let at = time(&self.at)?;
        let state = match self.state.as_str() {
            "Queued" => DeliveryState::Queued(at),
            "Sending" => DeliveryState::Sending(at),
            "Sent" => DeliveryState::Sent(at),
            "Failed" => DeliveryState::Failed(at),
            "Unknown" => DeliveryState::Unknown(at),
            "Dropped" => DeliveryState::Dropped(at),
            _ => return None,
        };
        Some(Delivery {
            notice: Notice::from_word(&self.kind)?,
            attempts: self.attempts,
            state,
            fault: optional(self.fault.as_deref(), DeliveryFault::from_word)?,
        })
    }
}

impl HistoryEntry {
    fn of(event: &Event) -> Self {
        Self {
            at: event.at.to_string(),
            what: event.what.word().to_owned(),
            by: text(&event.by),
        }
    }

    fn decode(self) -> Option<Event> {
        Some(Event {
            at: time(&self.at)?,
            what: EventKind::from_word(&self.what)?,
            by: optional(self.by.as_deref(), address)?,
        })
    }
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("plain structs are JSON")
}

fn text(value: &Option<impl ToString>) -> Option<String> {
    value.as_ref().map(ToString::to_string)
}

fn address(text: &str) -> Option<Address> {
    Address::parse(text)
}

fn time(text: &str) -> Option<Timestamp> {
    Timestamp::parse(text)
}

/// Nothing only when there is a text that cannot be read.
fn optional<T>(text: Option<&str>, read: impl Fn(&str) -> Option<T>) -> Option<Option<T>> {
    match text {
        None => Some(None),
        Some(text) => read(text).map(Some),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_need_no_escaping() {
        let asked = ApprovalId::new("Ä/b\\c#d?e'f~g h", "x.y_z-1").unwrap();
        let (partition, row) = keys(&asked);
        assert_eq!(id(&partition, &row), Some(asked));
        for broken in ["a~", "a~f", "a~ff", "a~zz"] {
            assert_eq!(id(broken, "x"), None);
        }
        assert_eq!(partition, "~C3~84~2Fb~5Cc~23d~3Fe~27f~7Eg~20h");
        assert_eq!(row, "x.y_z-1");
    }
}
