//! What happens around every request: its id, its line in the log, the headers of its answer, and
//! the problem document of a failure.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Instant;

use axum::body::Body;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use tracing::Instrument;
use uuid::Uuid;

use super::error::Error;
use super::wire::About;
use crate::app::App;
use crate::values::ApprovalId;

/// The policy of pages and documents unless they bring their own: nothing at all.
const NOTHING: &str = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'";

const INVOCATION: &str = "x-azure-functions-invocationid";

pub(super) async fn respond(app: State<Arc<App>>, request: Request, next: Next) -> Response {
    let invocation = invocation_id(request.headers());
    let function = function(request.extensions().get());
    // Whatever is logged on the way has both.
    let call = tracing::info_span!("call", invocation, function);
    call_handler(app, request, next, &invocation, &function)
        .instrument(call)
        .await
}

async fn call_handler(
    State(app): State<Arc<App>>,
    request: Request,
    next: Next,
    invocation: &str,
    function: &str,
) -> Response {
    let started = Instant::now();
    let path = request.uri().path();
    let named: Option<ApprovalId> = path.rsplit('/').next().and_then(|id| id.parse().ok());
    let host = request
        .headers()
        .get(header::HOST)
        .and_then(|host| host.to_str().ok());
    let mut response = match app.config.production || host.is_none_or(is_loopback) {
        true => AssertUnwindSafe(next.run(request))
            .catch_unwind()
            .await
            .unwrap_or_else(|_| Error::Bug.into_response()),
        // A page of the web that had its own name point here must not reach a developer's gate.
        false => {
            Error::Forbidden("By itself the gate answers to loopback names only.").into_response()
        }
    };
    let error = response.extensions_mut().remove::<Error>();
    let is_page = response
        .headers()
        .contains_key(header::CONTENT_SECURITY_POLICY);
    if let Some(error) = error.as_ref().filter(|_| !is_page) {
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
    harden(response.headers_mut());
    let id = response
        .extensions_mut()
        .remove::<About>()
        .map(|About(id)| id)
        .or(named);
    let id = id.map(|id| id.to_string()).unwrap_or_default();
    let status = response.status().as_u16();
    let ms = started.elapsed().as_millis();
    // Nothing in the line came from the request but an id that is one.
    match &error {
        Some(error @ Error::Integrity(_)) => {
            tracing::error!(status, id, ms, cause = error.cause(), "integrity problem");
        }
        Some(error) if status >= 500 => {
            tracing::error!(status, id, ms, cause = error.cause(), "failed");
        }
        Some(Error::TooManyOpen(_)) => tracing::warn!(status, id, ms, "too many open requests"),
        Some(error @ Error::SignIn(_)) => {
            tracing::info!(status, id, ms, cause = error.cause(), "not signed in");
        }
        _ if function == "ping" => tracing::debug!(status, ms, "answered"),
        _ => tracing::info!(status, id, ms, "answered"),
    }
    response
}

/// The host's id of this call; the last one, as a client can put one before it (and could put
/// anything). Our own if there is none.
fn invocation_id(headers: &HeaderMap) -> String {
    headers
        .get_all(INVOCATION)
        .iter()
        .next_back()
        .and_then(|id| id.to_str().ok()?.parse::<Uuid>().ok())
        .unwrap_or_else(Uuid::now_v7)
        .to_string()
}

/// The function whose route was matched: the first segment of the route, without `/api`.
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

fn is_loopback(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    };
    matches!(name, "127.0.0.1" | "localhost" | "[::1]")
}

fn harden(headers: &mut HeaderMap) {
    let mut unless_set = |name: HeaderName, value: &'static str| {
        headers
            .entry(name)
            .or_insert(HeaderValue::from_static(value));
    };
    unless_set(header::CACHE_CONTROL, "no-store");
    unless_set(header::CONTENT_SECURITY_POLICY, NOTHING);
    unless_set(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    // With `no-referrer` a form would be posted with `Origin: null`.
    unless_set(header::REFERRER_POLICY, "strict-origin");
    unless_set(
        HeaderName::from_static("x-robots-tag"),
        "noindex, nofollow, noarchive",
    );
    unless_set(
        HeaderName::from_static("cross-origin-opener-policy"),
        "same-origin",
    );
    unless_set(header::STRICT_TRANSPORT_SECURITY, "max-age=31536000");
}
