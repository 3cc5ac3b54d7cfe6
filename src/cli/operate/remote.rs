//! The operator's commands through the gate.

use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use human_oversight::app::{Executing, Running, Untold};
use human_oversight::domain::{Pause, PauseScope};
use human_oversight::values::{ApprovalId, Timestamp};
use human_oversight_protocol::operate::{
    self, Allowed, Command, Enabled, GrantRevoked, Listed, OffChannels, Operation, Operations,
    Resent, Revoked, StandingGrants, What,
};
use human_oversight_protocol::types::Problem;
use reqwest::{StatusCode, Url};
use serde::de::DeserializeOwned;

use super::super::unknown_id::{NO_GRANT, NO_REJECTION, NO_REQUEST};
use super::report::Report;

/// The front end of Azure gives up after 230 s.
const TIMEOUT: Duration = Duration::from_secs(240);

/// A gate, and the master key of its host.
pub(crate) struct Remote {
    http: reqwest::Client,
    url: Url,
    key: Option<String>,
}

impl Remote {
    /// Sends nothing yet.
    pub(crate) fn new(base: &str, key: Option<&str>) -> anyhow::Result<Self> {
        let invalid = "the address must be https://HOST, or http://127.0.0.1:PORT on this machine";
        let mut url = Url::parse(base.trim()).context(invalid)?;
        let is_loopback = matches!(url.host_str(), Some("127.0.0.1" | "localhost" | "[::1]"));
        let is_bare =
            url.query().is_none() && url.username().is_empty() && url.password().is_none();
        if !(is_bare && (url.scheme() == "https" || url.scheme() == "http" && is_loopback)) {
            bail!(invalid);
        }
        let key = key.map(str::trim).filter(|key| !key.is_empty());
        if key.is_none() && !is_loopback {
            bail!(
                "HO_MASTER_KEY is not set: it must be the master key of the gate's Functions host"
            );
        }
        let path = url.path().trim_end_matches('/');
        let path = format!("{}/api/operate", path.strip_suffix("/api").unwrap_or(path));
        url.set_path(&path);
        rustls::crypto::ring::default_provider()
            .install_default()
            .ok();
        let builder = reqwest::Client::builder()
            .timeout(TIMEOUT)
            .connect_timeout(Duration::from_secs(5))
            .redirect(reqwest::redirect::Policy::none());
        let builder = if is_loopback {
            builder.no_proxy()
        } else {
            builder
        };
        Ok(Self {
            http: builder.build()?,
            url,
            key: key.map(str::to_owned),
        })
    }

    pub(super) async fn send(
        &self,
        command: Command,
        scope: &PauseScope,
        because: Option<String>,
    ) -> anyhow::Result<Report> {
        let (owner, agent) = match scope {
            PauseScope::All => (None, None),
            PauseScope::Owner(owner) => (Some(owner.to_string()), None),
            PauseScope::Agent(agent) => (None, Some(agent.clone())),
        };
        let operation = Operation {
            command,
            owner,
            agent,
            because,
            ..about(command, None)
        };
        report(self.call(&operation).await?).ok_or_else(unknown)
    }

    pub(super) async fn revoke(&self, id: &ApprovalId) -> anyhow::Result<Revoked> {
        self.call(&about(Command::Revoke, Some(&id.to_string())))
            .await
    }

    pub(super) async fn allow(&self, id: &ApprovalId) -> anyhow::Result<Allowed> {
        self.call(&about(Command::Allow, Some(&id.to_string())))
            .await
    }

    pub(crate) async fn resend(&self, id: &ApprovalId) -> anyhow::Result<Resent> {
        self.call(&about(Command::Resend, Some(&id.to_string())))
            .await
    }

    pub(crate) async fn list(&self, what: What, from: Option<String>) -> anyhow::Result<Listed> {
        let operation = Operation {
            what: Some(what),
            from,
            ..about(Command::List, None)
        };
        self.call(&operation).await
    }

    pub(super) async fn grants(&self) -> anyhow::Result<StandingGrants> {
        self.call(&about(Command::Grants, None)).await
    }

    pub(super) async fn revoke_grant(&self, id: &str) -> anyhow::Result<GrantRevoked> {
        self.call(&about(Command::RevokeGrant, Some(id))).await
    }

