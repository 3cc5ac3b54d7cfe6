//! Middleware for every request: the invocation id, the log line, the security headers, and the problem
//! document of an error.

use std::sync::Arc;
use std::time::Instant;

use axum::body::Body;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tracing::Instrument;
use uuid::Uuid;

use super::agent::{Identity, split_route};
use super::call_limit;
use super::caller::IdentifiedCaller;
use super::cause::{Cause, cause_of};
use super::development;
use super::error::Error;
use super::log_limit::LogLimit;
use super::wire::{About, AboutAgent};
use crate::app::App;
use crate::values::ApprovalId;

/// The content security policy of responses without their own: it allows nothing.
const DEFAULT_POLICY: &str = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'";

const INVOCATION: &str = "x-azure-functions-invocationid";

/// The functions that the host lets anyone call, and no function.
const ANONYMOUS: [&str; 5] = ["decision", "requests", "keys", "openapi", "none"];

/// What the log says about a call.
struct LoggedCall<'a> {
    status: u16,
    id: String,
    ms: u64,
    /// Only of a call that was refused.
    agent: Option<&'a str>,
    cause: Option<&'a str>,
    /// Only [`tracing::Level::DEBUG`] has it, unless it failed.
    is_routine: bool,
}

/// The longest name of an agent that is logged, in bytes.
const AGENT_BYTES: usize = 170;

pub(super) async fn respond(
    State((app, log_limit)): State<(Arc<App>, Arc<LogLimit>)>,
    mut request: Request,
    next: Next,
) -> Response {
    let invocation = invocation_id(request.headers());
    let function = function(request.extensions().get());
    request.extensions_mut().insert(Identity::default());
    // Adds all to every log line of the call, the last once it is known.
    let call = tracing::info_span!(
        "call",
        invocation,
        function,
        agent_object_id = tracing::field::Empty
    );
    call_handler(&app, &log_limit, request, next, &invocation, &function)
        .instrument(call)
        .await
}

async fn call_handler(
    app: &App,
    log_limit: &LogLimit,
    request: Request,
    next: Next,
    invocation: &str,
    function: &str,
) -> Response {
    let started = Instant::now();
    let route: Option<&MatchedPath> = request.extensions().get();
    let takes_identity = route.is_some_and(|route| split_route(route.as_str()).1);
    let identity: Identity = request.extensions().get().cloned().unwrap_or_default();
    let path = request.uri().path();
    let path_id: Option<ApprovalId> = path
        .trim_end_matches('/')
        .rsplit('/')
        .next()
        .and_then(|id| id.parse().ok());
    let checked = if app.config.production {
        Ok(())
    } else {
        development::check(&request, &app.base_url)
    };
    let mut response = match checked {
        Ok(()) => call_limit::call(request, next).await,
        Err(error) => Err(error),
    }
    .unwrap_or_else(Error::into_response);
    let error = response.extensions_mut().remove::<Error>();
    let is_page = response
        .headers()
        .contains_key(header::CONTENT_SECURITY_POLICY);
    if let Some(error) = error.as_ref().filter(|_| !is_page) {
        write_problem(&mut response, error, invocation);
    }
    set_security_headers(response.headers_mut());
    let about = response.extensions_mut().remove::<About>();
    let id = about.map(|About(id)| id).or(path_id);
    let identified: Option<IdentifiedCaller> = response.extensions_mut().remove();
    let is_hidden = matches!(error, Some(Error::Hidden(_)));
    // The host lets anyone call the routes that take an identity.
    let is_anonymous = is_hidden
        || (identified.is_none() && ANONYMOUS.contains(&function))
        || (takes_identity && !identity.is_known());
    let admission = log_limit.count(is_anonymous, app.now());
    if admission.omitted > 0 {
        let omitted = admission.omitted;
        tracing::warn!(omitted, "calls without a key or a link were not logged");
    }
    if admission.is_logged {
        log_response(&mut response, error.as_ref(), id, started, function);
    }
    response
}

fn write_problem(response: &mut Response, error: &Error, invocation: &str) {
    let problem = error.problem(invocation);
    let body = serde_json::to_vec(&problem).expect("a problem is plain JSON");
    *response.body_mut() = Body::from(body);
    let headers = response.headers_mut();
    headers.remove(header::CONTENT_LENGTH);
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/problem+json"),
    );
}

