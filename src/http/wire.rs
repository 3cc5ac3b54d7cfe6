//! Responses with an approval.

use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use human_oversight_protocol::types;

use crate::app::App;
use crate::domain::{
    Approval, Decider, Deliverable, DeliveryFault, DeliveryState, Execution, Request, Status, Tally,
};
use crate::values::{ApprovalId, Timestamp};

/// The request that a response is about, in its extensions, for the log: not every path contains the id.
#[derive(Clone)]
pub(super) struct About(pub(super) ApprovalId);

/// The agent that a refused submit names, in the extensions of the response, for the log.
#[derive(Clone)]
pub(super) struct AboutAgent(pub(super) String);

/// A response with an approval, and with `Retry-After` while it is pending.
pub(super) struct ApprovalResponse {
    pub(super) status: StatusCode,
    pub(super) approval: types::Approval,
    retry_after: Option<u64>,
    status_path: String,
    about: About,
}

impl ApprovalResponse {
    pub(super) fn new(app: &App, status: StatusCode, approval: &Approval) -> Self {
        Self::at(app, status, approval, app.now())
    }

    /// Shows the state at a given time.
    pub(super) fn at(app: &App, status: StatusCode, approval: &Approval, now: Timestamp) -> Self {
        let pending = approval.status(now) == Status::Pending;
        Self {
            status,
            approval: view(app, approval, now),
            retry_after: pending.then(|| retry_after(app, approval, now)),
            status_path: status_path(app, &approval.request),
            about: About(approval.request.id.clone()),
        }
    }
}

impl IntoResponse for ApprovalResponse {
    fn into_response(self) -> Response {
        let body = json(&self.approval);
        let mut response = (self.status, body).into_response();
        response.extensions_mut().insert(self.about);
        let headers = response.headers_mut();
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        if self.status == StatusCode::ACCEPTED
            && let Ok(location) = HeaderValue::from_str(&self.status_path)
        {
            headers.insert(header::LOCATION, location);
        }
        response
    }
}

