//! The header in which the platform passes the claims of the caller that it has authenticated.

use axum::http::HeaderMap;

const PRINCIPAL: &str = "x-ms-client-principal";

/// What the headers hold.
pub(super) enum Principal<'a> {
    None,
    One(&'a str),
    /// Several, or one that is no text.
    Ambiguous,
}

pub(super) fn principal(headers: &HeaderMap) -> Principal<'_> {
    let mut principals = headers.get_all(PRINCIPAL).iter();
    match (principals.next(), principals.next()) {
        (None, _) => Principal::None,
        (Some(principal), None) => match principal.to_str() {
            Ok(principal) => Principal::One(principal),
            Err(_) => Principal::Ambiguous,
        },
        (Some(_), Some(_)) => Principal::Ambiguous,
    }
}
