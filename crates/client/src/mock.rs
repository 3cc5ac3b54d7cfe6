//! A gate for the tests of agents: it asks nobody, and decides as the test says.
//!
//! ```
//! use human_oversight_client::mock::{Answer, MockGate};
//!
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
//! let mock = MockGate::new(|asked| match asked.action_description.as_str() {
//!     "Delete User Account" => Answer::Reject("Not this one.".to_owned()),
//!     _ => Answer::Approve,
//! });
//! let gate = mock.gate().agent("UserManagerAgent").approvers(["alice@example.com"]);
//!
//! let user = serde_json::json!({"user_id": "1"});
//! let outcome = gate.action("Delete User Account").run(&user, async |_| "deleted").await;
//!
//! assert_eq!(outcome.into_result().unwrap_err().comment.as_deref(), Some("Not this one."));
//! assert_eq!(mock.asked()[0].parameters["user_id"], "1");
//! # });
//! ```
//!
//! All else is as it is in earnest: the same client waits, verifies the same signed receipts (by a key
//! that each mock makes for itself), claims and reports. Only nothing goes over a network.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use ring::rand::SystemRandom;
use ring::signature::{Ed25519KeyPair, KeyPair};
use serde::Serialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::parameters::{Parameters, hex};
use crate::receipt::{Assurance, Claims, Decision, Header, TYPE};
use crate::types::{
    Approval, Claim, Deliverable, Execution, ExecutionStatus, Key, KeySet, NewApproval, Problem,
    Report, Status,
};
use crate::{Client, Error, Gate};

/// How a mock decides.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Answer {
    /// Yes, by the first of the approvers.
    Approve,
    /// No, by the first of the approvers, who writes this.
    Reject(String),
    /// Nobody decides in time. (Nothing waits for that.)
    Expire,
    /// The gate cannot be reached.
    Away,
}

/// A gate that asks nobody; see the [module](self).
#[derive(Clone)]
pub struct MockGate(Arc<Mock>);

pub(crate) struct Mock {
    policy: Box<dyn Fn(&NewApproval) -> Answer + Send + Sync>,
    key: Ed25519KeyPair,
    requests: Mutex<Requests>,
}

#[derive(Default)]
struct Requests {
    asked: Vec<NewApproval>,
    approvals: HashMap<String, Approval>,
}

impl fmt::Debug for MockGate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MockGate").finish_non_exhaustive()
    }
}

impl MockGate {
    /// One that decides like this.
    pub fn new(policy: impl Fn(&NewApproval) -> Answer + Send + Sync + 'static) -> Self {
        let der = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new());
        let der = der.expect("the system gives random bytes");
        let key = Ed25519KeyPair::from_pkcs8(der.as_ref()).expect("just made");
        Self(Arc::new(Mock {
            policy: Box::new(policy),
            key,
            requests: Mutex::default(),
        }))
    }

    /// The gate, for an agent under test.
    pub fn gate(&self) -> Gate {
        Gate::new(Client::mock(self.0.clone()))
    }

    /// What was asked, in order.
    pub fn asked(&self) -> Vec<NewApproval> {
        self.0.requests().asked.clone()
    }

    /// What became of what was asked, in the same order: with the outcome that was reported.
    pub fn approvals(&self) -> Vec<Approval> {
        let requests = self.0.requests();
        let asked = requests.asked.iter();
        asked
            .map(|asked| requests.approvals[&id(asked)].clone())
            .collect()
    }
}

fn id(asked: &NewApproval) -> String {
    let correlation = asked.correlation_id.as_deref().unwrap_or_default();
    format!("{}.{correlation}", BASE64URL.encode(&asked.agent_name))
}

