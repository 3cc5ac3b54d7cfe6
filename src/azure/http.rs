//! HTTP clients for Azure and other services.

use std::error::Error;
use std::time::Duration;

use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};
use reqwest::{Client, ClientBuilder, Url};

use crate::values::Timestamp;

/// The timeout of a request to the local identity endpoint. For other services, callers set their own.
const IDENTITY_TIMEOUT: Duration = Duration::from_secs(5);

const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// Azurite closes idle connections after 5 s, the load balancers of Azure after 4 minutes. A new connection
/// costs two round trips inside the region; using a closed one costs a retry.
const IDLE_TIMEOUT: Duration = Duration::from_secs(4);

/// Builds a client; its clones share a pool of connections. Slow, since it reads the trusted certificates of
/// the machine.
///
/// # Errors
/// When there are no trusted certificates.
pub(crate) fn client() -> Result<Client, String> {
    builder().build().map_err(causes)
}

/// Builds a client that uses no proxy, for the local identity endpoint, which speaks plain HTTP.
pub(crate) fn client_without_proxy() -> Result<Client, String> {
    let builder = builder().no_proxy().timeout(IDENTITY_TIMEOUT);
    builder.build().map_err(causes)
}

/// The common settings of all clients: no redirects, short time to connect.
pub(crate) fn builder() -> ClientBuilder {
    // Fails if it is installed already.
    rustls::crypto::ring::default_provider()
        .install_default()
        .ok();
    Client::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .pool_idle_timeout(IDLE_TIMEOUT)
        .redirect(reqwest::redirect::Policy::none())
}

/// The longest pause that a service can request.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(86_400);

/// The pause that a service requests, at most a day: in seconds, or until a date, which is compared with that of the
/// answer (RFC 9110, section 10.2.3).
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let text_of_pause = text(RETRY_AFTER)?;
    let pause = match text_of_pause.parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            let [until, now] =
                [Some(text_of_pause), text(DATE)].map(|date| date.and_then(Timestamp::parse_http));
            until?.since(now?)
        }
    };
    Some(pause.min(MAX_RETRY_AFTER))
}

/// Whether a URL has no credentials, query or fragment.
pub(crate) fn is_bare(url: &Url) -> bool {
    url.query().is_none()
        && url.fragment().is_none()
        && url.username().is_empty()
        && url.password().is_none()
}

/// Parses the URL of a service that receives tokens or keys: https, or http on this machine.
///
/// # Errors
/// Why the text is invalid; never the text itself.
pub(crate) fn parse_endpoint(text: &str) -> Result<Url, &'static str> {
    let url = Url::parse(text).map_err(|_| "it must be a URL")?;
    let is_local = url.scheme() == "http" && url.host_str() == Some("127.0.0.1");
    if url.scheme() != "https" && !is_local {
        return Err("it must begin with https://, since it receives access tokens or keys");
    }
    if is_bare(&url) {
        Ok(url)
    } else {
        Err("it must be https://HOST, without credentials or a query")
    }
}

/// The whole chain of causes, without the URL: the first one only says that a request failed.
pub(crate) fn causes(error: reqwest::Error) -> String {
    let error = error.without_url();
    let texts: Vec<String> = chain(&error).map(ToString::to_string).collect();
    texts.join(": ")
}

/// An error and its sources, the first cause last.
pub(crate) fn chain<'a>(
    error: &'a (dyn Error + 'static),
) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error| error.source())
}
