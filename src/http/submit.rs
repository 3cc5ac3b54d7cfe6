//! `POST /api/submit`: an agent requests approval.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use human_oversight_protocol::parameters::sha256;
use human_oversight_protocol::types::{
    ACTION_CHARS, AGENT_BYTES, AGENT_CHARS, APPROVERS, CORRELATION_CHARS, FieldError,
    PARAMETERS_BYTES, REASON_CHARS, STATE_CHARS, TIMEOUT_SECONDS,
};
use serde::Serialize;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::agent::Agent;
use super::error::{Error, invalid};
use super::extract::wait_parameter;
use super::fields::{Fields, Text};
use super::json::Json;
use super::prefer::prefer_wait;
use super::wire::{About, AboutAgent, ApprovalResponse};
use crate::app::{App, Submission};
use crate::domain::{Callback, Parameters, Status};
use crate::keys::{AgentCredential, FunctionKey};
use crate::reveal;
use crate::values::{Address, AllowList, ApprovalId, Digest, People, is_plain_name};

pub(super) async fn submit(
    State(app): State<Arc<App>>,
    RawQuery(query): RawQuery,
    Agent(credential): Agent,
    headers: HeaderMap,
    Json(body): Json,
) -> Response {
    let agent = body.get("agentName").and_then(Value::as_str);
    let agent = agent.map(|name| AboutAgent(name.to_owned()));
    let id = own_id(&body).map(About);
    match answer(&app, query, credential, &headers, body).await {
        Ok(response) => response,
        Err(error) => {
            let mut response = error.into_response();
            let extensions = response.extensions_mut();
            agent.map(|agent| extensions.insert(agent));
            id.map(|id| extensions.insert(id));
            response
        }
    }
}

/// The id of a request whose correlation id is the caller's.
fn own_id(body: &Map<String, Value>) -> Option<ApprovalId> {
    let text = |name| body.get(name).and_then(Value::as_str);
    ApprovalId::new(text("agentName")?, text("correlationId")?)
}

async fn answer(
    app: &Arc<App>,
    query: Option<String>,
    credential: AgentCredential,
    headers: &HeaderMap,
    body: Map<String, Value>,
) -> Result<Response, Error> {
    let requested = wait_parameter(query.as_deref())?;
    let preferred = prefer_wait(headers);
    let wait = requested.or(preferred);
    // Without timeoutSeconds the wait is also the deadline, as in the legacy Logic App.
    let default_timeout = wait.unwrap_or(app.config.default_timeout);
    let approvers = (&app.config.allowed_approvers, &app.people);
    let names_optional = app.config.policy.is_some();
    let submission = parse(
        body,
        approvers,
        default_timeout,
        names_optional,
        credential.clone(),
    )?;
    if wait.is_some() && submission.claimant.is_some() {
        return Err(invalid(
            "/claimant",
            "cannot be combined with `wait`, where the gate claims the approval for the caller",
        ));
    }
    // Before anything is stored.
    let _place = wait.map(|_| app.begin_wait(&credential)).transpose()?;
    let (approval, is_new) = app.submit(submission).await?;
    let mut response = match wait {
        Some(wait) => synchronous(app, &approval.request.id, &credential, wait).await?,
        None => {
            let pending = approval.status(app.now()) == Status::Pending;
            // What the policy has decided waits for nothing.
            let is_accepted = is_new && approval.decision().is_none();
            let status = if is_accepted || pending {
                StatusCode::ACCEPTED
            } else {
                StatusCode::OK
            };
            ApprovalResponse::new(app, status, &approval)
        }
    }
    .into_response();
    if let (None, Some(preferred)) = (requested, preferred) {
        let applied = format!("wait={}", preferred.as_secs());
        response.headers_mut().insert(
            HeaderName::from_static("preference-applied"),
            HeaderValue::from_str(&applied).expect("digits"),
        );
    }
    Ok(response)
}

/// The protocol of the legacy Logic App: the response is the decision.
async fn synchronous(
    app: &Arc<App>,
    id: &ApprovalId,
    credential: &AgentCredential,
    wait: Duration,
) -> Result<ApprovalResponse, Error> {
    let (approval, judged_at) = app.wait_and_claim(id, credential, wait).await?;
    let status = match approval.status(judged_at) {
        Status::Pending => StatusCode::ACCEPTED,
        _ => StatusCode::OK,
    };
    let mut response = ApprovalResponse::at(app, status, &approval, judged_at);
    // The Logic App sent an empty string if no person had decided.
    response.approval.approver.get_or_insert_default();
    Ok(response)
}

