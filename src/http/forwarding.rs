//! Older Functions hosts rebuild a call instead of proxying it. They decode the path after they have matched the route
//! and checked the key, so a call to an anonymous function can reach any other function.

use axum::http::{HeaderMap, header};

use super::error::Error;

/// Whether the host has rebuilt the call. Such a host names itself in the user agent.
fn is_forwarded(headers: &HeaderMap) -> bool {
    let agents = headers.get_all(header::USER_AGENT).iter();
    let mut agents = agents.map(|agent| String::from_utf8_lossy(agent.as_bytes()).to_lowercase());
    agents.any(|agent| agent.contains("azure-functions-host/"))
}

/// Why a call is refused, with what helps besides a host that proxies.
macro_rules! forwarded {
    ($or:literal) => {
        concat!(
            "This host forwards calls under decoded paths, so its check of the key may be of another function. \
             Use a host that proxies",
            $or,
            "."
        )
    };
}

/// Refuses a forwarded call of the operator.
pub(super) fn check_operator(headers: &HeaderMap) -> Result<(), Error> {
    refuse_forwarded(headers, forwarded!(", or run the command on the store"))
}

/// Refuses a forwarded call of Event Grid.
pub(super) fn check_reports(headers: &HeaderMap) -> Result<(), Error> {
    refuse_forwarded(headers, forwarded!(""))
}

/// Refuses a forwarded call of an agent, for a gate that knows no keys itself.
pub(super) fn check_agent(headers: &HeaderMap) -> Result<(), Error> {
    refuse_forwarded(
        headers,
        forwarded!(", or list the keys of the agents (HO_AGENT_KEYS)"),
    )
}

fn refuse_forwarded(headers: &HeaderMap, detail: &'static str) -> Result<(), Error> {
    if is_forwarded(headers) {
        Err(Error::Forbidden(detail))
    } else {
        Ok(())
    }
}
