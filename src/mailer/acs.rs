//! Azure Communication Services Email, over its REST API.
//! <https://learn.microsoft.com/rest/api/communication/email/email/send>

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use human_oversight_protocol::parameters::sha256;
use reqwest::{Client, RequestBuilder, Url};
use ring::hmac;
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::macros::format_description;

use super::email::{Email, MailError};
use super::rest::{post, token};
use crate::azure::credentials::{Principal, TokenCache};
use crate::azure::http::parse_endpoint;
use crate::values::{Address, Clock};

/// A Communication Services resource, and how to authenticate to it.
#[derive(Clone, Debug)]
pub struct AcsConfig {
    endpoint: Url,
    auth: AuthConfig,
}

#[derive(Clone, Debug)]
enum AuthConfig {
    AccessKey(hmac::Key),
    Tokens(Principal),
}

impl AcsConfig {
    /// The resource at `address`, such as `https://NAME.communication.azure.com`.
    ///
    /// # Errors
    /// Why the address cannot be used.
    pub fn new(address: &str, principal: Principal) -> Result<Self, &'static str> {
        Ok(Self {
            endpoint: parse_endpoint(address)?,
            auth: AuthConfig::Tokens(principal),
        })
    }

    /// The resource of a connection string, `endpoint=https://…;accesskey=…`.
    ///
    /// # Errors
    /// Why the text cannot be used; never the text itself.
    pub fn from_connection_string(text: &str) -> Result<Self, &'static str> {
        let part = |wanted: &str| {
            text.split(';').find_map(|part| {
                let (name, value) = part.split_once('=')?;
                (name.trim().eq_ignore_ascii_case(wanted)).then(|| value.trim())
            })
        };
        let address = part("endpoint").ok_or("endpoint is missing")?;
        let key = part("accesskey").ok_or("accesskey is missing")?;
        let key = BASE64.decode(key).map_err(|_| "accesskey must be base64")?;
        Ok(Self {
            endpoint: parse_endpoint(address)?,
            auth: AuthConfig::AccessKey(hmac::Key::new(hmac::HMAC_SHA256, &key)),
        })
    }

    pub(super) fn is_encrypted(&self) -> bool {
        self.endpoint.scheme() == "https"
    }
}

pub(super) struct Acs {
    url: Url,
    http: Client,
    clock: Clock,
    auth: Auth,
}

enum Auth {
    AccessKey(hmac::Key),
    Tokens(Arc<TokenCache>),
}

const API_VERSION: &str = "2025-09-01";

/// With two slashes, as Microsoft documents it.
const SCOPE: &str = "https://communication.azure.com//.default";

impl Acs {
    pub(super) fn new(config: &AcsConfig, http: Client, clock: Clock) -> Self {
        let mut url = config.endpoint.clone();
        url.set_path("/emails:send");
        url.set_query(Some(&format!("api-version={API_VERSION}")));
        let auth = match &config.auth {
            AuthConfig::AccessKey(key) => Auth::AccessKey(key.clone()),
            AuthConfig::Tokens(principal) => {
                let tokens = TokenCache::new(principal.clone(), SCOPE.to_owned(), clock.clone());
                Auth::Tokens(Arc::new(tokens))
            }
        };
        Self {
            url,
            http,
            clock,
            auth,
        }
    }

    /// A repeated request with the same operation id does not send a second email, so the outcome is never
    /// unknown.
    pub(super) async fn send(&self, email: &Email, from: &Address) -> Result<(), MailError> {
        match self.post_email(email, from).await {
            // The service sometimes refuses credentials that it accepts on a retry.
            Err(MailError::Misconfigured(_)) => self.post_email(email, from).await,
            sent => sent,
        }
    }

    async fn post_email(&self, email: &Email, from: &Address) -> Result<(), MailError> {
        let body = body(email, from).to_string();
        let request = self
            .http
            .post(self.url.clone())
            .header("content-type", "application/json")
            .header("operation-id", email.message_id.to_string());
        let request = self.authenticate(request, &body).await?.body(body);
        post(request, true).await
    }

    /// <https://learn.microsoft.com/azure/communication-services/tutorials/hmac-header-tutorial>
    async fn authenticate(
        &self,
        request: RequestBuilder,
        body: &str,
    ) -> Result<RequestBuilder, MailError> {
        let key = match &self.auth {
            Auth::Tokens(tokens) => {
                return Ok(request.bearer_auth(token(tokens).await?));
            }
            Auth::AccessKey(key) => key,
        };
        let seconds = (self.clock)().unix_seconds();
        let date = OffsetDateTime::from_unix_timestamp(seconds).expect("years ±9999 fit");
        let format = format_description!(
            "[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT"
        );
        let date = date.format(format).expect("a date can be written");
        let hash = BASE64.encode(sha256(body.as_bytes()));
        let host = match (self.url.host_str(), self.url.port()) {
            (Some(host), Some(port)) => format!("{host}:{port}"),
            (host, _) => host.unwrap_or_default().to_owned(),
        };
        let path = format!("{}?api-version={API_VERSION}", self.url.path());
        let text = format!("POST\n{path}\n{date};{host};{hash}");
        let signature = BASE64.encode(hmac::sign(key, text.as_bytes()));
        Ok(request
            .header("x-ms-date", date)
            .header("x-ms-content-sha256", hash)
            .header(
                "authorization",
                format!(
                    "HMAC-SHA256 SignedHeaders=x-ms-date;host;x-ms-content-sha256&Signature={signature}"
                ),
            ))
    }
}

fn body(email: &Email, from: &Address) -> Value {
    let headers: serde_json::Map<String, Value> = email
        .headers(from)
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value.into()))
        .collect();
    // How the service writes a header is not documented, so it gets no encoded word that a client would decode.
    let subject = email.subject().replace("=?", "= ?");
    json!({
        "senderAddress": from.as_str(),
        "recipients": {"to": [{"address": email.to.as_str()}]},
        "content": {"subject": subject, "plainText": email.text, "html": email.html},
        "headers": headers,
        // Otherwise Event Grid would receive the clicked links, which contain secrets.
        "userEngagementTrackingDisabled": true,
    })
}