/// Logs a call with what its response says about it.
fn log_response(
    response: &mut Response,
    error: Option<&Error>,
    id: Option<ApprovalId>,
    started: Instant,
    function: &str,
) {
    let status = response.status();
    // Most calls are status reads of requests that are still pending, and sweeps that have their own words. The host
    // records each.
    let is_still_pending = function == "status"
        && status == StatusCode::OK
        && response.headers().contains_key(header::RETRY_AFTER);
    let extensions = response.extensions_mut();
    let of_page = extensions.remove().map(|Cause(cause)| cause);
    let cause = error.map(cause_of).or(of_page);
    let named = extensions.remove().map(|AboutAgent(agent)| agent);
    let agent = named.or_else(|| id.as_ref().map(|id| id.agent().to_owned()));
    // After a form that was not accepted, a page follows.
    let is_refused = status.is_client_error() || status.is_server_error() || cause.is_some();
    let call = LoggedCall {
        status: status.as_u16(),
        id: id.map(|id| id.to_string()).unwrap_or_default(),
        // As a number of 128 bits it would be a text in JSON.
        ms: u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
        agent: agent.as_deref().filter(|it| is_refused && is_plain(it)),
        cause: cause.as_deref(),
        is_routine: matches!(function, "ping" | "sweep") || is_still_pending,
    };
    log_call(&call, error);
}

/// Logs a call. Of the request, only a valid id and a plain name of the agent reach the log.
fn log_call(call: &LoggedCall<'_>, error: Option<&Error>) {
    let LoggedCall {
        status,
        ref id,
        ms,
        agent,
        cause,
        is_routine,
    } = *call;
    macro_rules! log {
        ($level:ident, $words:literal) => {
            tracing::$level!(status, id, ms, agent, cause, $words)
        };
    }
    let error = match error {
        Some(Error::Hidden(error)) => Some(error.as_ref()),
        error => error,
    };
    match error {
        Some(Error::Integrity(_) | Error::Untrusted(_)) => log!(error, "integrity problem"),
        Some(error) if error.status().is_server_error() => log!(error, "failed"),
        Some(Error::TooManyOpen(_)) => log!(warn, "too many open requests"),
        Some(Error::Paused(_)) => log!(warn, "refused while paused"),
        Some(Error::SignIn(_)) => log!(info, "not signed in"),
        Some(Error::NotAnAgent(_)) => log!(info, "no agent identified"),
        _ if is_routine => log!(debug, "answered"),
        _ => log!(info, "answered"),
    }
}

/// Whether a name can stand in a line of the log. The id has those that cannot.
fn is_plain(agent: &str) -> bool {
    let is_plain = |c: char| c.is_alphanumeric() || matches!(c, ' ' | '.' | '_' | '-');
    agent.len() <= AGENT_BYTES && agent.chars().all(is_plain)
}

/// The invocation id of the host, or a new one. The last value counts, since a client can send one that
/// precedes the host's; the host may append its own after a comma.
fn invocation_id(headers: &HeaderMap) -> String {
    headers
        .get_all(INVOCATION)
        .iter()
        .next_back()
        .and_then(|ids| {
            ids.to_str()
                .ok()?
                .rsplit(',')
                .next()?
                .trim()
                .parse::<Uuid>()
                .ok()
        })
        .unwrap_or_else(Uuid::now_v7)
        .to_string()
}

/// The handler of the matched route: its first segment, without `/api` or `/api/agent`.
fn function(route: Option<&MatchedPath>) -> String {
    let Some(route) = route else {
        return "none".to_owned();
    };
    let (name, _) = split_route(route.as_str());
    match name.trim_start_matches('/').split(['/', '.']).next() {
        None | Some("") => "ping".to_owned(),
        Some(name) => name.to_owned(),
    }
}

fn set_security_headers(headers: &mut HeaderMap) {
    let mut set_default = |name: HeaderName, value: &'static str| {
        headers
            .entry(name)
            .or_insert(HeaderValue::from_static(value));
    };
    set_default(header::CACHE_CONTROL, "no-store");
    set_default(header::CONTENT_SECURITY_POLICY, DEFAULT_POLICY);
    set_default(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    // With `no-referrer` a form would be posted with `Origin: null`.
    set_default(header::REFERRER_POLICY, "strict-origin");
    set_default(
        HeaderName::from_static("x-robots-tag"),
        "noindex, nofollow, noarchive",
    );
    set_default(
        HeaderName::from_static("cross-origin-opener-policy"),
        "same-origin",
    );
    set_default(header::STRICT_TRANSPORT_SECURITY, "max-age=31536000");
}