impl Mock {
    fn requests(&self) -> MutexGuard<'_, Requests> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn submit(&self, asked: &NewApproval) -> Result<Approval, Error> {
        let id = id(asked);
        if let Ok(approval) = self.status(&id) {
            return Ok(approval);
        }
        if asked.approver_emails.is_empty() {
            return Err(refused(
                422,
                "invalid",
                "Nobody was named who could approve.",
            ));
        }
        let answer = (self.policy)(asked);
        if answer == Answer::Away {
            return Err(refused(503, "unavailable", "The mock is away."));
        }
        let now = OffsetDateTime::now_utc();
        let text = |time: OffsetDateTime| time.format(&Rfc3339).expect("the year has four digits");
        let parameters = Parameters::of(&asked.parameters).expect("the client has made them");
        let mut approval = Approval {
            correlation_id: asked.correlation_id.clone().unwrap_or_default(),
            agent_name: asked.agent_name.clone(),
            action_description: asked.action_description.clone(),
            parameters_digest: hex(&parameters.digest()),
            status: Status::Timeout,
            approver: None,
            comment: None,
            request_timestamp: text(now),
            expires_at: text(now + Duration::from_secs(3_600)),
            response_timestamp: Some(text(now)),
            execution: None,
            notifications: Vec::new(),
            deliverable: Deliverable::Ok,
            receipt: None,
            status_url: String::new(),
            id: id.clone(),
        };
        let decided = match answer {
            Answer::Approve => Some((Status::Approved, Decision::Approved, None)),
            Answer::Reject(why) => Some((Status::Rejected, Decision::Rejected, Some(why))),
            Answer::Expire | Answer::Away => None,
        };
        if let Some((status, decision, comment)) = decided {
            approval.status = status;
            approval.approver = asked.approver_emails.first().cloned();
            approval.comment = comment;
            approval.receipt = Some(self.receipt(&approval, decision, now.unix_timestamp()));
        }
        // The policy may look at what was asked before, so nothing was locked until now.
        let mut requests = self.requests();
        requests.asked.push(asked.clone());
        requests.approvals.insert(id, approval.clone());
        Ok(approval)
    }

    pub(crate) fn status(&self, id: &str) -> Result<Approval, Error> {
        let requests = self.requests();
        let found = requests.approvals.get(id).cloned();
        found.ok_or_else(|| refused(404, "not-found", "The mock was not asked that."))
    }

    pub(crate) fn claim(&self, id: &str, _: &Claim) -> Result<Approval, Error> {
        self.change(id, |approval| {
            match (approval.status, &approval.execution) {
                (Status::Approved, None) => Some((ExecutionStatus::Executing, None)),
                _ => None,
            }
        })
    }

    pub(crate) fn outcome(&self, id: &str, report: &Report) -> Result<Approval, Error> {
        let Report { status, error, .. } = report;
        self.change(id, |_| Some((*status, error.clone())))
    }

    pub(crate) fn withdraw(&self, id: &str) -> Result<Approval, Error> {
        self.change(id, |_| None)
    }

    fn change(
        &self,
        id: &str,
        to: impl FnOnce(&Approval) -> Option<(ExecutionStatus, Option<String>)>,
    ) -> Result<Approval, Error> {
        let mut requests = self.requests();
        let conflict = || refused(409, "conflict", "Not as the request stands.");
        let approval = requests.approvals.get_mut(id).ok_or_else(conflict)?;
        let (status, error) = to(approval).ok_or_else(conflict)?;
        approval.execution = Some(Execution {
            status,
            timestamp: approval.request_timestamp.clone(),
            error,
        });
        Ok(approval.clone())
    }

    pub(crate) fn keys(&self) -> KeySet {
        let key = Key {
            kty: "OKP".to_owned(),
            crv: "Ed25519".to_owned(),
            alg: "EdDSA".to_owned(),
            usage: "sig".to_owned(),
            kid: "mock".to_owned(),
            x: BASE64URL.encode(self.key.public_key().as_ref()),
        };
        KeySet { keys: vec![key] }
    }

    fn receipt(&self, approval: &Approval, decision: Decision, now: i64) -> String {
        let header = Header {
            alg: "EdDSA".to_owned(),
            typ: TYPE.to_owned(),
            kid: "mock".to_owned(),
        };
        let claims = Claims {
            iss: "mock".to_owned(),
            aud: approval.agent_name.clone(),
            sub: approval.id.clone(),
            iat: now,
            exp: (decision == Decision::Approved).then_some(now + 3_600),
            correlation_id: approval.correlation_id.clone(),
            action_description: approval.action_description.clone(),
            parameters_digest: approval.parameters_digest.clone(),
            claimant: None,
            decision,
            comment_digest: None,
            approver: approval.approver.clone().unwrap_or_default(),
            assurance: Assurance::Link,
            approver_object_id: None,
        };
        let [header, claims] = [json(&header), json(&claims)].map(|part| BASE64URL.encode(part));
        let signed = format!("{header}.{claims}");
        let signature = self.key.sign(signed.as_bytes());
        format!("{signed}.{}", BASE64URL.encode(signature.as_ref()))
    }
}

fn json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("plain structs are JSON")
}

fn refused(status: u16, kind: &str, detail: &str) -> Error {
    Error::Problem(Box::new(Problem {
        kind: format!("urn:human-oversight:problem:{kind}"),
        title: "The mock refuses".to_owned(),
        status,
        detail: detail.to_owned(),
        invocation_id: String::new(),
        errors: Vec::new(),
    }))
}
