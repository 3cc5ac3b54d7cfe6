//! `POST /api/operate`: the operator's commands, so that no key of the gate leaves its vault. The Functions
//! host demands its master key (authLevel `admin`) and is the only caller of the handler; in local
//! development the call needs no key, as all others.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::fmt::Display;
use std::sync::Arc;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use human_oversight_protocol::operate::{
    self as wire_types, Allowed, Command, Enabled, GrantRevoked, Listed, OffChannel, OffChannels,
    Operations, Resent, Revoked, StandingGrant, StandingGrants, What,
};
use serde_json::{Map, Value};

use super::error::{Error, invalid};
use super::fields::{Fields, Text};
use super::forwarding;
use super::json::Json;
use super::listed::{inspection, listed};
use super::wire;
use crate::app::{
    self, App, DamagedPause, GrantList, Inspection, InvalidUntold, TableCursor, Untold,
};
use crate::domain::{Execution, HeldGrant, InvalidPause, Pause, PauseScope};
use crate::values::{ApprovalId, Timestamp};

const TEXT_CHARS: usize = 500;
/// Keys of a row, of at most 1 KiB each, and a time.
const CURSOR_CHARS: usize = 4_000;
const NO_GRANT: &str = "is the id of no standing grant";
const NO_ID: &str = "must be the id of a request";
const NO_REQUEST: &str = "is the id of no request";
const NOT_KEPT: &str = "must be the id of a rejected request, as the refusal names it: no rejection of this one is kept";

/// A valid command.
enum Operation {
    Pause {
        scope: PauseScope,
        reason: String,
    },
    Resume(PauseScope),
    Executing(PauseScope),
    Revoke(ApprovalId),
    Allow(ApprovalId),
    Resend(ApprovalId),
    List {
        what: Inspection,
        from: Option<TableCursor>,
    },
    Grants,
    RevokeGrant(String),
    Channels,
    Redeliver(Untold),
    Enable(String),
}

pub(super) async fn operate(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Json(body): Json,
) -> Result<Response, Error> {
    if app.config.production {
        forwarding::check_operator(&headers)?;
    }
    let answer = match parse(body)? {
        Operation::Pause { scope, reason } => {
            let pause = Pause::new(scope.clone(), Some(&reason), app.now());
            app.pause(pause.map_err(error_of)?).await?;
            wire::json(&respond(&app, true, &scope).await?)
        }
        Operation::Resume(scope) => {
            let done = app.resume(&scope).await?;
            wire::json(&respond(&app, done, &scope).await?)
        }
        Operation::Executing(scope) => wire::json(&respond(&app, true, &scope).await?),
        Operation::Allow(id) => wire::json(&allow(&app, &id).await?),
        Operation::Resend(id) => wire::json(&resend(&app, &id).await?),
        Operation::Revoke(id) => wire::json(&revoke(&app, &id).await?),
        Operation::List { what, from } => wire::json(&list(&app, what, from).await?),
        Operation::Grants => {
            let list = app::list_grants(&app.store, Some(&app.receipt_keys)).await?;
            wire::json(&standing_grants(&list, app.now()))
        }
        Operation::RevokeGrant(id) => wire::json(&revoke_grant(&app, id).await?),
        Operation::Channels => wire::json(&off_channels(app::off_channels(&app.store).await?)),
        Operation::Redeliver(untold) => wire::json(&redeliver(&app, &untold).await?),
        Operation::Enable(channel) => wire::json(&enable(&app, channel).await?),
    };
    Ok(answer.into_response())
}

fn parse(body: Map<String, Value>) -> Result<Operation, Error> {
    // An empty name must not mean everything.
    let names = ["owner", "agent"];
    let is_empty = |value: &Value| value.is_null() || value == "";
    let empty: Vec<_> = names
        .into_iter()
        .filter(|name| body.get(*name).is_some_and(is_empty))
        .collect();
    let mut fields = Fields::new(body);
    for name in empty {
        fields.add_error(format!("/{name}"), "names nothing: leave it out for all");
    }
    let command = fields.required("command").map(serde_json::from_value);
    let command = command.and_then(|command| {
        let known: Result<Command, _> = command;
        if known.is_err() {
            fields.add_error(
                "/command",
                "must be pause, resume, executing, revoke, allow, resend, list, grants, revoke-grant, \
                 channels, redeliver or enable",
            );
        }
        known.ok()
    });
    let operation = match command {
        Some(command) => operation(command, &mut fields),
        None => {
            // They are not what is wrong.
            scope(&mut fields).ok();
            None
        }
    };
    fields.finish()?;
    operation.ok_or(Error::Bug)?
}

