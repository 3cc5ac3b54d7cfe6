//! Middleware for every request: the invocation id, the log line, the security headers, and the problem
//! document of an error.

use std::sync::Arc;
use std::time::Instant;

use axum::body::Body;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tracing::Instrument;
use uuid::Uuid;

use super::call_limit;
use super::caller::IdentifiedCaller;
use super::development;
use super::error::Error;
use super::log_limit::LogLimit;
use super::wire::About;
use crate::app::App;
use crate::values::ApprovalId;

/// The content security policy of responses without their own: it allows nothing.
const DEFAULT_POLICY: &str = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'";

const INVOCATION: &str = "x-azure-functions-invocationid";

/// The functions that the host lets anyone call, and no function.
const ANONYMOUS: [&str; 4] = ["decision", "keys", "openapi", "none"];

pub(super) async fn respond(
    State((app, log_limit)): State<(Arc<App>, Arc<LogLimit>)>,
    request: Request,
    next: Next,
) -> Response {
    let invocation = invocation_id(request.headers());
    let function = function(request.extensions().get());
    // Adds both to every log line of the call.
    let call = tracing::info_span!("call", invocation, function);
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
    let status = response.status();
    let is_hidden = matches!(error, Some(Error::Hidden(_)));
    let is_anonymous = is_hidden || (identified.is_none() && ANONYMOUS.contains(&function));
    let admission = log_limit.count(is_anonymous, app.now());
    if admission.omitted > 0 {
        let omitted = admission.omitted;
        tracing::warn!(omitted, "calls without a key or a link were not logged");
    }
    if admission.is_logged {
        log_call(status.as_u16(), id, started, error.as_ref(), function);
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

/// Logs a call. Of the request, only a valid id reaches the log.
fn log_call(
    status: u16,
    id: Option<ApprovalId>,
    started: Instant,
    error: Option<&Error>,
    function: &str,
) {
    let id = id.map(|id| id.to_string()).unwrap_or_default();
    let ms = started.elapsed().as_millis();
    let error = match error {
        Some(Error::Hidden(error)) => Some(error.as_ref()),
        error => error,
    };
    match error {
        Some(error @ Error::Integrity(_)) => {
            tracing::error!(status, id, ms, cause = error.cause(), "integrity problem");
        }
        Some(error) if error.status().is_server_error() => {
            tracing::error!(status, id, ms, cause = error.cause(), "failed");
        }
        Some(Error::TooManyOpen(_)) => tracing::warn!(status, id, ms, "too many open requests"),
        Some(Error::Paused(_)) => tracing::warn!(status, id, ms, "refused while paused"),
        Some(error @ Error::SignIn(_)) => {
            tracing::info!(status, id, ms, cause = error.cause(), "not signed in");
        }
        _ if function == "ping" => tracing::debug!(status, ms, "answered"),
        _ => tracing::info!(status, id, ms, "answered"),
    }
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

/// The function of the matched route: its first segment, without `/api`.
fn function(route: Option<&MatchedPath>) -> String {
    let Some(route) = route else {
        return "none".to_owned();
    };
    let name = route.as_str();
    let name = name.strip_prefix("/api").unwrap_or(name);
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
