//! The request that a policy is tried on.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use human_oversight::domain::Approval;
use human_oversight::http::read_submission;
use human_oversight::policy::{Asked, Policy};
use human_oversight::values::Address;
use human_oversight_protocol::strict_json;
use serde_json::Value;

use crate::cli::text;

/// The time to decide that the gate gives by default.
const DEFAULT_TIME: Duration = Duration::from_secs(3_600);

/// The body of a submit, as far as a policy looks at it.
pub(super) struct Request {
    agent: String,
    action: String,
    parameters: Value,
    on_behalf_of: Option<Address>,
    requested: Vec<Address>,
    pub(super) names_approvers: bool,
    callback: Option<String>,
    pub(super) time: Duration,
}

impl Request {
    pub(super) fn read(file: &Path) -> anyhow::Result<Self> {
        let bytes = text::read(file)?;
        let value = strict_json::parse(&bytes).map_err(|error| anyhow!("{error}"));
        let request = value.and_then(Self::parse);
        request.with_context(|| format!("{} is no request", file.display()))
    }

    /// Reads the body of a submit, as the gate does.
    ///
    /// # Errors
    /// Everything for which the gate would refuse it.
    pub(super) fn parse(body: Value) -> anyhow::Result<Self> {
        let Value::Object(body) = body else {
            bail!("it is no JSON object");
        };
        let submission = read_submission(body, DEFAULT_TIME).map_err(|errors| {
            let errors = errors
                .iter()
                .map(|it| format!("{} {}", it.pointer, it.detail));
            anyhow!("{}", errors.collect::<Vec<_>>().join("; "))
        })?;
        Ok(Self {
            agent: submission.id.agent().to_owned(),
            action: submission.action,
            parameters: serde_json::from_str(&submission.parameters.json)?,
            on_behalf_of: submission.on_behalf_of,
            names_approvers: submission.approvers.is_some(),
            requested: submission.approvers.unwrap_or_default(),
            callback: submission.callback.map(|it| it.channel),
            time: submission.timeout,
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
            names_approvers: true,
            callback: None,
            time: request.expires_at.since(request.requested_at),
        })
    }

    /// Whether the policy lets the agent be told as it wishes, if it does.
    pub(super) fn can_be_called_back(&self, policy: &Policy) -> bool {
        self.callback
            .as_deref()
            .is_none_or(|channel| policy.can_call_back(&self.agent, channel))
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