/// A JSON body.
pub(super) fn json(value: &impl serde::Serialize) -> ([(HeaderName, &'static str); 1], Vec<u8>) {
    let body = serde_json::to_vec(value).expect("wire types are plain JSON");
    ([(header::CONTENT_TYPE, "application/json")], body)
}

/// When an agent asks first, in seconds after its request: no one has read the email and the page before that.
const FIRST_LOOK: u64 = 15;

/// Of a longer pause than a second, clients do not hold the call.
const NOT_HELD: u64 = 2;

/// The pause before the next call, in seconds. In local development a call costs nothing, so it is short. In
/// production it grows with the age of the request, so that an agent learns of the decision after at most a
/// tenth more of the time; but it never exceeds the deadline or half of the time to claim.
fn retry_after(app: &App, approval: &Approval, now: Timestamp) -> u64 {
    let (requested_at, expires_at) = (approval.request.requested_at, approval.request.expires_at);
    if !app.config.production {
        return 1;
    }
    let age = now.since(requested_at).as_secs();
    let by_age = age.div_ceil(10).max(FIRST_LOOK.saturating_sub(age));
    let to_deadline = expires_at.since(now).as_secs() + 1;
    let run_within = approval.plan.run_within.unwrap_or(app.config.run_within);
    let to_claim = run_within.as_secs() / 2;
    by_age
        .clamp(NOT_HELD, 900)
        .min(to_deadline)
        .min(to_claim)
        .max(1)
}

fn view(app: &App, approval: &Approval, now: Timestamp) -> types::Approval {
    let request = &approval.request;
    let decision = approval.decision();
    let status = approval.status(now);
    let closed_at = match status {
        Status::Pending => None,
        // The timeout may not be stored yet.
        _ => approval.closed_at().or(Some(request.expires_at)),
    };
    types::Approval {
        id: request.id.to_string(),
        correlation_id: request.id.correlation().to_owned(),
        agent_name: request.id.agent().to_owned(),
        action_description: request.action.clone(),
        parameters_digest: request.parameters.digest.to_string(),
        status: match status {
            Status::Pending => types::Status::Pending,
            Status::Approved => types::Status::Approved,
            Status::Rejected => types::Status::Rejected,
            Status::Timeout => types::Status::Timeout,
            Status::Cancelled => types::Status::Cancelled,
            Status::Undeliverable => types::Status::Undeliverable,
        },
        approver: decision
            .and_then(|decision| decision.by.person())
            .map(ToString::to_string),
        comment: decision.and_then(|it| it.words.for_agent(it.by.assurance())),
        revise: approval.question_for_agent().map(|question| types::Revise {
            question: question.to_owned(),
        }),
        request_timestamp: request.requested_at.to_string(),
        expires_at: request.expires_at.to_string(),
        response_timestamp: closed_at.map(|at| at.to_string()),
        execution: approval.execution(now).and_then(execution),
        notifications: (0..approval.approvers.len())
            .filter_map(|i| notification(approval, i))
            .collect(),
        deliverable: match approval.deliverable() {
            Deliverable::Ok => types::Deliverable::Ok,
            Deliverable::Degraded => types::Deliverable::Degraded,
            Deliverable::None => types::Deliverable::None,
        },
        receipt: decision.map(|decision| decision.receipt.clone()),
        permit: None,
        progress: progress(approval, now),
        decider: decision
            .filter(|_| approval.plan.keeps_votes())
            .map(|decision| match &decision.by {
                Decider::Person { .. } => types::Decider::Person,
                Decider::Policy { .. } => types::Decider::Policy,
                Decider::Grant(_) => types::Decider::Grant,
            }),
        policy: approval.plan.policy().map(|policy| types::Policy {
            digest: policy.digest.to_string(),
            rules: policy.rules.clone(),
            facts: policy.facts.clone(),
        }),
        status_url: format!("{}{}", app.base_url, status_path(app, request)),
    }
}

/// The path under which the agent finds the request's state.
fn status_path(app: &App, request: &Request) -> String {
    let by_identity = request.agent_object_id.is_some() || !app.config.agent_identity.takes_keys();
    let routes = if by_identity { "/api/agent" } else { "/api" };
    format!("{routes}/status/{}", request.id)
}

/// How far the votes are, where the policy asks for them and the request is open.
fn progress(approval: &Approval, now: Timestamp) -> Option<types::Progress> {
    let plan = &approval.plan;
    if !plan.keeps_votes() || approval.status(now) != Status::Pending {
        return None;
    }
    let Tally::Open { stage } = plan.tally(&approval.votes) else {
        return None;
    };
    let asks = plan.asks_of(stage, &approval.votes);
    let unmet = asks
        .iter()
        .filter(|(ask, given)| *given < ask.needed.get().into());
    Some(types::Progress {
        stage: stage + 1,
        stages: plan.stages.len(),
        needed: asks
            .iter()
            .map(|(ask, _)| usize::from(ask.needed.get()))
            .sum(),
        given: asks.iter().map(|(_, given)| given).sum(),
        awaiting: unmet.map(|(ask, _)| ask.from.clone()).collect(),
    })
}

fn execution(execution: Execution) -> Option<types::Execution> {
    use types::ExecutionStatus as Wire;
    let (status, at, error) = match execution {
        Execution::Awaited => return None,
        Execution::Executing { at, .. } => (Wire::Executing, at, None),
        Execution::Executed { at, .. } => (Wire::Executed, at, None),
        Execution::Failed { at, error, .. } => (Wire::ExecutionFailed, at, error),
        Execution::Unknown { at, .. } => (Wire::ExecutionUnknown, at, None),
        Execution::Lapsed { at } => (Wire::Lapsed, at, None),
        Execution::Revoked { at, .. } => (Wire::Revoked, at, None),
    };
    Some(types::Execution {
        status,
        timestamp: at.to_string(),
        error,
    })
}

/// The notification of an approver; `None` until their stage opens.
fn notification(approval: &Approval, index: usize) -> Option<types::Notification> {
    let delivery = approval.approvers[index].request_delivery()?;
    Some(types::Notification {
        approver: approval.approvers[index].address.to_string(),
        state: match delivery.state {
            DeliveryState::Queued(_) => types::MailState::Queued,
            DeliveryState::Sending(_) => types::MailState::Sending,
            DeliveryState::Sent(_) => types::MailState::Sent,
            DeliveryState::Failed(_) => types::MailState::Failed,
            DeliveryState::Unknown(_) => types::MailState::Unknown,
            DeliveryState::Dropped(_) => types::MailState::Dropped,
        },
        attempts: delivery.attempts,
        fault: delivery.fault.map(|fault| match fault {
            DeliveryFault::Refused => types::MailFault::Refused,
            DeliveryFault::Unavailable => types::MailFault::Unavailable,
            DeliveryFault::Misconfigured => types::MailFault::Misconfigured,
            DeliveryFault::Unclear => types::MailFault::Unclear,
        }),
        locked: approval.approvers[index].is_locked(),
    })
}
