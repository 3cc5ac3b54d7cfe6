//! Where a browser's request comes from, by the headers that a browser sets and a page cannot.

use axum::http::{HeaderMap, header};

const FETCH_SITE: &str = "sec-fetch-site";

/// Whether a form was on a page of the gate. For a form on another site, both headers are missing or have
/// other values.
pub(super) fn is_own(headers: &HeaderMap, base_url: &str) -> bool {
    let value = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    value(FETCH_SITE) == Some("same-origin")
        || value(header::ORIGIN.as_str()).is_some_and(|it| it.eq_ignore_ascii_case(base_url))
}

/// Whether a form was on a page of the gate, or comes from a program, which sends neither header.
pub(super) fn is_program_or_own(headers: &HeaderMap, base_url: &str) -> bool {
    let foreign = headers
        .get(FETCH_SITE)
        .is_some_and(|site| site != "same-origin" && site != "none");
    let has_origin = headers.contains_key(header::ORIGIN);
    !foreign && (!has_origin || is_own(headers, base_url))
}
