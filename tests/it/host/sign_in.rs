//! App Service authentication ("Easy Auth") before the host.

use std::sync::{Arc, Mutex};

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::Value;

use super::wire::Head;

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

    /// The headers of the platform's own redirect, for sign-in and sign-out.
    pub(super) fn answer(&self, path: &str, query: &str) -> Option<Vec<(String, String)>> {
        let to = form_urlencoded::parse(query.trim_start_matches('?').as_bytes())
            .find(|(name, _)| name.ends_with("_redirect_uri"))
            .map(|(_, to)| to.into_owned())
            .unwrap_or_default();
        let session = match path {
            "/.auth/login/aad" => Self::session(&self.account.lock().unwrap()),
            "/.auth/logout" => format!("{SESSION}; Max-Age=0"),
            _ => return None,
        };
        let session = format!("{session}; Path=/; HttpOnly");
        Some(vec![
            ("Location".to_owned(), to),
            ("Set-Cookie".to_owned(), session),
        ])
    }

    /// Removes the principal headers that a client sent and sets the verified one.
    pub(super) fn identify(&self, head: &mut Head) {
        head.headers
            .retain(|(name, _)| !name.to_ascii_lowercase().starts_with(PRINCIPAL));
        let session = head.first("cookie").and_then(|cookie| {
            let (_, session) = cookie.split_once(SESSION)?;
            session.split(';').next()
        });
        let authorization = head.first("authorization");
        let token = authorization.and_then(|value| value.strip_prefix("Bearer "));
        let principal = token.or(session).filter(|session| !session.is_empty());
        if let Some(principal) = principal.map(str::to_owned) {
            head.push(PRINCIPAL, principal);
        }
    }
}
