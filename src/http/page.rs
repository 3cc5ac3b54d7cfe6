//! HTML responses, with a content security policy that allows one style sheet and the form.

use std::sync::LazyLock;

use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use human_oversight_protocol::parameters::sha256;

use super::error::Error;
use crate::app::App;
use crate::mailer::TransportConfig;
use crate::render::{self, PageStyle};

/// The digest of the style sheet, the same for all pages.
static STYLE_DIGEST: LazyLock<String> =
    LazyLock::new(|| BASE64.encode(sha256(render::STYLE.trim_end().as_bytes())));

/// A page without scripts, images, external resources or framing; `more` extends the policy.
pub(super) fn page(status: StatusCode, more: &str, html: String) -> Response {
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{}'; form-action 'self'; base-uri 'none'; \
         {more}frame-ancestors 'none'",
        *STYLE_DIGEST
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

/// A page that says in a heading and a text what could not be opened or done, perhaps with a link. `error` is for the
/// log.
pub(super) fn error_page(
    app: &App,
    status: StatusCode,
    (heading, text, link): (&str, &str, Option<(&str, String)>),
    error: Error,
) -> Response {
    let html = render::render_message(heading, text, link, page_style(app));
    let mut response = page(status, "", html);
    if status == StatusCode::SERVICE_UNAVAILABLE {
        let headers = response.headers_mut();
        headers.insert(header::RETRY_AFTER, 60.into());
    }
    response.extensions_mut().insert(error);
    response
}

/// How the pages of this gate look.
pub(super) fn page_style(app: &App) -> PageStyle<'_> {
    PageStyle {
        brand: &app.config.brand,
        development: matches!(app.config.mail, TransportConfig::File(_)),
    }
}
