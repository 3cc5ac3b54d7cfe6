//! HTTP to the services that the gate stands on: one pool of connections, with time-outs.

use std::error::Error;
use std::time::Duration;

use reqwest::{Client, ClientBuilder, Url};

/// How long an answer may take, with its body, where nobody says otherwise.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

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
    builder().no_proxy().build().map_err(causes)
}

fn builder() -> ClientBuilder {
    // The first one wins; all of ours are the same.
    rustls::crypto::ring::default_provider()
        .install_default()
        .ok();
    Client::builder()
        .connect_timeout(CONNECT_WITHIN)
        .timeout(ANSWER_WITHIN)
        .pool_idle_timeout(IDLE)
        .redirect(reqwest::redirect::Policy::none())
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
    let is_bare = url.query().is_none()
        && url.fragment().is_none()
        && url.username().is_empty()
        && url.password().is_none();
    match is_bare {
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
