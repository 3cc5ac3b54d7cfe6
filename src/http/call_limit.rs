//! Every call gets a response, and in time. The host treats a connection that closes without one as a lost call, and
//! retries it up to 40 times if it has no body; and when a call hangs, it kills the process and every call in it.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use tokio::time::{Instant, timeout_at};

use super::error::Error;
use crate::app::App;

/// The time for a call; the longest wait for a decision is 100 s. With the answer it stays below 110 s.
const LIMIT: Duration = Duration::from_secs(108);

/// When a call is given up.
#[derive(Clone, Copy)]
struct Limit(Instant);

/// Middleware around everything else.
pub(super) async fn begin(
    State(app): State<Arc<App>>,
    mut request: Request,
    next: Next,
) -> Response {
    let _call = app.calls.begin();
    let limit = Limit(Instant::now() + LIMIT);
    request.extensions_mut().insert(limit);
    // A panic of a handler is caught further in, where it gets a problem document.
    AssertUnwindSafe(next.run(request))
        .catch_unwind()
        .await
        .unwrap_or_else(|_| StatusCode::INTERNAL_SERVER_ERROR.into_response())
}

/// Calls the handler.
///
/// # Errors
/// When it panics, or takes too long. Then it ends where it is, as when the client disconnects.
pub(super) async fn call(request: Request, next: Next) -> Result<Response, Error> {
    let Limit(until) = *request.extensions().get().ok_or(Error::Bug)?;
    let handler = AssertUnwindSafe(next.run(request)).catch_unwind();
    match timeout_at(until, handler).await {
        Ok(response) => response.map_err(|_| Error::Bug),
        Err(_) => Err(Error::Unavailable("the call took too long".to_owned())),
    }
}
