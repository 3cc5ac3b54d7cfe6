//! The routes of the gate, in memory.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use human_oversight_protocol::callback::Secret;
use human_oversight_protocol::parameters::{Parameters, hex};
use human_oversight_protocol::permit;
use human_oversight_protocol::receipt::{self, Assurance, Claims, Decision};
use human_oversight_protocol::signing_key::SigningKey;
use human_oversight_protocol::types::{
    Approval, Claim, Deliverable, Execution, ExecutionStatus, FieldError, KeyLife, KeySet,
    NewApproval, Problem, Report, Revise, Status,
};
use ring::rand::SystemRandom;
use ring::signature::Ed25519KeyPair;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::error::Error;
use crate::handle::approval_id;
use crate::mock_limits::{faults, is_too_deep, is_too_large};

/// How a mock answers a request.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Answer {
    /// The first of the approvers approves.
    Approve,
    /// The first of the approvers rejects, with this comment.
    Reject(String),
    /// The first of the approvers rejects, and asks for changes in these words.
    AskForChanges(String),
    /// The request expires without a decision, long before its deadline: the call takes a second.
    Expire,
    /// The gate is unavailable.
    Unavailable,
}

const KID: &str = "mock";
const ISSUER: &str = "mock";

/// How long a request is open, and how long an approval can be claimed.
const OPEN: Duration = Duration::from_secs(3_600);

pub(crate) struct MockServer {
    policy: Box<dyn Fn(&NewApproval) -> Answer + Send + Sync>,
    key: SigningKey,
    callback_secret: Secret,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    requests: Vec<NewApproval>,
    approvals: HashMap<String, Approval>,
}

