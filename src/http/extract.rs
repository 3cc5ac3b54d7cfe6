//! Extractors for everything in a request except its body.

use std::collections::HashSet;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{FromRequestParts, Path};
use axum::http::HeaderMap;
use axum::http::request::Parts;

use super::error::Error;
use super::forwarding;
use crate::app::App;
use crate::keys::FunctionKey;
use crate::values::ApprovalId;

/// Well under the 230 s after which the front end of Azure times out.
const WAIT_SECONDS: RangeInclusive<u64> = 1..=100;

/// The `{id}` in the path; 404 if it is invalid.
#[derive(Clone)]
pub(super) struct Id(pub(super) ApprovalId);

impl<S: Send + Sync> FromRequestParts<S> for Id {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Error> {
        let Path(id) = Path::<String>::from_request_parts(parts, state)
            .await
            .map_err(|_| Error::NotFound)?;
        id.parse().map(Self).map_err(|_| Error::NotFound)
    }
}

/// The function key of a call, which the host or the gate knows; empty if there is none.
pub(super) struct Key(pub(super) FunctionKey);

impl FromRequestParts<Arc<App>> for Key {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Error> {
        if app.config.production && app.config.agent_keys.is_none() {
            forwarding::check_agent(&parts.headers)?;
        }
        function_key(&parts.headers, parts.uri.query()).map(Self)
    }
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

/// The query parameter `wait`, in seconds.
pub(super) fn wait_parameter(query: Option<&str>) -> Result<Option<Duration>, Error> {
    let Some(text) = parameter(query.unwrap_or_default(), "wait") else {
        return Ok(None);
    };
    let seconds = text.parse().ok();
    match seconds.filter(|seconds| WAIT_SECONDS.contains(seconds)) {
        Some(seconds) => Ok(Some(Duration::from_secs(seconds))),
        None => Err(Error::BadRequest(format!(
            "The query parameter wait must be a whole number of seconds from {} to {}.",
            WAIT_SECONDS.start(),
            WAIT_SECONDS.end()
        ))),
    }
}

/// The first value of a parameter in a query or a form.
pub(super) fn parameter(encoded: &str, name: &str) -> Option<String> {
    form_urlencoded::parse(encoded.as_bytes())
        .find(|(key, _)| key == name)
        .map(|(_, value)| value.into_owned())
}