/// Reads what a command demands. What is missing or malformed is an error of the fields, and reported before what cannot
/// be used.
fn operation(command: Command, fields: &mut Fields) -> Option<Result<Operation, Error>> {
    Some(match command {
        Command::Pause => {
            let scope = scope(fields);
            let reason = fields.required_text("because", Text::Line, TEXT_CHARS)?;
            scope.map(|scope| Operation::Pause { scope, reason })
        }
        Command::Resume => scope(fields).map(Operation::Resume),
        Command::Executing => scope(fields).map(Operation::Executing),
        Command::Revoke => approval_id(&id(fields)?).map(Operation::Revoke),
        Command::Allow => approval_id(&id(fields)?).map(Operation::Allow),
        Command::Resend => approval_id(&id(fields)?).map(Operation::Resend),
        Command::List => Ok(list_fields(fields)?),
        Command::Grants => Ok(Operation::Grants),
        Command::RevokeGrant => Ok(Operation::RevokeGrant(id(fields)?)),
        Command::Channels => Ok(Operation::Channels),
        Command::Redeliver => {
            let untold = id(fields)?.parse().map(Operation::Redeliver);
            untold.map_err(|why: InvalidUntold| invalid("/id", why.to_string()))
        }
        Command::Enable => Ok(Operation::Enable(id(fields)?)),
    })
}

fn scope(fields: &mut Fields) -> Result<PauseScope, Error> {
    let mut name = |name| fields.optional_text(name, Text::Line, TEXT_CHARS);
    let (owner, agent) = (name("owner"), name("agent"));
    PauseScope::new(owner.as_deref(), agent.as_deref()).map_err(error_of)
}

fn id(fields: &mut Fields) -> Option<String> {
    fields.required_text("id", Text::Line, TEXT_CHARS)
}

fn approval_id(id: &str) -> Result<ApprovalId, Error> {
    id.parse().map_err(|_| invalid("/id", NO_ID))
}

fn list_fields(fields: &mut Fields) -> Option<Operation> {
    let what = fields.required("what").map(serde_json::from_value);
    let what: Option<What> = what.and_then(|what| {
        if what.is_err() {
            fields.add_error("/what", "must be open, unsent or damaged");
        }
        what.ok()
    });
    let from = fields.optional_text("from", Text::Line, CURSOR_CHARS);
    let from = from.map(|from| TableCursor::decode(&from));
    if from == Some(None) {
        fields.add_error("/from", "must be the `next` of the part before");
    }
    Some(Operation::List {
        what: inspection(what?),
        from: from.flatten(),
    })
}

fn error_of(error: InvalidPause) -> Error {
    let pointer = match error {
        InvalidPause::TwoScopes => "",
        InvalidPause::Owner => "/owner",
        InvalidPause::Agent => "/agent",
        InvalidPause::Reason => "/because",
    };
    invalid(pointer, format!("cannot be used: {error}"))
}

async fn revoke(app: &Arc<App>, id: &ApprovalId) -> Result<Revoked, Error> {
    let (approval, done) = match app.revoke_for_operator(id).await {
        Err(app::Error::NotFound) => return Err(invalid("/id", NO_REQUEST)),
        result => result?,
    };
    let Some(Execution::Revoked { at, revocation }) = approval.execution(app.now()) else {
        return Err(Error::Bug);
    };
    Ok(Revoked {
        done,
        id: id.to_string(),
        since: at.to_string(),
        by: revocation.by.to_string(),
    })
}

async fn allow(app: &App, id: &ApprovalId) -> Result<Allowed, Error> {
    let done = match app.lift_rejection(id).await {
        Err(app::Error::NotFound) => return Err(invalid("/id", NOT_KEPT)),
        done => done?,
    };
    let id = id.to_string();
    Ok(Allowed { done, id })
}

/// The channels that are switched off, on the wire.
fn off_channels(off: BTreeMap<String, Timestamp>) -> OffChannels {
    let off = off.into_iter().map(|(channel, since)| OffChannel {
        channel,
        since: since.to_string(),
    });
    OffChannels { off: off.collect() }
}

async fn resend(app: &App, id: &ApprovalId) -> Result<Resent, Error> {
    let list = &app.config.allowed_approvers;
    let again = app::resend(&app.store, id, list, &app.clock).await;
    let locked = again.as_ref().map_or(0, |it| it.locked);
    let resent = Resent {
        locked,
        ..resent(again.map(|it| it.emails), id)?
    };
    let (id, queued) = (&resent.id, resent.queued);
    tracing::warn!(id, queued, "emails queued again by the operator");
    Ok(resent)
}

