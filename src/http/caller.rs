//! Reads what a caller of the decision page presents; the use case identifies the approver.

use axum::http::HeaderMap;

use super::principal::{Principal, principal};
use crate::app::{App, Caller};
use crate::azure::{Member, NotSignedIn, SignIn, is_program};

/// Headers with which programs authenticate; browsers send neither.
const PROGRAM_HEADERS: [&str; 2] = ["authorization", "x-zumo-auth"];

/// Marks the response to an identified approver, for the log.
#[derive(Clone)]
pub(super) struct IdentifiedCaller;

/// The caller with these headers and this link token.
pub(super) fn caller(app: &App, headers: &HeaderMap, link: Option<String>) -> Caller {
    let sign_in = app.config.sign_in.as_ref();
    Caller {
        link: link.unwrap_or_default(),
        member: sign_in.map(|sign_in| member(sign_in, headers)),
        is_agent: app.config.agent_identity.tenant().is_some() && is_agent(headers),
    }
}

/// Whether the platform names a program, which decides nothing, whatever link it has.
fn is_agent(headers: &HeaderMap) -> bool {
    match principal(headers) {
        Principal::None => false,
        Principal::One(header) => is_program(header),
        Principal::Ambiguous => true,
    }
}

fn member(sign_in: &SignIn, headers: &HeaderMap) -> Result<Member, NotSignedIn> {
    if PROGRAM_HEADERS
        .iter()
        .any(|name| headers.contains_key(*name))
    {
        return Err(NotSignedIn::Program);
    }
    match principal(headers) {
        Principal::None => Err(NotSignedIn::Anonymous),
        Principal::One(header) => sign_in.parse_member(header),
        Principal::Ambiguous => Err(NotSignedIn::Invalid),
    }
}
