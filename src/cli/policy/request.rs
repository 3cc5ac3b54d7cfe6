//! The request that a policy is tried on.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, anyhow};
use human_oversight::domain::Approval;
use human_oversight::policy::Asked;
use human_oversight::values::Address;
use human_oversight_protocol::strict_json;
use serde::Deserialize;
use serde_json::{Map, Value};

/// The time to decide that the gate gives by default.
const DEFAULT_TIME: u64 = 3_600;

/// The body of a submit, as far as a policy looks at it.
pub(super) struct Request {
    agent: String,
    action: String,
    parameters: Value,
    on_behalf_of: Option<Address>,
    requested: Vec<Address>,
    pub(super) time: Duration,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Body {
    agent_name: String,
    action_description: String,
    parameters: Map<String, Value>,
    #[serde(default)]
    approver_emails: Vec<String>,
    on_behalf_of: Option<String>,
    timeout_seconds: Option<u64>,
    // What a policy does not look at.
    #[serde(rename = "correlationId")]
    _correlation_id: Option<Value>,
    #[serde(rename = "reason")]
    _reason: Option<Value>,
    #[serde(rename = "claimant")]
    _claimant: Option<Value>,
    #[serde(rename = "supersedes")]
    _supersedes: Option<Value>,
    #[serde(rename = "timestamp")]
    _timestamp: Option<Value>,
}

impl Request {
    pub(super) fn read(file: &Path) -> anyhow::Result<Self> {
        let bytes = fs::read(file).with_context(|| format!("{} cannot be read", file.display()))?;
        let value = strict_json::parse(&bytes).map_err(|error| anyhow!("{error}"));
        let request = value.and_then(Self::parse);
        request.with_context(|| format!("{} is no request", file.display()))
    }

    /// Parses the body of a submit.
    pub(super) fn parse(body: Value) -> anyhow::Result<Self> {
        let body: Body = serde_json::from_value(body)?;
        let address = |name: &str, text: &str| {
            Address::parse(text.trim()).map_err(|why| anyhow!("an address in `{name}` {why}"))
        };
        let on_behalf_of = body.on_behalf_of.map(|text| address("onBehalfOf", &text));
        let requested = body
            .approver_emails
            .iter()
            .map(|text| address("approverEmails", text));
        Ok(Self {
            requested: requested.collect::<anyhow::Result<_>>()?,
            on_behalf_of: on_behalf_of.transpose()?,
            agent: body.agent_name,
            action: body.action_description,
            parameters: Value::Object(body.parameters),
            time: Duration::from_secs(body.timeout_seconds.unwrap_or(DEFAULT_TIME)),
        })
    }

    /// A request as a gate has stored it: the approvers are those whom it asked.
    pub(super) fn stored(approval: &Approval) -> anyhow::Result<Self> {
        let request = &approval.request;
        let approvers = approval.approvers.iter();
        Ok(Self {
            agent: request.id.agent().to_owned(),
            action: request.action.clone(),
            parameters: serde_json::from_str(&request.parameters.json)?,
            on_behalf_of: request.on_behalf_of.clone(),
            requested: approvers.map(|it| it.address.clone()).collect(),
            time: request.expires_at.since(request.requested_at),
        })
    }

    pub(super) fn asked(&self) -> Asked<'_> {
        Asked {
            agent: &self.agent,
            action: &self.action,
            parameters: &self.parameters,
            on_behalf_of: self.on_behalf_of.as_ref(),
            requested: &self.requested,
        }
    }
}
