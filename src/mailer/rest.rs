//! What the mail services of Microsoft answer over REST.

use std::time::Duration;

use reqwest::Response;
use reqwest::header::RETRY_AFTER;
use serde_json::Value;

use super::MailError;
use crate::outbound::causes;

/// How long the service wants to be left alone.
pub(super) fn retry_after(answer: &Response) -> Option<Duration> {
    let seconds = answer.headers().get(RETRY_AFTER)?.to_str().ok()?;
    seconds.parse().ok().map(Duration::from_secs)
}

/// What the service calls it; its words may repeat an address.
pub(super) async fn refusal(answer: Response) -> String {
    let status = answer.status().as_u16();
    let body = answer.bytes().await.unwrap_or_default();
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    let code = body["error"]["code"].as_str().unwrap_or_default();
    let code: String = code
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .take(64)
        .collect();
    format!("the service answered {status} {code}")
}

/// Where a connection never was, nothing was taken.
pub(super) fn lost(error: reqwest::Error) -> MailError {
    match error.is_connect() {
        true => MailError::Unavailable(causes(error), None),
        false => MailError::Unclear(causes(error)),
    }
}
