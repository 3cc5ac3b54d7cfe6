//! `POST /api/submit`: an agent asks for approval.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use human_oversight_protocol::parameters::{hex, sha256};
use serde_json::{Map, Value};
use tracing::Instrument;
use uuid::Uuid;

use super::App;
use super::claim::not_possible;
use super::edge::log_events;
use super::error::{Error, Standing};
use super::json::{Fields, Json, Text, invalid};
use super::status::wait_parameter;
use super::wire::Answer;
use crate::address::Address;
use crate::approval::{Approval, Approver, Claimed, Digest, Parameters, Request, Status};
use crate::id::{AGENT_BYTES, AGENT_CHARS, ApprovalId, CORRELATION_CHARS, is_plain_name};
use crate::keyring::random;
use crate::store::StoreError;
use crate::timestamp::Timestamp;

const ACTION_CHARS: usize = 256;
const REASON_CHARS: usize = 2_000;
const PARAMETERS_BYTES: usize = 30 * 1024;
const APPROVERS: usize = 20;
const TIMEOUT_SECONDS: std::ops::RangeInclusive<u64> = 10..=2_592_000;

pub(super) async fn submit(
    State(app): State<Arc<App>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    Json(body): Json,
) -> Result<Response, Error> {
    let asked = wait_parameter(query.as_deref())?;
    let preferred = prefer_wait(&headers);
    let wait = asked.or(preferred);
    let submission = Submission::parse(&app, body)?;
    if !app.may_speak_for(&headers, query.as_deref(), submission.id.agent()) {
        return Err(Error::Forbidden(
            "This function key does not speak for this agent (HO_AGENT_KEYS).",
        ));
    }
    if wait.is_some() && submission.claimant.is_some() {
        return Err(invalid(
            "/claimant",
            "is of no use with `wait`, where the gate claims for the caller: leave one of them out",
        ));
    }
    let timeout = submission
        .timeout
        .or(wait)
        .unwrap_or(app.config.default_timeout);
    // In a task of its own: a caller that hangs up leaves no mail half sent.
    let approval = submission.into_approval(&app, timeout);
    let storing = tokio::spawn({
        let app = app.clone();
        async move { store(&app, approval).await }.in_current_span()
    });
    let (approval, is_new) = storing.await.map_err(|_| Error::Bug)??;
    let mut response = match wait {
        Some(wait) => synchronous(&app, approval, wait).await?.into_response(),
        None => {
            let pending = approval.status(app.now()) == Status::Pending;
            let status = if is_new || pending {
                StatusCode::ACCEPTED
            } else {
                StatusCode::OK
            };
            Answer::of(&app, status, &approval).into_response()
        }
    };
    if let (None, Some(preferred)) = (asked, preferred) {
        let applied = format!("wait={}", preferred.as_secs());
        response.headers_mut().insert(
            HeaderName::from_static("preference-applied"),
            HeaderValue::from_str(&applied).expect("digits"),
        );
    }
    Ok(response)
}

/// Stores a new request and mails the approvers; or finds it stored already.
async fn store(app: &App, mut approval: Approval) -> Result<(Approval, bool), Error> {
    let (id, digest) = (approval.request.id.clone(), approval.request.digest);
    // Taking the mails in the insert itself saves a write, and nobody can be quicker.
    let attempts = approval.lease_mails(app.config.mail_notes, approval.request.requested_at);
    let due = approval.next_due(app.config.outcome_within);
    match app.store.insert(approval, due).await {
        Ok(stored) => {
            log_events(&stored.approval, 0);
            match app.notify(stored.clone(), attempts).await {
                Ok(approval) => Ok((approval, true)),
                // It is stored, so it is accepted; the sweep sees to the mails.
                Err(error) => {
                    let cause = error.cause();
                    tracing::warn!(
                        id = id.to_string(),
                        cause,
                        "what became of the mails is not stored"
                    );
                    Ok((stored.approval, true))
                }
            }
        }
        Err(refused @ (StoreError::AlreadyExists | StoreError::OpenLimit)) => {
            let stored = match app.load(&id).await {
                Err(Error::NotFound) => Err(match refused {
                    StoreError::OpenLimit => Error::TooMany(app.config.open_limit),
                    other => other.into(),
                }),
                stored => stored,
            };
            let stored = stored?.approval;
            match stored.request.digest == digest {
                true => Ok((stored, false)),
                false => Err(Error::Conflict(Standing::OtherContent)),
            }
        }
        Err(error) => Err(error.into()),
    }
}

