//! Reads the gate's responses.

use std::time::Duration;

use human_oversight_protocol::types::Problem;
use reqwest::header::RETRY_AFTER;
use reqwest::{Response, StatusCode};
use serde::de::DeserializeOwned;

use crate::error::Error;

/// The longest `Retry-After` that is respected.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(900);

const MAX_RESPONSE_BYTES: usize = 256 * 1024;

/// Whether the address and the key are known to be right.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Contact {
    /// Neither is: what answers without a problem document is no gate, or does not accept the key.
    First,
    /// A call about a request, which a gate has accepted: what answers otherwise stands before it.
    Later,
}

/// The content of the response, or the gate's refusal.
pub(crate) async fn read<T: DeserializeOwned>(
    mut response: Response,
    retry_after: Option<Duration>,
    proxy: Option<&'static str>,
    contact: Contact,
) -> Result<T, Error> {
    let status = response.status();
    let mut body = Vec::new();
    while let Some(chunk) = response
        .chunk()
        .await
        .map_err(|source| Error::from_transport(source, proxy))?
    {
        if body.len() + chunk.len() > MAX_RESPONSE_BYTES {
            return Err(Error::InvalidResponse(format!(
                "more than {} KiB",
                MAX_RESPONSE_BYTES / 1_024
            )));
        }
        body.extend_from_slice(&chunk);
    }
    if status.is_success() {
        return serde_json::from_slice(&body)
            .map_err(|error| Error::InvalidResponse(format!("status {status}, {error}")));
    }
    Err(refusal(status, retry_after, &body, contact))
}

/// Every gate has the route of the keys, so without it the address is wrong.
pub(crate) fn not_a_gate(error: Error) -> Error {
    match error {
        Error::Problem(problem) if problem.status == StatusCode::NOT_FOUND => no_gate(),
        error => error,
    }
}

/// The routes of a kind of proof are those of a gate that takes it.
pub(crate) fn takes_no_keys(error: Error) -> Error {
    match error {
        Error::Problem(problem) if problem.status == StatusCode::NOT_FOUND => Error::Settings(
            "the gate does not take requests with a function key (404 Not Found): if it takes identities of Entra \
             alone, HO_AUDIENCE must name its app registration, and HO_KEY must not be set"
                .to_owned(),
        ),
        error => error,
    }
}

fn no_gate() -> Error {
    Error::Settings(
        "there is no gate at this address (HO_URL): the answer is 404 Not Found".to_owned(),
    )
}

fn refusal(
    status: StatusCode,
    retry_after: Option<Duration>,
    body: &[u8],
    contact: Contact,
) -> Error {
    let is_transient = matches!(
        status,
        StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT
    ) || status.is_server_error();
    if is_transient && !needs_intervention(body) {
        return Error::Unavailable {
            status: status.as_u16(),
            retry_after,
        };
    }
    let problem: Option<Problem> = serde_json::from_slice(body).ok();
    let is_first = contact == Contact::First;
    match (status, problem) {
        (StatusCode::UNAUTHORIZED, problem) if is_first || problem.is_some() => Error::Settings(
            "the gate's host does not accept the Functions key: HO_KEY is missing or wrong"
                .to_owned(),
        ),
        (StatusCode::NOT_FOUND, None) if is_first => no_gate(),
        (_, Some(problem)) => Error::Problem(Box::new(problem)),
        (StatusCode::UNAUTHORIZED | StatusCode::NOT_FOUND, None) => {
            Error::InvalidResponse(format!(
                "status {status} without a problem document: if it lasts, HO_URL, HO_KEY or HO_AUDIENCE is wrong"
            ))
        }
        (_, None) => Error::InvalidResponse(format!("status {status} without a problem document")),
    }
}

/// Whether a retry is futile in spite of the status: the stored request contradicts its receipt, the agent
/// has too many open requests, or a budget of its owner is used up. (A busy host also answers 429, without
/// such a problem.)
fn needs_intervention(body: &[u8]) -> bool {
    let kinds = [":integrity", ":too-many", ":budget"];
    serde_json::from_slice(body)
        .is_ok_and(|problem: Problem| kinds.iter().any(|kind| problem.kind.ends_with(kind)))
}

/// None as well for 0: the pauses of the client keep it from calling without end.
pub(crate) fn retry_after(response: &Response) -> Option<Duration> {
    let text = response.headers().get(RETRY_AFTER)?.to_str().ok()?;
    let seconds = text.parse().ok().filter(|&seconds| seconds > 0)?;
    Some(Duration::from_secs(seconds).min(MAX_RETRY_AFTER))
}
