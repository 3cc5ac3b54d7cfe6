//! What the mail services with a REST API share: access tokens, timeouts, and the meaning of responses.

use std::fmt;
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
    let refusal = Refusal::read(response).await;
    let about = refusal.about();
    let cause = refusal.to_string();
    Err(match (status.as_u16(), about) {
        (400 | 422, About::Sender) | (401 | 403 | 404, _) => MailError::Misconfigured(cause),
        (400 | 422, About::Email) | (413, _) => MailError::Refused(cause),
        (500 | 502 | 504, _) if !idempotent => MailError::OutcomeUnknown(cause),
        // Among them the refusals for a reason that the gate does not know. To take them for wrong settings would let
        // one email that is never accepted hold up all others; each is tried again by itself.
        _ => MailError::Unavailable(cause, pause),
    })
}

/// The status of a refusal, and the error in its body.
struct Refusal {
    status: StatusCode,
    /// A single word, which cannot contain an address; otherwise empty.
    code: String,
    /// It may repeat an address.
    message: String,
}

/// What a refusal is about, as far as the gate can tell.
enum About {
    /// The recipient, or this email alone.
    Email,
    /// The sender, which every email has.
    Sender,
    Unknown,
}

/// The codes of Communication Services and of Graph for a recipient or an email that they do not accept.
const OF_EMAIL: [&str; 4] = [
    "EmailDroppedAllRecipientsSuppressed",
    "ErrorInvalidRecipients",
    "ErrorMessageSizeExceeded",
    "InvalidRecipient",
];

/// Their codes for a sender that they do not accept.
const OF_SENDER: [&str; 3] = [
    "DomainNotLinked",
    "ErrorSendAsDenied",
    "InvalidSenderUserName",
];

/// The member of a request to Communication Services with the sender, which their message names.
const SENDER_MEMBER: &str = "senderAddress";

impl Refusal {
    async fn read(response: Response) -> Self {
        let status = response.status();
        let body = response.bytes().await.unwrap_or_default();
        let body: Value = serde_json::from_slice(&body).unwrap_or_default();
        let text = |name: &str| body["error"][name].as_str().unwrap_or_default().to_owned();
        let mut code = text("code");
        if code.len() > 64 || !code.bytes().all(|b| b.is_ascii_alphabetic()) {
            code.clear();
        }
        Self {
            status,
            code,
            message: text("message"),
        }
    }

    fn about(&self) -> About {
        let is_one = |codes: &[&str]| codes.contains(&self.code.as_str());
        if is_one(&OF_EMAIL) {
            About::Email
        } else if is_one(&OF_SENDER) || self.message.contains(SENDER_MEMBER) {
            About::Sender
        } else {
            About::Unknown
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { status, code, .. } = self;
        write!(f, "the service answered {} {code}", status.as_u16())
    }
}
