//! The events that webhooks get: thin, so that a receiver asks the gate for what it may see.

use human_oversight_protocol::parameters::{hex, sha256};
use serde_json::{Value, json};

use super::sender::Message;
use crate::domain::{
    Approval, Callback, ChannelAttempt, ChannelEvent, Event, EventKind, Purpose, Status,
};

/// The event of an attempt. Its id is the same in every attempt.
pub fn event(
    approval: &Approval,
    attempt: &ChannelAttempt,
    (event, kind): (&Event, ChannelEvent),
    base_url: &str,
) -> Message {
    let request = &approval.request;
    let mut data = json!({
        "agentName": request.id.agent(),
        "correlationId": request.id.correlation(),
        "status": status_after(event.what).word(),
        "sequence": attempt.event,
    });
    match (attempt.purpose, &request.callback) {
        (Purpose::Callback, Some(Callback { state, .. })) => {
            if let Some(state) = state {
                data["state"] = state.as_str().into();
            }
        }
        _ => {
            data["actionDescription"] = request.action.as_str().into();
            data["url"] = Value::String(format!("{base_url}/api/decision/{}", request.id));
        }
    }
    let body = json!({"type": kind.word(), "timestamp": event.at.to_string(), "data": data});
    Message {
        id: message_id(approval, attempt, (event, kind)),
        body: body.to_string(),
    }
}

/// Named by request, event and channel. The time tells requests apart that have the same id at different gates; kind and
/// time of the event, what has happened since a backup was restored from what was lost.
fn message_id(
    approval: &Approval,
    attempt: &ChannelAttempt,
    (event, kind): (&Event, ChannelEvent),
) -> String {
    let request = &approval.request;
    let named = format!(
        "{}\n{}\n{}\n{}\n{}\n{}\n{}",
        request.id,
        request.requested_at,
        attempt.event,
        kind.word(),
        event.at,
        attempt.purpose.word(),
        attempt.channel
    );
    format!("msg_{}", hex(&sha256(named.as_bytes())[..16]))
}

/// The status of the request once this has happened.
fn status_after(what: EventKind) -> Status {
    match what {
        EventKind::Submitted
        | EventKind::VotedToApprove
        | EventKind::VotedToReject
        | EventKind::Escalated
        | EventKind::HandedOver
        | EventKind::Locked => Status::Pending,
        EventKind::Rejected => Status::Rejected,
        EventKind::TimedOut | EventKind::AnsweredLate => Status::Timeout,
        EventKind::Cancelled => Status::Cancelled,
        EventKind::Undeliverable => Status::Undeliverable,
        EventKind::Approved
        | EventKind::Claimed
        | EventKind::Lapsed
        | EventKind::Revoked
        | EventKind::Executed
        | EventKind::ExecutionFailed
        | EventKind::ExecutionUnknown
        | EventKind::ReportedLate => Status::Approved,
    }
}
