//! `POST /sweep`: the timer trigger of the Functions host.

use std::sync::Arc;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::IntoResponse;
use serde_json::json;

use super::error::Error;
use super::wire;
use crate::app::{App, SweepReport};

/// Headers that the cloud's front end adds to every external request, and the host to none of its own.
const EXTERNAL_HEADERS: [&str; 3] = ["x-forwarded-for", "x-arr-log-id", "disguised-host"];

/// The response must be this JSON object: an empty one would hang the host. No route of the host leads
/// here from outside; external calls are refused all the same.
pub(super) async fn sweep(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
) -> Result<impl IntoResponse, Error> {
    if EXTERNAL_HEADERS
        .iter()
        .any(|name| headers.contains_key(*name))
    {
        return Err(Error::NotFound);
    }
    let SweepReport {
        processed,
        emails,
        failed,
        complete,
    } = app.sweep().await;
    let log = format!("{processed} due, {emails} mails, {failed} failed, complete: {complete}");
    Ok(wire::json(
        &json!({"Outputs": {}, "Logs": [log], "ReturnValue": null}),
    ))
}
