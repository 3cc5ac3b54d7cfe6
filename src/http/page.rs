//! A page of ours as an answer, with the policy that lets it show its one style and do little else.

use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use human_oversight_protocol::parameters::sha256;

use crate::views;

/// No scripts, no images, nothing from anywhere, in nobody's frame; and what `more` allows.
pub(super) fn page(status: StatusCode, more: &str, html: String) -> Response {
    let style = BASE64.encode(sha256(views::STYLE.trim_end().as_bytes()));
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{style}'; form-action 'self'; base-uri 'none'; \
         {more}frame-ancestors 'none'"
    );
    let headers: [(HeaderName, HeaderValue); 2] = [
        (
            header::CONTENT_TYPE,
            HeaderValue::from_static("text/html; charset=utf-8"),
        ),
        (
            header::CONTENT_SECURITY_POLICY,
            HeaderValue::from_str(&policy).expect("plain ASCII"),
        ),
    ];
    (status, headers, html).into_response()
}
