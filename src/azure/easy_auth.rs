//! Sign-in with Microsoft Entra ID: which decisions require it, and which member has signed in.
//!
//! The platform (App Service authentication, "Easy Auth") signs people in before a request reaches the
//! gate, and passes their claims in the header `X-MS-CLIENT-PRINCIPAL`. Where that is off, any client can
//! send the header, so a [`SignIn`] exists only if both the settings and the platform turn it on.
//! See <https://learn.microsoft.com/azure/app-service/configure-authentication-user-identities>.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::Deserialize;
use uuid::Uuid;

use crate::reveal::is_confusable;

/// The settings of sign-in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignIn {
    /// The directory whose members may decide.
    pub tenant: Uuid,
    /// The decisions that require sign-in; others can also be made by link.
    pub policy: SignInPolicy,
}

/// The decisions that require sign-in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SignInPolicy {
    Always,
    /// Decisions about actions whose description matches one of these patterns. They are in lower case; `*`
    /// stands for any text.
    For(Vec<String>),
}

/// A member of the directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Their immutable id in Entra.
    pub object_id: Uuid,
    /// The name they sign in with, usually their email address.
    pub name: String,
}

/// Why no member counts as signed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotSignedIn {
    /// There is no session.
    Anonymous,
    /// A member of another directory, or a guest in this one.
    Outsider,
    /// A program, with its own token or a person's.
    Program,
    /// The platform's header is invalid.
    Invalid,
}

impl NotSignedIn {
    /// The text for the log.
    pub fn word(self) -> &'static str {
        match self {
            Self::Anonymous => "no session",
            Self::Outsider => "not a member of the directory",
            Self::Program => "a program",
            Self::Invalid => "the platform's principal is invalid",
        }
    }
}

/// The content of the header.
#[derive(Deserialize)]
struct ClientPrincipal {
    auth_typ: String,
    claims: Vec<Claim>,
}

#[derive(Deserialize)]
struct Claim {
    typ: String,
    val: String,
}

/// The platform passes claims under their own names or under those that it maps them to.
const TENANT: &[&str] = &[
    "tid",
    "http://schemas.microsoft.com/identity/claims/tenantid",
];
const OBJECT: &[&str] = &[
    "oid",
    "http://schemas.microsoft.com/identity/claims/objectidentifier",
];
const SUBJECT: &[&str] = &[
    "sub",
    "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/nameidentifier",
];
const SCOPE: &[&str] = &["scp", "http://schemas.microsoft.com/identity/claims/scope"];
const PROVIDER: &[&str] = &[
    "idp",
    "http://schemas.microsoft.com/identity/claims/identityprovider",
];
/// Only the administrators of a directory can set these two; users can set `email` themselves.
const USERNAME: &[&str] = &["preferred_username"];
const UPN: &[&str] = &[
    "upn",
    "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/upn",
];

impl SignIn {
    /// Whether a decision about this action requires sign-in. A description with hidden or confusable
    /// characters always does, so that it cannot evade the operator's patterns.
    pub fn is_required_for(&self, action: &str) -> bool {
        let SignInPolicy::For(patterns) = &self.policy else {
            return true;
        };
        // Such as a typographic dash or a combining mark, which resemble characters of a keyboard.
        let unusual = |c: char| !c.is_ascii() && !c.is_alphanumeric() && !c.is_whitespace();
        let action_words = normalize(action);
        let mut patterns = patterns.iter();
        is_confusable(action)
            || action.contains(unusual)
            || patterns.any(|pattern| glob_matches(pattern, &action_words))
    }