/// The predecessor's protocol: the answer is the decision. Whoever gets `Approved` here may run the
/// action, so the gate claims the approval first, and answers it once only.
async fn synchronous(app: &App, approval: Approval, wait: Duration) -> Result<Answer, Error> {
    let id = approval.request.id;
    let seen = app.wait_for_decision(&id, wait).await?;
    let now = app.now();
    if seen.status(now) == Status::Pending {
        let left = seen.request.expires_at.since(now);
        if left > Duration::from_secs(1) {
            return Ok(answer_as_before(Answer::of(
                app,
                StatusCode::ACCEPTED,
                &seen,
            )));
        }
        // The time for the answer is the time for the decision: its end is stored, then told.
        tokio::time::sleep(left + Duration::from_millis(1)).await;
    }
    let nonce = hex(&random::<16>());
    let (approval, (claimed, judged_at)) = app
        .change(&id, |approval, now| Ok((approval.claim(&nonce, now), now)))
        .await?;
    let status = match (approval.status(judged_at), claimed) {
        (Status::Approved, Claimed::Refused) => return Err(not_possible(&approval, judged_at)),
        (Status::Pending, _) => StatusCode::ACCEPTED,
        _ => StatusCode::OK,
    };
    Ok(answer_as_before(Answer::at(
        app, status, &approval, judged_at,
    )))
}

/// The predecessor answered an empty text where nobody had decided.
fn answer_as_before(mut answer: Answer) -> Answer {
    answer.approval.approver.get_or_insert_default();
    answer
}

/// `Prefer: wait=N` (RFC 7240). A preference that makes no sense is none.
fn prefer_wait(headers: &HeaderMap) -> Option<Duration> {
    let values = headers
        .get_all("prefer")
        .iter()
        .filter_map(|value| value.to_str().ok());
    let seconds: u64 = values
        .flat_map(|value| value.split([',', ';']))
        .find_map(|preference| preference.trim().strip_prefix("wait=")?.parse().ok())?;
    (seconds >= 1).then(|| Duration::from_secs(seconds.min(100)))
}

/// A submit body that is in order.
struct Submission {
    id: ApprovalId,
    action: String,
    parameters: Parameters,
    approvers: Vec<Address>,
    timeout: Option<Duration>,
    reason: Option<String>,
    on_behalf_of: Option<Address>,
    claimant: Option<Digest>,
    digest: Digest,
}

impl Submission {
    fn parse(app: &App, body: Map<String, Value>) -> Result<Self, Error> {
        let digest = as_sent(&body);
        let mut fields = Fields::of(body);
        let agent = fields.required_text("agentName", Text::Line, AGENT_CHARS);
        if agent
            .as_ref()
            .is_some_and(|agent| agent.len() > AGENT_BYTES)
        {
            fields.fault(
                "/agentName",
                format!("must have at most {AGENT_BYTES} bytes of UTF-8"),
            );
        }
        let action = fields.required_text("actionDescription", Text::Line, ACTION_CHARS);
        let parameters = parameters(&mut fields);
        let on_behalf_of = fields.optional("onBehalfOf").and_then(|value| {
            let address = value.as_str().and_then(Address::parse);
            if address.is_none() {
                fields.fault("/onBehalfOf", "must be a plain mail address");
            }
            address
        });
        let approvers = approvers(&mut fields, app, on_behalf_of.as_ref());
        let correlation = match fields.optional("correlationId") {
            None => Some(Uuid::now_v7().to_string()),
            Some(Value::String(id)) if is_plain_name(&id, CORRELATION_CHARS) => Some(id),
            Some(_) => {
                let form =
                    format!("must have 1 to {CORRELATION_CHARS} characters of [A-Za-z0-9._-]");
                fields.fault("/correlationId", form);
                None
            }
        };
        let timeout = fields.optional("timeoutSeconds").and_then(|value| {
            // `60.0` is a whole number too, to JSON and to its schemas.
            let seconds = value
                .as_f64()
                .filter(|seconds| seconds.fract() == 0.0)
                .map(|seconds| seconds as u64)
                .filter(|seconds| TIMEOUT_SECONDS.contains(seconds));
            if seconds.is_none() {
                let (least, most) = (TIMEOUT_SECONDS.start(), TIMEOUT_SECONDS.end());
                fields.fault(
                    "/timeoutSeconds",
                    format!("must be a whole number from {least} to {most}"),
                );
            }
            seconds.map(Duration::from_secs)
        });
        let reason = fields.optional_text("reason", Text::Prose, REASON_CHARS);
        let claimant = fields.optional("claimant").and_then(|value| {
            let digest = value.as_str().and_then(Digest::parse);
            if digest.is_none() {
                fields.fault(
                    "/claimant",
                    "must be the SHA-256 of a secret, 64 hexadecimal digits",
                );
            }
            digest
        });
        // The predecessor's clients send their own time; the gate's counts.
        fields.optional("timestamp");
        fields.finish()?;
        let absent = || invalid("", "is not complete");
        let (agent, correlation) = agent.zip(correlation).ok_or_else(absent)?;
        Ok(Self {
            id: ApprovalId::new(&agent, &correlation).ok_or_else(absent)?,
            action: action.ok_or_else(absent)?,
            parameters: parameters.ok_or_else(absent)?,
            approvers: approvers.ok_or_else(absent)?,
            timeout,
            reason,
            on_behalf_of,
            claimant,
            digest,
        })
    }

