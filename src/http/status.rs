//! `GET /api/status/{id}`: an agent asks how its request stands, and may wait for news.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{RawQuery, State};
use axum::http::StatusCode;

use super::error::Error;
use super::wire::Answer;
use super::{App, OwnId};

/// The longest wait, well under the 230 s after which the cloud's front end gives up.
const WAIT_SECONDS: std::ops::RangeInclusive<u64> = 1..=100;

pub(super) async fn status(
    State(app): State<Arc<App>>,
    OwnId(id): OwnId,
    RawQuery(query): RawQuery,
) -> Result<Answer, Error> {
    let approval = match wait_parameter(query.as_deref())? {
        Some(wait) => app.wait_for_decision(&id, wait).await?,
        None => app.load(&id).await?.approval,
    };
    Ok(Answer::of(&app, StatusCode::OK, &approval))
}

/// `?wait=N`, whole seconds.
pub(super) fn wait_parameter(query: Option<&str>) -> Result<Option<Duration>, Error> {
    let mut pairs = form_urlencoded::parse(query.unwrap_or_default().as_bytes());
    let Some((_, text)) = pairs.find(|(name, _)| name == "wait") else {
        return Ok(None);
    };
    match text
        .parse()
        .ok()
        .filter(|seconds| WAIT_SECONDS.contains(seconds))
    {
        Some(seconds) => Ok(Some(Duration::from_secs(seconds))),
        None => Err(Error::BadRequest(format!(
            "The query parameter wait must be a whole number of seconds from {} to {}.",
            WAIT_SECONDS.start(),
            WAIT_SECONDS.end()
        ))),
    }
}
