//! Microsoft 365: sends from a mailbox of the organization, through Microsoft Graph.
//! <https://learn.microsoft.com/graph/api/user-sendmail>

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use lettre::Message;
use reqwest::{Client, Url};

use super::email::MailError;
use super::rest::{post, token};
use super::turns::Turns;
use crate::azure::credentials::{Principal, TokenCache};
use crate::azure::http::parse_endpoint;
use crate::values::{Address, Clock};

/// A mailbox, and the principal that sends from it.
#[derive(Clone, Debug)]
pub struct GraphConfig {
    pub mailbox: Address,
    endpoint: Url,
    principal: Principal,
}

impl GraphConfig {
    /// A mailbox at `endpoint`, by default `https://graph.microsoft.com`; national clouds have another. The
    /// principal needs Exchange's role `Application Mail.Send` for it.
    ///
    /// # Errors
    /// Why the endpoint cannot be used.
    pub fn new(
        mailbox: Address,
        endpoint: Option<&str>,
        principal: Principal,
    ) -> Result<Self, &'static str> {
        Ok(Self {
            mailbox,
            endpoint: parse_endpoint(endpoint.unwrap_or("https://graph.microsoft.com"))?,
            principal,
        })
    }

    pub(super) fn is_encrypted(&self) -> bool {
        self.endpoint.scheme() == "https"
    }
}

pub(super) struct Graph {
    url: Url,
    http: Client,
    tokens: Arc<TokenCache>,
    requests: Arc<Turns>,
}

/// The maximum number of concurrent requests: a mailbox accepts four, and other programs may use it too.
const MAX_REQUESTS: usize = 3;

impl Graph {
    pub(super) fn new(config: &GraphConfig, http: Client, clock: Clock) -> Self {
        let mut url = config.endpoint.clone();
        url.path_segments_mut()
            .expect("an http URL has a path")
            .pop_if_empty()
            .extend(["v1.0", "users", config.mailbox.as_str(), "sendMail"]);
        let scope = config.endpoint.join("/.default").expect("a path");
        let tokens = TokenCache::new(config.principal.clone(), scope.into(), clock);
        Self {
            url,
            http,
            tokens: Arc::new(tokens),
            requests: Turns::new(MAX_REQUESTS),
        }
    }

    pub(super) async fn send(&self, message: &Message, queue: &str) -> Result<(), MailError> {
        let token = token(&self.tokens).await?;
        let _turn = self.requests.wait(queue).await;
        let request = self
            .http
            .post(self.url.clone())
            .bearer_auth(token)
            .header("content-type", "text/plain")
            .body(BASE64.encode(message.formatted()));
        // Graph does not detect repeated requests.
        post(request, false).await
    }
}