    fn into_approval(self, app: &App, timeout: Duration) -> Approval {
        let now: Timestamp = app.now();
        let request = Request {
            id: self.id,
            action: self.action,
            parameters: self.parameters,
            reason: self.reason,
            on_behalf_of: self.on_behalf_of,
            claimant: self.claimant,
            digest: self.digest,
            requested_at: now,
            expires_at: now + timeout,
        };
        let approvers = self.approvers.into_iter().map(|address| Approver {
            link_key: app.link_keys.current().to_owned(),
            seal: app.link_keys.seal(&request, &address),
            address,
            wrong_codes: 0,
            mails: Vec::new(),
        });
        let approvers = approvers.collect();
        Approval::submitted(request, approvers)
    }
}

/// What a repetition is known by: all that was sent but the caller's clock.
fn as_sent(body: &Map<String, Value>) -> Digest {
    let mut content = body.clone();
    content.remove("timestamp");
    let canonical = serde_json_canonicalizer::to_vec(&content).expect("parsed JSON can be written");
    Digest(sha256(&canonical))
}

fn parameters(fields: &mut Fields) -> Option<Parameters> {
    let Value::Object(object) = fields.required("parameters")? else {
        fields.fault("/parameters", "must be a JSON object");
        return None;
    };
    let json = serde_json_canonicalizer::to_string(&object).expect("parsed JSON can be written");
    if json.len() > PARAMETERS_BYTES {
        let limit = format!("must have at most {PARAMETERS_BYTES} bytes of canonical JSON");
        fields.fault("/parameters", limit);
        return None;
    }
    let digest = Digest(sha256(json.as_bytes()));
    Some(Parameters { json, digest })
}

fn approvers(
    fields: &mut Fields,
    app: &App,
    on_behalf_of: Option<&Address>,
) -> Option<Vec<Address>> {
    let value = fields.required("approverEmails")?;
    let items = value
        .as_array()
        .filter(|items| (1..=APPROVERS).contains(&items.len()));
    let Some(items) = items else {
        fields.fault(
            "/approverEmails",
            format!("must be an array of 1 to {APPROVERS} mail addresses"),
        );
        return None;
    };
    let mut addresses: Vec<Address> = Vec::new();
    let mut people = HashSet::new();
    for (index, item) in items.iter().enumerate() {
        let pointer = format!("/approverEmails/{index}");
        let Some(address) = item.as_str().and_then(|text| Address::parse(text.trim())) else {
            fields.fault(
                pointer,
                "must be a plain mail address, such as alice@example.com",
            );
            continue;
        };
        if on_behalf_of.is_some_and(|person| person.is_same_person(&address)) {
            fields.fault(
                pointer,
                "is the person the agent acts for, who cannot approve",
            );
        } else if !app.config.allowed_approvers.allows(&address) {
            fields.fault(
                pointer,
                "is not on the operator's list of approvers (HO_ALLOWED_APPROVERS)",
            );
        } else if !people.insert(address.person()) {
            fields.fault(pointer, "is there twice");
        } else {
            addresses.push(address);
        }
    }
    (addresses.len() == items.len()).then_some(addresses)
}
