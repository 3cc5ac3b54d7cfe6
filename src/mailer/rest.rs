//! What the mail services with a REST API share: access tokens, timeouts, and the meaning of responses.

use std::sync::Arc;
use std::time::Duration;

use reqwest::{RequestBuilder, Response, StatusCode};
use serde_json::Value;
use tokio::time::timeout;

use super::email::MailError;
use crate::azure::credentials::TokenCache;
use crate::azure::http::{causes, retry_after};

const RESPONSE_TIMEOUT: Duration = Duration::from_secs(3);

/// How long an email waits for an access token. The sign-in continues; the next attempt uses its token.
const TOKEN_TIMEOUT: Duration = Duration::from_secs(2);

/// The access token. An error means that nothing was sent.
pub(super) async fn token(tokens: &Arc<TokenCache>) -> Result<String, MailError> {
    let tokens = tokens.clone();
    let signing_in = tokio::spawn(async move { tokens.get().await });
    let unavailable = |cause: String| MailError::Unavailable(cause, None);
    let timed_out = |_| unavailable("the sign-in is slow".to_owned());
    let signed_in = timeout(TOKEN_TIMEOUT, signing_in)
        .await
        .map_err(timed_out)?;
    match signed_in {
        Ok(Ok(token)) => Ok(token.token.secret().to_owned()),
        Ok(Err(error)) => Err(unavailable(error.to_string())),
        Err(_) => Err(unavailable("the sign-in failed".to_owned())),
    }
}

/// Posts an email. If the response is lost, the outcome is unknown, unless the request is idempotent.
pub(super) async fn post(request: RequestBuilder, idempotent: bool) -> Result<(), MailError> {
    let response = match request.timeout(RESPONSE_TIMEOUT).send().await {
        Ok(response) => response,
        Err(error) if idempotent || error.is_connect() => {
            return Err(MailError::Unavailable(causes(error), None));
        }
        Err(error) => return Err(MailError::OutcomeUnknown(causes(error))),
    };
    let (status, pause) = (response.status(), retry_after(response.headers()));
    if status == StatusCode::ACCEPTED {
        return Ok(());
    }
    let cause = describe(response).await;
    Err(match status.as_u16() {
        401 | 403 | 404 => MailError::Misconfigured(cause),
        400 | 413 | 422 => MailError::Refused(cause),
        500 | 502 | 504 if !idempotent => MailError::OutcomeUnknown(cause),
        _ => MailError::Unavailable(cause, pause),
    })
}

/// The status and the error code; the message may repeat an address.
async fn describe(response: Response) -> String {
    let status = response.status().as_u16();
    let body = response.bytes().await.unwrap_or_default();
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    let code = body["error"]["code"].as_str().unwrap_or_default();
    // A single word, which cannot contain an address.
    let is_word = code.len() <= 64 && code.bytes().all(|b| b.is_ascii_alphabetic());
    let code = if is_word { code } else { "" };
    format!("the service answered {status} {code}")
}
