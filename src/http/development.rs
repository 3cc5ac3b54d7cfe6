//! A gate for local development serves its own machine: anyone who can read its inbox can approve.

use std::net::IpAddr;

use axum::extract::Request;
use axum::http::{HeaderMap, Method, Version, header};

use super::error::Error;
use super::origin;

/// Beginnings of the names of headers with which proxies, content networks and tunnels pass on a call.
const PROXY_PREFIXES: [&str; 16] = [
    "x-forwarded",
    "x-arr-",
    "x-azure-",
    "x-amz-",
    "x-amzn-",
    "x-client-",
    "x-remote-",
    "x-proxy",
    "x-envoy-",
    "x-tunnel-",
    "x-vercel-",
    "cf-",
    "fly-",
    "fastly-",
    "ngrok-",
    "tailscale-",
];

/// Parts of such names, at any place.
const PROXY_PARTS: [&str; 6] = [
    "forwarded",
    "client-ip",
    "clientip",
    "cluster-ip",
    "real-ip",
    "cdn-",
];

/// Such names as a whole.
const PROXY_NAMES: [&str; 8] = [
    "via",
    "max-forwards",
    "x-scheme",
    "x-original-for",
    "x-original-host",
    "x-original-proto",
    "disguised-host",
    "was-default-hostname",
];

/// The Functions host adds headers of its own to a call.
const HOST_PREFIX: &str = "x-azure-functions-";

/// Refuses a call that does not come from this machine, or that a page of another site has sent.
pub(super) fn check(request: &Request, base_url: &str) -> Result<(), Error> {
    if !is_from_this_machine(request) {
        return Err(Error::Forbidden(
            "In local development the gate serves its own machine, under loopback names and not through \
             a proxy or a tunnel.",
        ));
    }
    if request.method() == Method::POST && !origin::is_program_or_own(request.headers(), base_url) {
        return Err(Error::Forbidden(
            "In local development the gate takes nothing from pages of other sites.",
        ));
    }
    Ok(())
}

/// The `Host` also protects against DNS rebinding, where a web page reaches the gate under its own name. The
/// Functions host and every client of today speak HTTP/1.1; HTTP/1.0 is what proxies speak by default to the
/// servers behind them, often without any header of their own.
fn is_from_this_machine(request: &Request) -> bool {
    let headers = request.headers();
    let hosts = headers.get_all(header::HOST).iter().count();
    request.version() >= Version::HTTP_11
        && hosts == 1
        && are_all_loopback(headers, header::HOST.as_str())
        && request
            .uri()
            .authority()
            .is_none_or(|it| is_loopback(it.as_str()))
        && headers
            .keys()
            .all(|name| has_local_value(headers, name.as_str()))
}

/// Whether no header of this name shows that the call came from elsewhere. The Functions host sets three of a
/// proxy's headers itself, on a developer's machine to these values.
fn has_local_value(headers: &HeaderMap, name: &str) -> bool {
    match name {
        "x-forwarded-for" | "x-forwarded-host" => are_all_loopback(headers, name),
        "x-forwarded-proto" => headers.get_all(name).iter().all(|value| value == "http"),
        _ => name.starts_with(HOST_PREFIX) || !is_of_a_proxy(name),
    }
}

fn is_of_a_proxy(name: &str) -> bool {
    PROXY_PREFIXES.iter().any(|it| name.starts_with(it))
        || PROXY_PARTS.iter().any(|it| name.contains(it))
        || PROXY_NAMES.contains(&name)
}

/// Whether every element of every header of this name is loopback.
fn are_all_loopback(headers: &HeaderMap, name: &str) -> bool {
    headers.get_all(name).iter().all(|value| {
        let text = value.to_str().unwrap_or_default();
        text.split(',').all(|element| is_loopback(element.trim()))
    })
}

/// Whether an address or host name, perhaps with a port, is loopback.
fn is_loopback(text: &str) -> bool {
    let name = match text.rsplit_once(':') {
        // Other colons belong to an IPv6 address without a port.
        Some((name, port))
            if port.bytes().all(|b| b.is_ascii_digit())
                && (!name.contains(':') || name.ends_with(']')) =>
        {
            name
        }
        _ => text,
    };
    let bracketed = name.strip_prefix('[').and_then(|it| it.strip_suffix(']'));
    let address: Option<IpAddr> = bracketed.unwrap_or(name).parse().ok();
    name.eq_ignore_ascii_case("localhost")
        || address.is_some_and(|it| it.to_canonical().is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_has_several_spellings() {
        for yes in [
            "localhost",
            "LocalHost:7071",
            "127.0.0.1",
            "127.0.0.1:7071",
            "127.8.9.10",
            "::1",
            "[::1]",
            "[::1]:7071",
            "::ffff:127.0.0.1",
            "[::ffff:127.0.0.1]:7071",
        ] {
            assert!(is_loopback(yes), "{yes}");
        }
        for no in [
            "",
            ":7071",
            "localhost.example",
            "127.0.0.1.example",
            "localhost:7071:1",
            "localhost:x",
            "0.0.0.0",
            "::",
            "::ffff:198.51.100.7",
            "[::1",
            "10.0.0.1",
            "2130706433",
            "_localhost",
        ] {
            assert!(!is_loopback(no), "{no}");
        }
    }
}
