//! Extractors for everything in a request except its body.

use std::time::Duration;

use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;
use human_oversight_protocol::types::WAIT_SECONDS;

use super::error::Error;
use crate::values::ApprovalId;

/// The `{id}` in the path; 404 if it is invalid.
#[derive(Clone)]
pub(super) struct Id(pub(super) ApprovalId);

impl<S: Send + Sync> FromRequestParts<S> for Id {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Error> {
        let Path(id) = Path::<String>::from_request_parts(parts, state)
            .await
            .map_err(|_| Error::NotFound("the address has no valid id"))?;
        id.parse()
            .map(Self)
            .map_err(|_| Error::NotFound("the address has no valid id"))
    }
}

/// The query parameter `wait`, in seconds.
pub(super) fn wait_parameter(query: Option<&str>) -> Result<Option<Duration>, Error> {
    let given = form_urlencoded::parse(query.unwrap_or_default().as_bytes());
    let mut given = given.filter(|(name, _)| name == "wait");
    let Some((_, text)) = given.next() else {
        return Ok(None);
    };
    let seconds = text.parse().ok().filter(|_| given.next().is_none());
    match seconds.filter(|seconds| WAIT_SECONDS.contains(seconds)) {
        Some(seconds) => Ok(Some(Duration::from_secs(seconds))),
        None => Err(Error::BadRequest(format!(
            "The query parameter wait must be a whole number of seconds from {} to {}, given once.",
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
