//! Mail services over REST: as whom, how long, and what their answers mean.

use std::sync::Arc;
use std::time::Duration;

use reqwest::{RequestBuilder, Response, StatusCode};
use serde_json::Value;
use tokio::time::timeout;

use super::email::MailError;
use crate::azure::credentials::TokenCache;
use crate::azure::http::{causes, retry_after};

/// How long an answer may take.
const ANSWER_WITHIN: Duration = Duration::from_secs(3);

/// How long a mail waits for a token. The sign-in goes on; the next try finds it.
const TOKEN_WITHIN: Duration = Duration::from_secs(2);

/// A token, or why there is none. Nothing has been sent then.
pub(super) async fn token(tokens: &Arc<TokenCache>) -> Result<String, MailError> {
    let tokens = tokens.clone();
    let signing_in = tokio::spawn(async move { tokens.get().await });
    let late = |_| MailError::Unavailable("the sign-in takes long".to_owned(), None);
    let signed_in = timeout(TOKEN_WITHIN, signing_in).await.map_err(late)?;
    match signed_in {
        Ok(Ok(token)) => Ok(token.token.secret().to_owned()),
        Ok(Err(error)) => Err(MailError::Unavailable(error.to_string(), None)),
        Err(_) => Err(MailError::Unavailable(
            "the sign-in broke off".to_owned(),
            None,
        )),
    }
}

/// Hands a mail over. Without an answer it is unclear whether it was taken, unless a repetition is
/// known as one.
pub(super) async fn post(request: RequestBuilder, repeatable: bool) -> Result<(), MailError> {
    let answer = match request.timeout(ANSWER_WITHIN).send().await {
        Ok(answer) => answer,
        Err(error) if repeatable || error.is_connect() => {
            return Err(MailError::Unavailable(causes(error), None));
        }
        Err(error) => return Err(MailError::Unclear(causes(error))),
    };
    let (status, wait) = (answer.status(), retry_after(answer.headers()));
    if status == StatusCode::ACCEPTED {
        return Ok(());
    }
    let refusal = refusal(answer).await;
    Err(match status.as_u16() {
        401 | 403 | 404 => MailError::Misconfigured(refusal),
        400 | 413 | 422 => MailError::Refused(refusal),
        500 | 502 | 504 if !repeatable => MailError::Unclear(refusal),
        _ => MailError::Unavailable(refusal, wait),
    })
}

/// What the service calls it; its words may repeat an address.
async fn refusal(answer: Response) -> String {
    let status = answer.status().as_u16();
    let body = answer.bytes().await.unwrap_or_default();
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    let code = body["error"]["code"].as_str().unwrap_or_default();
    // A word, and nothing that could hold more than that.
    let is_word = code.len() <= 64 && code.bytes().all(|b| b.is_ascii_alphabetic());
    let code = if is_word { code } else { "" };
    format!("the service answered {status} {code}")
}
