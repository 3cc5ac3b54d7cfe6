//! Reads what a caller of the decision page presents; the use case identifies the approver.

use axum::http::HeaderMap;

use crate::app::{App, Caller};
use crate::azure::{Member, NotSignedIn, SignIn};

/// The header in which the platform passes the claims of the signed-in person.
const PRINCIPAL: &str = "x-ms-client-principal";

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
    }
}

fn member(sign_in: &SignIn, headers: &HeaderMap) -> Result<Member, NotSignedIn> {
    if PROGRAM_HEADERS
        .iter()
        .any(|name| headers.contains_key(*name))
    {
        return Err(NotSignedIn::Program);
    }
    let mut principals = headers.get_all(PRINCIPAL).iter();
    match (principals.next(), principals.next()) {
        (None, _) => Err(NotSignedIn::Anonymous),
        (Some(principal), None) => {
            sign_in.parse_member(principal.to_str().map_err(|_| NotSignedIn::Invalid)?)
        }
        (Some(_), Some(_)) => Err(NotSignedIn::Invalid),
    }
}
