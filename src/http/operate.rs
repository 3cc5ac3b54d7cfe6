//! `POST /api/operate`: the operator's commands, so that no key of the gate leaves its vault. The Functions
//! host demands its master key (authLevel `admin`) and is the only caller of the handler; in local
//! development the call needs no key, as all others.

use std::sync::Arc;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use human_oversight_protocol::operate::{self as wire_types, Command, Operations, Revoked};
use serde_json::{Map, Value};

use super::error::{Error, invalid};
use super::fields::{Fields, Text};
use super::forwarding;
use super::json::Json;
use super::wire;
use crate::app::{self, App};
use crate::domain::{Execution, InvalidPause, Pause, PauseScope};
use crate::values::ApprovalId;

const TEXT_CHARS: usize = 500;
const NO_ID: &str = "must be the id of a request";

/// A valid command.
enum Operation {
    Pause { scope: PauseScope, reason: String },
    Resume(PauseScope),
    Executing(PauseScope),
    Revoke(ApprovalId),
}

pub(super) async fn operate(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Json(body): Json,
) -> Result<Response, Error> {
    if app.config.production {
        forwarding::check_operator(&headers)?;
    }
    let (done, scope) = match parse(body)? {
        Operation::Pause { scope, reason } => {
            let pause = Pause::new(scope.clone(), Some(&reason), app.now());
            app.pause(pause.map_err(error_of)?).await?;
            (true, scope)
        }
        Operation::Resume(scope) => (app.resume(&scope).await?, scope),
        Operation::Executing(scope) => (true, scope),
        Operation::Revoke(id) => return Ok(wire::json(&revoke(&app, &id).await?).into_response()),
    };
    Ok(wire::json(&respond(&app, done, &scope).await?).into_response())
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
            fields.add_error("/command", "must be pause, resume, executing or revoke");
        }
        known.ok()
    });
    let mut optional = |name| fields.optional_text(name, Text::Line, TEXT_CHARS);
    let [owner, agent] = match command {
        Some(Command::Revoke) => [None, None],
        _ => ["owner", "agent"].map(&mut optional),
    };
    let id = match command {
        Some(Command::Revoke) => fields.required_text("id", Text::Line, TEXT_CHARS),
        _ => None,
    };
    let because = match command {
        Some(Command::Pause) => fields.required_text("because", Text::Line, TEXT_CHARS),
        _ => None,
    };
    fields.finish()?;
    let scope = PauseScope::new(owner.as_deref(), agent.as_deref()).map_err(error_of)?;
    let incomplete = || invalid("", "is incomplete");
    Ok(match command.ok_or_else(incomplete)? {
        Command::Pause => Operation::Pause {
            scope,
            reason: because.ok_or_else(incomplete)?,
        },
        Command::Resume => Operation::Resume(scope),
        Command::Executing => Operation::Executing(scope),
        Command::Revoke => {
            let id = id.ok_or_else(incomplete)?.parse();
            Operation::Revoke(id.map_err(|_| invalid("/id", NO_ID))?)
        }
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

async fn revoke(app: &App, id: &ApprovalId) -> Result<Revoked, Error> {
    let (approval, done) = match app.revoke_for_operator(id).await {
        Err(app::Error::NotFound) => return Err(invalid("/id", NO_ID)),
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

async fn respond(app: &App, done: bool, scope: &PauseScope) -> Result<Operations, Error> {
    let executing = app.executing(scope).await?;
    let pauses = app.pauses().await?;
    let pauses = pauses.into_iter().map(|pause| {
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
    })
}