    /// The member of the directory whom the platform's header names, signed in with a browser.
    ///
    /// # Errors
    /// When the header names another person or a program, or is invalid.
    pub fn parse_member(&self, header: &str) -> Result<Member, NotSignedIn> {
        let json = BASE64.decode(header).map_err(|_| NotSignedIn::Invalid)?;
        let principal: ClientPrincipal =
            serde_json::from_slice(&json).map_err(|_| NotSignedIn::Invalid)?;
        if principal.auth_typ != "aad" {
            return Err(NotSignedIn::Outsider);
        }
        let id = |names| -> Result<Option<Uuid>, NotSignedIn> {
            let text = principal.one(names)?;
            let id = text.map(Uuid::parse_str).transpose();
            id.map_err(|_| NotSignedIn::Invalid)
        };
        if id(TENANT)? != Some(self.tenant) {
            return Err(NotSignedIn::Outsider);
        }
        let object_id = id(OBJECT)?.ok_or(NotSignedIn::Invalid)?;
        let (username, upn) = (principal.one(USERNAME)?, principal.one(UPN)?);
        // A browser's session comes from an ID token, which has no scope. An access token has a scope,
        // unless it is a program's own: then its subject is the program, which has no name.
        let is_object_id = |subject: &str| Uuid::parse_str(subject) == Ok(object_id);
        let is_program = principal.any(SCOPE, |_| true)
            || principal.any(&["idtyp"], |kind| kind == "app")
            || principal.any(SUBJECT, is_object_id);
        let name = match (is_program, username.or(upn)) {
            (false, Some(name)) => name.to_owned(),
            _ => return Err(NotSignedIn::Program),
        };
        let tenant = self.tenant.to_string();
        let is_guest = principal.any(&["acct"], |kind| kind != "0")
            || principal.any(PROVIDER, |provider| !provider.contains(&tenant))
            || principal.any(USERNAME, is_guest_name)
            || principal.any(UPN, is_guest_name);
        if is_guest {
            Err(NotSignedIn::Outsider)
        } else {
            Ok(Member { object_id, name })
        }
    }
}

impl ClientPrincipal {
    /// The values of a claim under any of its names.
    fn all(&self, names: &[&str]) -> impl Iterator<Item = &str> {
        let named = self
            .claims
            .iter()
            .filter(move |claim| names.contains(&claim.typ.as_str()));
        named.map(|claim| claim.val.as_str())
    }

    fn any(&self, names: &[&str], predicate: impl Fn(&str) -> bool) -> bool {
        self.all(names).any(predicate)
    }

    /// The single value of a claim; different values are invalid.
    fn one(&self, names: &[&str]) -> Result<Option<&str>, NotSignedIn> {
        let mut values = self.all(names);
        let first = values.next();
        if values.all(|other| Some(other) == first) {
            Ok(first)
        } else {
            Err(NotSignedIn::Invalid)
        }
    }
}

/// Whether a name has the form that a directory gives to its guests.
fn is_guest_name(name: &str) -> bool {
    name.to_ascii_uppercase().contains("#EXT#")
}

/// Removes differences in case and spacing from a description.
pub fn normalize(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    words.join(" ").to_lowercase()
}

/// Whether a text matches a pattern, in which `*` stands for any text.
fn glob_matches(pattern: &str, text: &str) -> bool {
    let Some((beginning, rest)) = pattern.split_once('*') else {
        return pattern == text;
    };
    let Some(mut text) = text.strip_prefix(beginning) else {
        return false;
    };
    let (between, end) = rest.rsplit_once('*').unwrap_or(("", rest));
    for part in between.split('*') {
        match text.split_once(part) {
            Some((_, after)) => text = after,
            None => return false,
        }
    }
    text.ends_with(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_asterisk_matches_any_text() {
        for (pattern, text, matches) in [
            ("delete user", "delete user", true),
            ("delete user", "delete users", false),
            ("delete*", "delete user", true),
            ("delete*", "delete", true),
            ("delete*", "undelete", false),
            ("*account", "delete account", true),
            ("*account", "delete accounts", false),
            ("*pay*", "prepayment", true),
            ("*", "", true),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-c-b", false),
            ("a*a", "a", false),
            ("**", "x", true),
        ] {
            assert_eq!(glob_matches(pattern, text), matches, "{pattern} {text}");
        }
    }

    #[test]
    fn spelling_does_not_evade_the_patterns() {
        let sign_in = SignIn {
            tenant: Uuid::nil(),
            policy: SignInPolicy::For(vec![normalize("Delete  *")]),
        };
        for action in [
            "Delete User",
            "DELETE  user",
            "delete\u{a0}user",
            "D\u{435}lete user",
            "Delete\u{200b} user",
            "Dele\u{332}te user",
            "Re\u{2010}deploy",
        ] {
            assert!(sign_in.is_required_for(action), "{action}");
        }
        assert!(!sign_in.is_required_for("Read User"));
    }
}