/// Reads the body of a submit to a gate with a policy.
///
/// # Errors
/// Everything that is invalid.
pub fn read_submission(
    body: Map<String, Value>,
    allowed: &AllowList,
    default_timeout: Duration,
) -> Result<Submission, Vec<FieldError>> {
    let credential = AgentCredential::Key(FunctionKey::new(String::new()));
    let approvers = (allowed, &allowed.known_people());
    let read = parse(body, approvers, default_timeout, true, credential);
    read.map_err(|error| error.fields().to_vec())
}

/// Validates a body; the error lists everything that is invalid.
fn parse(
    mut body: Map<String, Value>,
    allowed: (&AllowList, &People),
    default_timeout: Duration,
    names_optional: bool,
    credential: AgentCredential,
) -> Result<Submission, Error> {
    // Clients of the Logic App send their own time; it is ignored and not part of the content.
    body.remove("timestamp");
    let digest_as_sent = body_digest(&body);
    let digest = if body.values().any(Value::is_null) {
        digest_without_nulls(&body)
    } else {
        digest_as_sent
    };
    let names_approvers = |value: &Value| !value.is_null();
    let has_approvers = body.get("approverEmails").is_some_and(names_approvers);
    let mut fields = Fields::new(body);
    let agent = agent(&mut fields);
    let action = fields.required_text("actionDescription", Text::Line, ACTION_CHARS);
    let parameters = parameters(&mut fields);
    let on_behalf_of = fields
        .optional("onBehalfOf")
        .and_then(|value| address(&mut fields, "/onBehalfOf", value.as_str()));
    let approvers = approvers(&mut fields, allowed, on_behalf_of.as_ref());
    if !names_optional && !has_approvers {
        fields.add_error("/approverEmails", "is missing");
    }
    let correlation = correlation(&mut fields);
    let timeout = timeout(&mut fields);
    let reason = fields.optional_text("reason", Text::Prose, REASON_CHARS);
    let claimant = claimant(&mut fields);
    let supersedes = supersedes(&mut fields);
    let callback = callback(&mut fields);
    fields.finish()?;
    let incomplete = || invalid("", "is incomplete");
    let (agent, correlation) = agent.zip(correlation).ok_or_else(incomplete)?;
    Ok(Submission {
        id: ApprovalId::new(&agent, &correlation).ok_or_else(incomplete)?,
        action: action.ok_or_else(incomplete)?,
        parameters: parameters.ok_or_else(incomplete)?,
        approvers,
        timeout: timeout.unwrap_or(default_timeout),
        reason,
        on_behalf_of,
        claimant,
        supersedes,
        callback,
        digest,
        digest_as_sent,
        credential,
    })
}

fn agent(fields: &mut Fields) -> Option<String> {
    let agent = fields.required_text("agentName", Text::Line, AGENT_CHARS);
    if agent.as_ref().is_some_and(|agent| agent.contains("://")) {
        fields.add_error("/agentName", "must not contain `://`: a name is no URL");
    }
    if agent.as_ref().is_some_and(|agent| !reveal::is_plain(agent)) {
        fields.add_error(
            "/agentName",
            "must be in Unicode's form NFC, without spaces around it and without characters that do not show",
        );
    }
    if agent
        .as_ref()
        .is_some_and(|agent| agent.len() > AGENT_BYTES)
    {
        fields.add_error(
            "/agentName",
            format!("must have at most {AGENT_BYTES} bytes of UTF-8"),
        );
    }
    agent
}

/// The correlation id, or a new one.
fn correlation(fields: &mut Fields) -> Option<String> {
    match fields.optional("correlationId") {
        None => Some(Uuid::now_v7().to_string()),
        Some(Value::String(id)) if is_plain_name(&id, CORRELATION_CHARS) => Some(id),
        Some(_) => {
            let form = format!("must have 1 to {CORRELATION_CHARS} characters of [A-Za-z0-9._-]");
            fields.add_error("/correlationId", form);
            None
        }
    }
}

fn timeout(fields: &mut Fields) -> Option<Duration> {
    let value = fields.optional("timeoutSeconds")?;
    // JSON Schema counts `60.0` as an integer too.
    let seconds = value
        .as_f64()
        .filter(|seconds| seconds.fract() == 0.0)
        .map(|seconds| seconds as u64)
        .filter(|seconds| TIMEOUT_SECONDS.contains(seconds));
    if seconds.is_none() {
        let (least, most) = (TIMEOUT_SECONDS.start(), TIMEOUT_SECONDS.end());
        fields.add_error(
            "/timeoutSeconds",
            format!("must be a whole number from {least} to {most}"),
        );
    }
    seconds.map(Duration::from_secs)
}

