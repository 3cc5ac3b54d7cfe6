//! `POST /sweep`: the timer trigger of the Functions host.

use std::sync::Arc;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::IntoResponse;
use serde_json::json;

use super::error::Error;
use super::wire;
use crate::app::App;

/// Headers that the front end of Azure adds to every external request. The host's own requests have none.
const EXTERNAL_HEADERS: [&str; 3] = ["x-forwarded-for", "x-arr-log-id", "disguised-host"];

/// The host hangs on an empty response, so this one is a JSON object. A sweep that cannot read the due index is an
/// invocation that failed. The host has no external route to this function; external calls are refused nevertheless.
pub(super) async fn sweep(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
) -> Result<impl IntoResponse, Error> {
    if EXTERNAL_HEADERS
        .iter()
        .any(|name| headers.contains_key(*name))
    {
        return Err(Error::NotFound("only the host triggers the sweep"));
    }
    let log = app.sweep().await?.to_string();
    Ok(wire::json(
        &json!({"Outputs": {}, "Logs": [log], "ReturnValue": null}),
    ))
}
