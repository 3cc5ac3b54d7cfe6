//! Microsoft 365: a mailbox of the organization sends, through Microsoft Graph.
//! <https://learn.microsoft.com/graph/api/user-sendmail>

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use lettre::Message;
use reqwest::{Client, StatusCode};

use super::MailError;
use super::rest::{lost, refusal, retry_after};
use crate::address::Address;
use crate::identity::{Principal, Tokens};
use crate::timestamp::Clock;

/// A mailbox, and as whom to reach it.
#[derive(Clone, Debug)]
pub struct Graph365 {
    /// Its address.
    pub mailbox: Address,
    endpoint: String,
    principal: Principal,
}

impl Graph365 {
    /// A mailbox at `endpoint`, which is `https://graph.microsoft.com` but in national clouds. The
    /// principal needs Exchange's role `Application Mail.Send` for it.
    ///
    /// # Errors
    /// What is wrong with the endpoint: a token is only sent over https.
    pub fn new(
        mailbox: Address,
        endpoint: Option<&str>,
        principal: Principal,
    ) -> Result<Self, &'static str> {
        let endpoint = endpoint.unwrap_or("https://graph.microsoft.com");
        let is_local = endpoint.starts_with("http://127.0.0.1:");
        if !endpoint.starts_with("https://") && !is_local {
            return Err("it must begin with https://");
        }
        Ok(Self {
            mailbox,
            endpoint: endpoint.trim_end_matches('/').to_owned(),
            principal,
        })
    }
}

pub(super) struct Graph {
    url: String,
    http: Client,
    tokens: Tokens,
}

const SCOPE: &str = "https://graph.microsoft.com/.default";

impl Graph {
    pub(super) fn new(graph: &Graph365, http: Client, clock: Clock) -> Self {
        Self {
            url: format!(
                "{}/v1.0/users/{}/sendMail",
                graph.endpoint,
                graph.mailbox.as_str()
            ),
            tokens: Tokens::new(graph.principal.clone(), SCOPE, clock),
            http,
        }
    }

    /// Graph knows no repetition, so an answer that was lost leaves it open whether the mail was sent.
    pub(super) async fn send(&self, message: &Message) -> Result<(), MailError> {
        let token = self.tokens.get().await?;
        let request = self
            .http
            .post(&self.url)
            .bearer_auth(token.token.secret())
            .header("content-type", "text/plain")
            .body(BASE64.encode(message.formatted()));
        let answer = request.send().await.map_err(lost)?;
        let (status, wait) = (answer.status(), retry_after(&answer));
        match status {
            StatusCode::ACCEPTED => Ok(()),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::NOT_FOUND => {
                Err(MailError::Misconfigured(refusal(answer).await))
            }
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
                Err(MailError::Unavailable(refusal(answer).await, wait))
            }
            status if status.is_server_error() => Err(MailError::Unclear(refusal(answer).await)),
            _ => Err(MailError::Refused(refusal(answer).await)),
        }
    }
}
