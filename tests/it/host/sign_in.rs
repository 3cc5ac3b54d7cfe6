//! App Service authentication ("Easy Auth") before the host.

use std::sync::{Arc, Mutex};

use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::Value;

/// A stand-in for App Service authentication, which signs in the account that the test has chosen.
/// A session contains the whole principal, and so does a bearer token.
#[derive(Clone, Default)]
pub(crate) struct SignIn {
    /// The account that the next sign-in gets.
    pub(crate) account: Arc<Mutex<Value>>,
}

/// The cookie of a session.
const SESSION: &str = "AppServiceAuthSession=";

/// The header with the principal.
pub(crate) const PRINCIPAL: &str = "x-ms-client-principal";

impl SignIn {
    /// The `Cookie` header of a signed-in session.
    pub(crate) fn session(principal: &Value) -> String {
        format!("{SESSION}{}", BASE64.encode(principal.to_string()))
    }

    /// The platform's own response, for sign-in and sign-out.
    pub(super) fn answer(&self, uri: &Uri) -> Option<Response> {
        let query = uri.query().unwrap_or_default();
        let to = form_urlencoded::parse(query.as_bytes())
            .find(|(name, _)| name.ends_with("_redirect_uri"))
            .map(|(_, to)| to.into_owned())
            .unwrap_or_default();
        let session = match uri.path() {
            "/.auth/login/aad" => Self::session(&self.account.lock().unwrap()),
            "/.auth/logout" => format!("{SESSION}; Max-Age=0"),
            _ => return None,
        };
        let session = format!("{session}; Path=/; HttpOnly");
        let headers = [(header::LOCATION, to), (header::SET_COOKIE, session)];
        Some((StatusCode::FOUND, headers).into_response())
    }

    /// Removes the principal headers that a client sent and sets the verified one.
    pub(super) fn identify(&self, headers: &mut HeaderMap) {
        let said: Vec<_> = headers.keys().cloned().collect();
        for name in said {
            if name.as_str().starts_with(PRINCIPAL) {
                headers.remove(name);
            }
        }
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
        let session = text(header::COOKIE).and_then(|cookie| {
            let (_, session) = cookie.split_once(SESSION)?;
            session.split(';').next()
        });
        let token = text(header::AUTHORIZATION).and_then(|value| value.strip_prefix("Bearer "));
        if let Some(principal) = token.or(session).filter(|session| !session.is_empty()) {
            let principal = HeaderValue::from_str(principal).unwrap();
            headers.insert(HeaderName::from_static(PRINCIPAL), principal);
        }
    }
}