    /// By name, each with the time since when it is off.
    pub(crate) async fn off_channels(&self) -> anyhow::Result<Vec<(String, String)>> {
        let list: OffChannels = self.call(&about(Command::Channels, None)).await?;
        let off = list.off.into_iter();
        Ok(off.map(|it| (it.channel, it.since)).collect())
    }

    pub(crate) async fn enable_channel(&self, channel: &str) -> anyhow::Result<bool> {
        let enabled: Enabled = self.call(&about(Command::Enable, Some(channel))).await?;
        Ok(enabled.done)
    }

    pub(crate) async fn redeliver(&self, untold: &Untold) -> anyhow::Result<usize> {
        let operation = about(Command::Redeliver, Some(&untold.to_string()));
        Ok(self.call::<Resent>(&operation).await?.queued)
    }

    async fn call<T: DeserializeOwned>(&self, operation: &Operation) -> anyhow::Result<T> {
        let mut call = self
            .http
            .post(self.url.clone())
            .header("content-type", "application/json")
            .body(serde_json::to_vec(operation)?);
        if let Some(key) = &self.key {
            call = call.header("x-functions-key", key);
        }
        let response = call.send().await.map_err(reqwest::Error::without_url);
        let response = response.context("the gate cannot be reached")?;
        let status = response.status();
        let body = response
            .bytes()
            .await
            .map_err(reqwest::Error::without_url)?;
        if status.is_success() {
            return serde_json::from_slice(&body).map_err(|_| unknown());
        }
        Err(refusal(operation.command, status, &body))
    }
}

/// A command about one request or grant, or without a scope.
fn about(command: Command, id: Option<&str>) -> Operation {
    Operation {
        command,
        owner: None,
        agent: None,
        because: None,
        id: id.map(str::to_owned),
        what: None,
        from: None,
    }
}

fn unknown() -> anyhow::Error {
    anyhow!("the response is not one of a gate that can operate")
}

fn refusal(command: Command, status: StatusCode, body: &[u8]) -> anyhow::Error {
    match (status, serde_json::from_slice::<Problem>(body)) {
        (_, Ok(problem)) => match id_of_nothing(command).filter(|_| is_about_id(&problem)) {
            Some(words) => anyhow!(words),
            None => anyhow!("{}: {} ({status})", problem.title, problem.detail),
        },
        (StatusCode::UNAUTHORIZED, _) => {
            anyhow!("the gate's host does not accept HO_MASTER_KEY: it takes the master key")
        }
        _ => anyhow!("the gate answered {status}"),
    }
}

/// Whether the gate refuses nothing but the id.
fn is_about_id(problem: &Problem) -> bool {
    matches!(&problem.errors[..], [error] if error.pointer == "/id")
}

/// What is said where the gate knows nothing of the id; `None` for commands without one.
fn id_of_nothing(command: Command) -> Option<&'static str> {
    match command {
        Command::Revoke | Command::Resend | Command::Redeliver => Some(NO_REQUEST),
        Command::Allow => Some(NO_REJECTION),
        Command::RevokeGrant => Some(NO_GRANT),
        _ => None,
    }
}

/// `None` if it is not what a gate says.
fn report(operations: Operations) -> Option<Report> {
    let pauses = operations.pauses.into_iter().map(|pause| {
        let operate::Pause {
            owner,
            agent,
            since,
            because,
        } = pause;
        Some(Pause {
            scope: PauseScope::new(owner.as_deref(), agent.as_deref()).ok()?,
            since: Timestamp::parse(&since)?,
            reason: because,
        })
    });
    let actions = operations.executing.into_iter().map(|action| {
        Some(Running {
            id: action.id.parse().ok()?,
            since: Timestamp::parse(&action.since)?,
        })
    });
    Some(Report {
        done: operations.done,
        pauses: pauses.collect::<Option<_>>()?,
        executing: Executing {
            actions: actions.collect::<Option<_>>()?,
            open: operations.open.unwrap_or_default(),
            unreadable: operations.unreadable,
        },
        open: operations.open,
        damaged: operations.damaged,
    })
}
