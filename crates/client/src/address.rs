//! The gate's address, and the proxy on the way to it.

use std::net::IpAddr;

use reqwest::Url;

use crate::error::Error;

/// The variables that name a proxy for https, in the order in which reqwest reads them.
const PROXY_VARIABLES: [&str; 4] = ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];

/// The gate's base address: `https`, or `http` on this machine, without a path behind it.
pub(crate) fn parse(base: &str) -> Result<Url, Error> {
    let settings = |why: &str| Error::Settings(why.to_owned());
    let invalid = || settings("the gate's address (HO_URL) must be an absolute https URL");
    let mut base = Url::parse(base).map_err(|_| invalid())?;
    if !matches!(base.scheme(), "http" | "https") || base.cannot_be_a_base() {
        return Err(invalid());
    }
    if base.query().is_some() || !base.username().is_empty() || base.password().is_some() {
        return Err(settings(
            "the gate's address (HO_URL) must not contain a key or a query: set HO_KEY instead",
        ));
    }
    if base.scheme() == "http" && !is_loopback(&base) {
        return Err(settings(
            "the gate's address (HO_URL) must begin with https:// unless the gate is on this machine: over \
             http anyone on the way reads the function key and can alter the answers",
        ));
    }
    // People paste `https://host/api` and `https://host/` for `https://host`.
    let path = base.path().trim_end_matches('/');
    let path = path.strip_suffix("/api").unwrap_or(path).to_owned();
    base.set_path(&path);
    Ok(base)
}

pub(crate) fn is_loopback(base: &Url) -> bool {
    let host = base.host_str().unwrap_or_default();
    let ip = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || ip.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
}

/// The variable that names a proxy for this gate, unless `NO_PROXY` excludes it.
pub(crate) fn proxy_variable(base: &Url) -> Option<&'static str> {
    let is_set = |name: &&str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let mut variables = PROXY_VARIABLES.into_iter();
    variables.find(is_set).filter(|_| !is_loopback(base))
}
