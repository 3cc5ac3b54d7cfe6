//! HTTP to the services that the gate stands on.

use std::error::Error;
use std::time::Duration;

use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::{Client, ClientBuilder, Url};

/// How long whoever gives out tokens may take for an answer. Of others, each caller says it.
const TOKEN_WITHIN: Duration = Duration::from_secs(5);

const CONNECT_WITHIN: Duration = Duration::from_secs(3);

/// Azurite closes idle connections after 5 s, the cloud's load balancers after 4 minutes. A new one
/// costs two round trips inside the region; one that is dead costs a retry.
const IDLE: Duration = Duration::from_secs(4);

/// A client; its clones share a pool. To make one takes a while, since it reads the certificates that
/// the machine trusts.
///
/// # Errors
/// When there are none.
pub(crate) fn client() -> Result<Client, String> {
    builder().build().map_err(causes)
}

/// One for what is on this machine or beside it: whoever gives out tokens, over plain HTTP, is not
/// asked by way of a proxy.
pub(crate) fn direct() -> Result<Client, String> {
    let direct = builder().no_proxy().timeout(TOKEN_WITHIN);
    direct.build().map_err(causes)
}

fn builder() -> ClientBuilder {
    // The first one wins; all of ours are the same.
    rustls::crypto::ring::default_provider()
        .install_default()
        .ok();
    Client::builder()
        .connect_timeout(CONNECT_WITHIN)
        .pool_idle_timeout(IDLE)
        .redirect(reqwest::redirect::Policy::none())
}

/// How long a service wants to be left alone.
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?;
    seconds.parse().ok().map(Duration::from_secs)
}

/// Whether an address names a place and no more: no credentials, no query.
pub(crate) fn is_bare(url: &Url) -> bool {
    url.query().is_none()
        && url.fragment().is_none()
        && url.username().is_empty()
        && url.password().is_none()
}

/// The address of a service that tokens and keys are sent to: https, or this very machine.
///
/// # Errors
/// What is wrong with it; never what is in it.
pub(crate) fn endpoint(text: &str) -> Result<Url, &'static str> {
    let url = Url::parse(text).map_err(|_| "it must be a URL")?;
    let is_local = url.scheme() == "http" && url.host_str() == Some("127.0.0.1");
    if url.scheme() != "https" && !is_local {
        return Err("it must begin with https://, since tokens are sent to it");
    }
    match is_bare(&url) {
        true => Ok(url),
        false => Err("it must be https://HOST and no more"),
    }
}

/// The whole chain of causes, without the address: the head of the chain says only that something
/// failed.
pub(crate) fn causes(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
