//! Microsoft 365: a mailbox of the organization sends, through Microsoft Graph.
//! <https://learn.microsoft.com/graph/api/user-sendmail>

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use lettre::Message;
use reqwest::{Client, Url};
use tokio::sync::Semaphore;

use super::email::MailError;
use super::rest::{post, token};
use crate::azure::credentials::{Principal, TokenCache};
use crate::azure::http::endpoint;
use crate::values::{Address, Clock};

/// A mailbox, and as whom to reach it.
#[derive(Clone, Debug)]
pub struct GraphConfig {
    /// Its address.
    pub mailbox: Address,
    endpoint: Url,
    principal: Principal,
}

impl GraphConfig {
    /// A mailbox at `endpoint`, which is `https://graph.microsoft.com` but in national clouds. The
    /// principal needs Exchange's role `Application Mail.Send` for it.
    ///
    /// # Errors
    /// What is wrong with the endpoint.
    pub fn new(
        mailbox: Address,
        at: Option<&str>,
        principal: Principal,
    ) -> Result<Self, &'static str> {
        Ok(Self {
            mailbox,
            endpoint: endpoint(at.unwrap_or("https://graph.microsoft.com"))?,
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
    requests: Semaphore,
}

/// A mailbox takes four requests at a time, and may have other users.
const REQUESTS: usize = 3;

impl Graph {
    pub(super) fn new(graph: &GraphConfig, http: Client, clock: Clock) -> Self {
        let mut url = graph.endpoint.clone();
        url.path_segments_mut()
            .expect("an http URL has a path")
            .pop_if_empty()
            .extend(["v1.0", "users", graph.mailbox.as_str(), "sendMail"]);
        let scope = graph.endpoint.join("/.default").expect("a path");
        let tokens = TokenCache::new(graph.principal.clone(), scope.into(), clock);
        Self {
            url,
            http,
            tokens: Arc::new(tokens),
            requests: Semaphore::new(REQUESTS),
        }
    }

    pub(super) async fn send(&self, message: &Message) -> Result<(), MailError> {
        let token = token(&self.tokens).await?;
        let _permit = self.requests.acquire().await.expect("never closed");
        let request = self
            .http
            .post(self.url.clone())
            .bearer_auth(token)
            .header("content-type", "text/plain")
            .body(BASE64.encode(message.formatted()));
        // Graph knows no repetition.
        post(request, false).await
    }
}