impl MockServer {
    pub(crate) fn new(policy: impl Fn(&NewApproval) -> Answer + Send + Sync + 'static) -> Self {
        let der = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new());
        let der = der.expect("the system provides random bytes");
        let key = Ed25519KeyPair::from_pkcs8(der.as_ref()).expect("just generated");
        Self {
            policy: Box::new(policy),
            key: SigningKey::Ed25519(key),
            callback_secret: Secret::generate(),
            state: Mutex::default(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn callback_secret(&self) -> Secret {
        self.callback_secret.clone()
    }

    pub(crate) fn requests(&self) -> Vec<NewApproval> {
        self.state().requests.clone()
    }

    pub(crate) fn approvals(&self) -> Vec<Approval> {
        let state = self.state();
        let ids = state.requests.iter().map(id);
        ids.map(|id| state.approvals[&id].clone()).collect()
    }

    pub(crate) fn submit(&self, request: &NewApproval) -> Result<Approval, Error> {
        let id = id(request);
        if let Ok(approval) = self.status(&id) {
            return self.repeated(request, approval);
        }
        if is_too_large(request) {
            let why = "The request is larger than the gate takes.";
            return Err(problem(413, "too-large", why));
        }
        if is_too_deep(request) {
            let why = "The body is nested deeper than the gate reads.";
            return Err(problem(400, "bad-request", why));
        }
        let errors = faults(request);
        if !errors.is_empty() {
            return Err(invalid(errors));
        }
        if let Some(earlier) = &request.supersedes
            && !self.has_ended_without_approval(earlier)
        {
            let detail = "must be the id of a request that ended without approval".to_owned();
            let pointer = "/supersedes".to_owned();
            return Err(invalid(vec![FieldError { pointer, detail }]));
        }
        let answer = (self.policy)(request);
        if answer == Answer::Unavailable {
            return Err(problem(503, "unavailable", "The mock is unavailable."));
        }
        let approval = self.answered(request, answer);
        // Locked only now: the policy may read earlier requests.
        let mut state = self.state();
        state.requests.push(request.clone());
        state.approvals.insert(id, approval.clone());
        Ok(approval)
    }

    fn repeated(&self, request: &NewApproval, approval: Approval) -> Result<Approval, Error> {
        if self.state().requests.contains(request) {
            return Ok(approval);
        }
        let why = "The correlationId is taken by another request for this agent. Use a new one.";
        Err(problem(409, "conflict", why))
    }

    fn has_ended_without_approval(&self, id: &str) -> bool {
        let found = self.status(id).map(|approval| approval.status);
        matches!(found, Ok(Status::Rejected | Status::Timeout))
    }

    fn answered(&self, request: &NewApproval, answer: Answer) -> Approval {
        let now = OffsetDateTime::now_utc();
        let text = |time: OffsetDateTime| time.format(&Rfc3339).expect("the year has four digits");
        let parameters = Parameters::new(&request.parameters).expect("they have no faults");
        let mut approval = Approval {
            id: id(request),
            correlation_id: request.correlation_id.clone().unwrap_or_default(),
            agent_name: request.agent_name.clone(),
            action_description: request.action_description.clone(),
            parameters_digest: hex(&parameters.digest()),
            status: Status::Timeout,
            approver: None,
            comment: None,
            revise: None,
            request_timestamp: text(now),
            expires_at: text(now + OPEN),
            response_timestamp: Some(text(now)),
            execution: None,
            notifications: Vec::new(),
            deliverable: Deliverable::Ok,
            receipt: None,
            permit: None,
            progress: None,
            decider: None,
            policy: None,
            status_url: String::new(),
        };
        if let Answer::AskForChanges(question) = &answer {
            let question = question.clone();
            approval.revise = Some(Revise { question });
        }
        let decided = match answer {
            Answer::Approve => Some((Status::Approved, Decision::Approved, None)),
            Answer::Reject(comment) => Some((Status::Rejected, Decision::Rejected, Some(comment))),
            Answer::AskForChanges(_) => Some((Status::Rejected, Decision::Rejected, None)),
            Answer::Expire | Answer::Unavailable => None,
        };
        if let Some((status, decision, comment)) = decided {
            approval.status = status;
            approval.approver = request.approver_emails.first().cloned();
            approval.comment = comment;
            let now = now.unix_timestamp();
            approval.receipt = Some(self.receipt(request, &approval, decision, now));
        }
        approval
    }

    pub(crate) fn status(&self, id: &str) -> Result<Approval, Error> {
        let found = self.state().approvals.get(id).cloned();
        found.ok_or_else(|| problem(404, "not-found", "The mock has no such request."))
    }

    pub(crate) fn claim(&self, id: &str, claim: &Claim) -> Result<Approval, Error> {
        let mut approval = self.update(id, |approval| {
            match (approval.status, &approval.execution) {
                (Status::Approved, None) => Some((ExecutionStatus::Executing, None)),
                _ => None,
            }
        })?;
        approval.permit = self.permit(&approval, &claim.nonce);
        Ok(approval)
    }

    pub(crate) fn outcome(&self, id: &str, report: &Report) -> Result<Approval, Error> {
        let Report { status, error, .. } = report;
        self.update(id, |_| Some((*status, error.clone())))
    }

    /// Refused always: no request is ever pending.
    pub(crate) fn withdraw(&self, id: &str) -> Result<Approval, Error> {
        self.update(id, |_| None)
    }

    fn update(
        &self,
        id: &str,
        execution: impl FnOnce(&Approval) -> Option<(ExecutionStatus, Option<String>)>,
    ) -> Result<Approval, Error> {
        let conflict = || problem(409, "conflict", "The request's state does not allow it.");
        let mut state = self.state();
        let approval = state.approvals.get_mut(id).ok_or_else(conflict)?;
        let (status, error) = execution(approval).ok_or_else(conflict)?;
        approval.execution = Some(Execution {
            status,
            timestamp: approval.request_timestamp.clone(),
            error,
        });
        Ok(approval.clone())
    }

    pub(crate) fn keys(&self) -> KeySet {
        let key = self.key.public().jwk(KID, KeyLife::default());
        KeySet {
            keys: vec![key],
            issuers: vec![ISSUER.to_owned()],
        }
    }

    fn receipt(
        &self,
        request: &NewApproval,
        approval: &Approval,
        decision: Decision,
        now: i64,
    ) -> String {
        let lapses_at = now.saturating_add_unsigned(OPEN.as_secs());
        let claims = Claims {
            iss: ISSUER.to_owned(),
            aud: approval.agent_name.clone(),
            agent_object_id: None,
            sub: approval.id.clone(),
            iat: now,
            exp: (decision == Decision::Approved).then_some(lapses_at),
            correlation_id: approval.correlation_id.clone(),
            action_description: approval.action_description.clone(),
            parameters_digest: approval.parameters_digest.clone(),
            claimant: request.claimant.clone(),
            decision,
            comment_digest: None,
            question_digest: None,
            approver: approval.approver.clone().unwrap_or_default(),
            assurance: Assurance::Link,
            approver_object_id: None,
            auth_time: None,
            auth_context: None,
            votes: Vec::new(),
            policy: None,
            handed_over: Vec::new(),
        };
        receipt::sign(&claims, KID, &self.key)
    }

    fn permit(&self, approval: &Approval, nonce: &str) -> Option<String> {
        let receipt = approval.receipt.as_ref()?;
        let decided = receipt::verify(receipt, &self.keys()).expect("signed above");
        let claims = permit::Claims {
            iss: decided.iss,
            aud: decided.aud,
            sub: decided.sub,
            jti: nonce.to_owned(),
            claimant: decided.claimant,
            parameters_digest: decided.parameters_digest,
            receipt_digest: permit::digest(receipt),
            iat: OffsetDateTime::now_utc().unix_timestamp(),
            exp: decided.exp?,
        };
        Some(permit::sign(&claims, KID, &self.key))
    }
}

fn id(request: &NewApproval) -> String {
    let correlation_id = request.correlation_id.as_deref().unwrap_or_default();
    approval_id(&request.agent_name, correlation_id)
}

fn problem(status: u16, kind: &str, detail: &str) -> Error {
    Error::Problem(Box::new(document(status, kind, detail)))
}

fn invalid(errors: Vec<FieldError>) -> Error {
    Error::Problem(Box::new(Problem {
        errors,
        ..document(422, "invalid", "The gate refuses the request.")
    }))
}

fn document(status: u16, kind: &str, detail: &str) -> Problem {
    Problem {
        kind: format!("urn:human-oversight:problem:{kind}"),
        title: "Refused by the mock".to_owned(),
        status,
        detail: detail.to_owned(),
        invocation_id: String::new(),
        errors: Vec::new(),
    }
}
