//! The request that a policy is tried on.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use human_oversight::domain::{Approval, Plan};
use human_oversight::http::read_submission;
use human_oversight::policy::{Asked, Policy, Surroundings};
use human_oversight::values::{Address, AllowList};
use human_oversight_protocol::strict_json;
use serde_json::Value;

use crate::cli::text;

/// The time to decide that the gate gives by default.
pub(super) const DEFAULT_TIME: Duration = Duration::from_secs(3_600);

/// What of the gate's settings the answer to a request depends on.
pub(super) struct Settings {
    pub(super) surroundings: Surroundings,
    /// The time to decide of a request that names none.
    pub(super) default_time: Duration,
}

/// The body of a submit, as far as a policy looks at it.
pub(super) struct Request {
    agent: String,
    action: String,
    parameters: Value,
    on_behalf_of: Option<Address>,
    requested: Vec<Address>,
    pub(super) names_approvers: bool,
    /// Whether `requested` are those whom the agent named, and not those who were asked instead.
    pub(super) is_requested_known: bool,
    /// Why the list of approvers has the gate refuse it.
    pub(super) unlisted: Option<String>,
    callback: Option<String>,
    pub(super) time: Duration,
}

impl Request {
    pub(super) fn read(file: &Path, settings: &Settings) -> anyhow::Result<Self> {
        let bytes = text::read(file)?;
        let value = strict_json::parse(&bytes).map_err(|error| anyhow!("{error}"));
        let request = value.and_then(|value| Self::parse(value, settings));
        request.with_context(|| format!("{} is no request", file.display()))
    }

    /// Reads the body of a submit, as the gate does.
    ///
    /// # Errors
    /// Everything for which the gate would refuse it.
    pub(super) fn parse(body: Value, settings: &Settings) -> anyhow::Result<Self> {
        let Value::Object(body) = body else {
            bail!("it is no JSON object");
        };
        let read = |body, allowed: &AllowList| {
            read_submission(body, allowed, settings.default_time).map_err(|errors| {
                let errors = errors
                    .iter()
                    .map(|it| format!("{} {}", it.pointer, it.detail));
                errors.collect::<Vec<_>>().join("; ")
            })
        };
        let unlisted = read(body.clone(), &settings.surroundings.allowed).err();
        let submission = read(body, &AllowList::Anyone).map_err(|why| anyhow!("{why}"))?;
        Ok(Self {
            agent: submission.id.agent().to_owned(),
            action: submission.action,
            parameters: serde_json::from_str(&submission.parameters.json)?,
            on_behalf_of: submission.on_behalf_of,
            names_approvers: submission.approvers.is_some(),
            requested: submission.approvers.unwrap_or_default(),
            is_requested_known: true,
            unlisted,
            callback: submission.callback.map(|it| it.channel),
            time: submission.timeout,
        })
    }

    /// A request as a gate has stored it: the approvers are those whom its plan calls so, or else all whom it asked.
    pub(super) fn stored(approval: &Approval) -> anyhow::Result<Self> {
        let request = &approval.request;
        let asks = || approval.plan.stages.iter().flat_map(|stage| &stage.asks);
        let named = asks().filter(|ask| ask.from == Plan::REQUESTED);
        let named: BTreeSet<usize> = named.flat_map(|ask| ask.members.iter().copied()).collect();
        let is_one = |index: &usize| named.is_empty() || named.contains(index);
        let approvers = approval.approvers.iter().enumerate();
        let approvers = approvers.filter(|(index, _)| is_one(index));
        Ok(Self {
            agent: request.id.agent().to_owned(),
            action: request.action.clone(),
            parameters: serde_json::from_str(&request.parameters.json)?,
            on_behalf_of: request.on_behalf_of.clone(),
            requested: approvers.map(|(_, it)| it.address.clone()).collect(),
            is_requested_known: !named.is_empty(),
            unlisted: None,
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