/// The digest of the claimant's secret.
fn claimant(fields: &mut Fields) -> Option<Digest> {
    let value = fields.optional("claimant")?;
    let digest = value.as_str().and_then(Digest::parse);
    if digest.is_none() {
        fields.add_error(
            "/claimant",
            "must be the SHA-256 of a secret, 64 hexadecimal digits",
        );
    }
    digest
}

/// The id of the earlier request.
fn supersedes(fields: &mut Fields) -> Option<ApprovalId> {
    let value = fields.optional("supersedes")?;
    let id = value.as_str().and_then(|text| text.parse().ok());
    if id.is_none() {
        fields.add_error("/supersedes", "must be the id of a request");
    }
    id
}

/// The channel, and the agent's own text.
fn callback(fields: &mut Fields) -> Option<Callback> {
    let Value::Object(members) = fields.optional("callback")? else {
        fields.add_error("/callback", "must be an object with `channel` and `state`");
        return None;
    };
    let text = |name: &str| members.get(name).filter(|value| !value.is_null());
    let unknown = members
        .keys()
        .find(|name| !["channel", "state"].contains(&name.as_str()));
    if unknown.is_some() {
        fields.add_error("/callback", "has a member besides `channel` and `state`");
    }
    let channel = text("channel").and_then(Value::as_str);
    if channel.is_none() {
        fields.add_error(
            "/callback/channel",
            "must be the name of a channel of the policy",
        );
    }
    let state = text("state").map(Value::as_str);
    let fits = |text: &str| text.chars().count() <= STATE_CHARS;
    if !state.is_none_or(|state| state.is_some_and(fits)) {
        let form = format!("must be a text of at most {STATE_CHARS} characters");
        fields.add_error("/callback/state", form);
    }
    Some(Callback {
        channel: channel?.to_owned(),
        state: state.flatten().map(str::to_owned),
    })
}

/// The digest of the members that have a value: `null` is as good as left out.
fn digest_without_nulls(body: &Map<String, Value>) -> Digest {
    let members = body.iter().filter(|(_, value)| !value.is_null());
    body_digest(&members.collect::<BTreeMap<_, _>>())
}

fn body_digest(body: &impl Serialize) -> Digest {
    let canonical = serde_json_canonicalizer::to_vec(body).expect("parsed JSON can be written");
    Digest(sha256(&canonical))
}

fn parameters(fields: &mut Fields) -> Option<Parameters> {
    let Value::Object(object) = fields.required("parameters")? else {
        fields.add_error("/parameters", "must be a JSON object");
        return None;
    };
    let json = serde_json_canonicalizer::to_string(&object).expect("parsed JSON can be written");
    if json.len() > PARAMETERS_BYTES {
        let limit = format!("must have at most {PARAMETERS_BYTES} bytes of canonical JSON");
        fields.add_error("/parameters", limit);
        return None;
    }
    let digest = Digest(sha256(json.as_bytes()));
    Some(Parameters { json, digest })
}

fn address(fields: &mut Fields, pointer: &str, text: Option<&str>) -> Option<Address> {
    match Address::parse(text.unwrap_or_default()) {
        Ok(address) => Some(address),
        Err(why) => {
            fields.add_error(pointer, why.to_string());
            None
        }
    }
}

fn approvers(
    fields: &mut Fields,
    (allowed, people): (&AllowList, &People),
    on_behalf_of: Option<&Address>,
) -> Option<Vec<Address>> {
    let value = fields.optional("approverEmails")?;
    let items = value
        .as_array()
        .filter(|items| (1..=APPROVERS).contains(&items.len()));
    let Some(items) = items else {
        fields.add_error(
            "/approverEmails",
            format!("must be an array of 1 to {APPROVERS} email addresses"),
        );
        return None;
    };
    let mut addresses: Vec<Address> = Vec::new();
    let mut named = HashSet::new();
    for (index, item) in items.iter().enumerate() {
        let pointer = format!("/approverEmails/{index}");
        let Some(address) = address(fields, &pointer, item.as_str().map(str::trim)) else {
            continue;
        };
        let person = people.person(&address);
        if on_behalf_of.is_some_and(|it| people.person(it).may_be(&person)) {
            fields.add_error(
                pointer,
                "is the person the agent acts for, who cannot approve",
            );
        } else if !allowed.allows(&address) {
            fields.add_error(
                pointer,
                "is not on the operator's list of approvers (HO_ALLOWED_APPROVERS)",
            );
        } else if !named.insert(address.name()) {
            fields.add_error(pointer, "occurs twice");
        } else {
            addresses.push(address);
        }
    }
    (addresses.len() == items.len()).then_some(addresses)
}