async fn redeliver(app: &App, untold: &Untold) -> Result<Resent, Error> {
    let resent = resent(app::redeliver(&app.store, untold, &app.clock).await, untold)?;
    let (id, queued) = (&resent.id, resent.queued);
    tracing::warn!(id, queued, "messages queued again by the operator");
    Ok(resent)
}

async fn enable(app: &App, channel: String) -> Result<Enabled, Error> {
    let done = app::enable_channel(&app.store, &channel).await?;
    if done {
        // Any other text may be no name.
        tracing::warn!(channel, "channel switched on by the operator");
    }
    Ok(Enabled { done, channel })
}

fn resent(queued: Result<usize, app::Error>, id: impl Display) -> Result<Resent, Error> {
    let queued = match queued {
        Err(app::Error::NotFound) => return Err(invalid("/id", NO_REQUEST)),
        queued => queued?,
    };
    let id = id.to_string();
    Ok(Resent {
        queued,
        id,
        locked: 0,
    })
}

async fn list(app: &App, what: Inspection, from: Option<TableCursor>) -> Result<Listed, Error> {
    let (keys, now) = (Some(&app.receipt_keys), app.now());
    let page = app::inspect(&app.store, keys, what, from, now).await;
    Ok(listed(what, &page.map_err(app::Error::from)?, now))
}

async fn revoke_grant(app: &Arc<App>, id: String) -> Result<GrantRevoked, Error> {
    let done = match app.end_grant(&id).await {
        Err(app::Error::NotFound) => return Err(invalid("/id", NO_GRANT)),
        done => done?,
    };
    tracing::warn!(grant = id, done, "standing grant revoked by the operator");
    Ok(GrantRevoked { done, id })
}

/// The standing grants on the wire.
pub fn standing_grants(list: &GrantList, now: Timestamp) -> StandingGrants {
    let mut grants: Vec<&HeldGrant> = list.grants.iter().collect();
    grants.sort_by_key(|held| (!held.is_active(now), Reverse(held.signed.grant.until)));
    let grants = grants.into_iter().map(|held| {
        let grant = &held.signed.grant;
        StandingGrant {
            id: grant.id.clone(),
            agent_name: grant.scope.agent.clone(),
            owner: grant.scope.owner.to_string(),
            action_description: grant.scope.action.clone(),
            parameters_digest: grant.scope.digest.to_string(),
            on_behalf_of: grant.scope.on_behalf_of.as_ref().map(ToString::to_string),
            approval: grant.given_with.to_string(),
            approver: grant.giver.to_string(),
            since: grant.given_at.to_string(),
            until: grant.until.to_string(),
            uses: grant.uses,
            used: held.used,
            state: held.state(now).word().to_owned(),
        }
    });
    StandingGrants {
        grants: grants.collect(),
        unreadable: list.unreadable,
    }
}

async fn respond(app: &App, done: bool, scope: &PauseScope) -> Result<Operations, Error> {
    let executing = app.executing(scope).await?;
    let list = app.list_pauses().await?;
    let pauses = list.standing.into_iter().map(|pause| {
        let name = pause.scope.name();
        let (owner, agent) = match pause.scope {
            PauseScope::All => (None, None),
            PauseScope::Owner(_) => (name, None),
            PauseScope::Agent(_) => (None, name),
        };
        wire_types::Pause {
            owner,
            agent,
            since: pause.since.to_string(),
            because: pause.reason,
        }
    });
    let actions = executing.actions.into_iter();
    let actions = actions.map(|action| wire_types::Running {
        id: action.id.to_string(),
        agent_name: action.id.agent().to_owned(),
        since: action.since.to_string(),
    });
    Ok(Operations {
        done,
        pauses: pauses.collect(),
        executing: actions.collect(),
        open: Some(executing.open),
        unreadable: executing.unreadable,
        damaged: damaged_pauses(&list.damaged),
    })
}

/// Rows of pauses that cannot be trusted, on the wire.
pub fn damaged_pauses(damaged: &[DamagedPause]) -> Vec<wire_types::DamagedPause> {
    let damaged = damaged.iter().map(|it| {
        let (partition, row) = &it.row;
        wire_types::DamagedPause {
            row: format!("{partition}/{row}"),
            cause: it.cause.clone(),
            scope: it.scope.as_ref().map(ToString::to_string),
        }
    });
    damaged.collect()
}
