//! Which agent calls: by the function key of the call, or on the routes below `/api/agent`, by the identity that the
//! platform has verified.

use std::collections::HashSet;
use std::sync::{Arc, OnceLock};

use axum::extract::{FromRequestParts, MatchedPath};
use axum::http::HeaderMap;
use axum::http::request::Parts;
use uuid::Uuid;

use super::error::Error;
use super::forwarding;
use super::principal::{Principal, principal};
use crate::app::App;
use crate::azure::{NotAnAgent, parse_agent};
use crate::keys::{AgentCredential, FunctionKey};

/// What the paths begin with that take an identity.
const IDENTITY_ROUTES: &str = "/api/agent/";

const NO_KEYS: &str = "This gate takes access tokens of Entra from agents, and no function keys (HO_AGENT_IDENTITY): set \
                       HO_AUDIENCE for the agent, and not HO_KEY.";
const NO_IDENTITIES: &str = "This gate takes function keys from agents, and no access tokens (HO_AGENT_IDENTITY): set \
                             HO_KEY for the agent, and not HO_AUDIENCE.";

/// The credential of an agent's call. A function key may be empty: the host has checked it, if there is a host.
pub(super) struct Agent(pub(super) AgentCredential);

/// The function key of a call, which the host or the gate knows; empty if there is none.
pub(super) struct Key(pub(super) FunctionKey);

/// The identity by which a call counts, once it does; for the log.
#[derive(Clone, Default)]
pub(super) struct Identity(Arc<OnceLock<Uuid>>);

impl Identity {
    pub(super) fn is_known(&self) -> bool {
        self.0.get().is_some()
    }
}

/// The path of a route, without what the routes for identities begin with, and whether it is one of them.
pub(super) fn split_route(route: &str) -> (&str, bool) {
    match route.strip_prefix(IDENTITY_ROUTES) {
        Some(rest) => (rest, true),
        None => (route.strip_prefix("/api").unwrap_or(route), false),
    }
}

impl FromRequestParts<Arc<App>> for Agent {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Error> {
        let route = parts.extensions.get::<MatchedPath>().ok_or(Error::Bug)?;
        if split_route(route.as_str()).1 {
            return identity(parts, app).map(Self);
        }
        if !app.config.agent_identity.takes_keys() {
            return Err(Error::Forbidden(NO_KEYS));
        }
        let Key(key) = Key::from_request_parts(parts, app).await?;
        Ok(Self(AgentCredential::Key(key)))
    }
}

impl FromRequestParts<Arc<App>> for Key {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Error> {
        if app.config.production && app.config.agent_keys.is_none() {
            forwarding::check_agent(&parts.headers)?;
        }
        function_key(&parts.headers, parts.uri.query()).map(Self)
    }
}

fn identity(parts: &Parts, app: &App) -> Result<AgentCredential, Error> {
    let tenant = app.config.agent_identity.tenant();
    let tenant = tenant.ok_or(Error::Forbidden(NO_IDENTITIES))?;
    let object_id = match principal(&parts.headers) {
        Principal::None => Err(NotAnAgent::Anonymous),
        Principal::Ambiguous => Err(NotAnAgent::Invalid),
        Principal::One(header) => parse_agent(tenant, header),
    };
    let object_id = object_id.map_err(Error::NotAnAgent)?;
    if let Some(Identity(known)) = parts.extensions.get() {
        known.set(object_id).ok();
    }
    tracing::Span::current().record("agent_object_id", tracing::field::display(object_id));
    Ok(AgentCredential::Identity(object_id))
}

/// The key from the header or the query. The host takes one of several, and compares the name in the query
/// without regard to case; a call must not show the host one key and the gate another, so all must be equal.
fn function_key(headers: &HeaderMap, query: Option<&str>) -> Result<FunctionKey, Error> {
    let ambiguous = || Error::Forbidden("Send one function key, once.");
    let in_headers = headers.get_all("x-functions-key").iter();
    let in_headers = in_headers.map(|value| value.to_str().ok().map(str::to_owned));
    let query = query.unwrap_or_default().as_bytes();
    let in_query = form_urlencoded::parse(query)
        .filter(|(name, _)| name.to_lowercase() == "code")
        .map(|(_, key)| Some(key.into_owned()));
    let keys: Option<HashSet<String>> = in_headers.chain(in_query).collect();
    let mut keys = keys.ok_or_else(ambiguous)?;
    keys.remove("");
    let mut keys = keys.into_iter();
    match (keys.next().unwrap_or_default(), keys.next()) {
        // A host joins repeated values by a comma, which no key has.
        (key, None) if !key.contains(',') => Ok(FunctionKey::new(key)),
        _ => Err(ambiguous()),
    }
}
