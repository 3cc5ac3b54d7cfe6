//! Microsoft Entra ID: which decisions require sign-in, which member has signed in, and which agent calls.
//!
//! The platform (App Service authentication, "Easy Auth") signs people in and verifies access tokens of programs
//! before a request reaches the gate, and passes the claims in the header `X-MS-CLIENT-PRINCIPAL`. Where that is
//! off, any client can send the header, so a [`SignIn`], or a directory of agents, exists only if both the
//! settings and the platform turn it on.
//! See <https://learn.microsoft.com/azure/app-service/configure-authentication-user-identities>.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::Deserialize;
use uuid::Uuid;

use super::member::Member;
use crate::reveal::{Look, is_confusable, plain_digit};
use crate::values::{AuthContext, Timestamp, glob_matches};

/// The settings of sign-in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignIn {
    /// The directory whose members may decide.
    pub tenant: Uuid,
    /// The decisions that require sign-in; others can also be made by link.
    pub policy: SignInPolicy,
    /// How long ago the person may have authenticated who decides; `None`: that does not matter.
    pub max_age: Option<Duration>,
    /// The authentication context that counts as a fresh sign-in.
    pub auth_context: Option<AuthContext>,
}

/// The decisions that require sign-in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SignInPolicy {
    Always,
    /// Decisions about actions whose description matches one of these patterns. They are in lower case and without
    /// spaces; `*` stands for any text.
    For(Vec<String>),
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

/// Why no agent counts as identified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotAnAgent {
    /// No access token was verified.
    Anonymous,
    /// A program of another directory.
    Outsider,
    /// A person, or a program with a person's token.
    Person,
    /// The program lacks the role.
    NoRole,
    /// The platform's header is invalid.
    Invalid,
}

impl NotAnAgent {
    /// The text for the caller and the log.
    pub fn text(self) -> &'static str {
        match self {
            Self::Anonymous => {
                "This route takes an access token of a program, and none that the platform accepts has arrived."
            }
            Self::Outsider => "The access token is of another directory than HO_ENTRA_TENANT.",
            Self::Person => {
                "The access token does not say that a program has it for itself (idtyp app). A person's token \
                 cannot ask."
            }
            Self::NoRole => "The access token lacks the app role Agent.Ask.",
            Self::Invalid => "The platform's principal is invalid.",
        }
    }
}

/// The app role of programs that may ask, of the gate's app registration.
const AGENT_ROLE: &str = "Agent.Ask";

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
/// `app` in a token that a program has for itself, `user` in others; an optional claim of the app registration.
const TOKEN_KIND: &[&str] = &["idtyp"];
const SUBJECT: &[&str] = &[
    "sub",
    "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/nameidentifier",
];
const ROLES: &[&str] = &[
    "roles",
    "http://schemas.microsoft.com/ws/2008/06/identity/claims/role",
];
const SCOPE: &[&str] = &["scp", "http://schemas.microsoft.com/identity/claims/scope"];
const PROVIDER: &[&str] = &[
    "idp",
    "http://schemas.microsoft.com/identity/claims/identityprovider",
];
/// Seconds since 1970; an optional claim of the app registration.
const AUTH_TIME: &[&str] = &[
    "auth_time",
    "http://schemas.microsoft.com/ws/2008/06/identity/claims/authenticationinstant",
];
const GROUPS: &[&str] = &["groups"];
/// In the place of `groups` where a person has more than a token holds.
const MORE_GROUPS: &[&str] = &["_claim_names", "hasgroups"];
const AUTH_CONTEXTS: &[&str] = &["acrs"];
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
        let shown = normalize(action);
        let look = Look::new(&shown);
        let covers = |pattern: &String| {
            glob_matches(pattern, &shown) || Look::new(pattern).compare(&look, glob_matches)
        };
        is_confusable(action) || action.contains(unusual) || patterns.iter().any(covers)
    }

    /// The member of the directory whom the platform's header names, signed in with a browser.
    ///
    /// # Errors
    /// When the header names another person or a program, or is invalid.
    pub fn parse_member(&self, header: &str) -> Result<Member, NotSignedIn> {
        let principal = ClientPrincipal::parse(header).ok_or(NotSignedIn::Invalid)?;
        if principal.auth_typ != "aad" {
            return Err(NotSignedIn::Outsider);
        }
        let id = |names| {
            principal
                .id(names)
                .map_err(|Ambiguous| NotSignedIn::Invalid)
        };
        if id(TENANT)? != Some(self.tenant) {
            return Err(NotSignedIn::Outsider);
        }
        let object_id = id(OBJECT)?.ok_or(NotSignedIn::Invalid)?;
        let one = |names| {
            principal
                .one(names)
                .map_err(|Ambiguous| NotSignedIn::Invalid)
        };
        let (username, upn) = (one(USERNAME)?, one(UPN)?);
        // A browser's session comes from an ID token, which has no scope. An access token has a scope,
        // unless it is a program's own: then its subject is the program, which has no name.
        let is_object_id = |subject: &str| Uuid::parse_str(subject) == Ok(object_id);
        let is_program = principal.any(SCOPE, |_| true)
            || principal.any(TOKEN_KIND, |kind| kind == "app")
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
            Ok(Member {
                object_id,
                name,
                auth_time: principal.auth_time(),
                auth_contexts: principal
                    .all(AUTH_CONTEXTS)
                    .filter_map(AuthContext::parse)
                    .collect(),
                groups: principal
                    .all(GROUPS)
                    .filter_map(|id| Uuid::parse_str(id).ok())
                    .collect(),
                has_more_groups: principal.any(MORE_GROUPS, |_| true),
                roles: principal.all(ROLES).map(str::to_owned).collect(),
            })
        }
    }
}

/// The object id of the program that the platform's header names, which has the role and the token for itself.
///
/// # Errors
/// When the header names anyone else, or is invalid.
pub fn parse_agent(tenant: Uuid, header: &str) -> Result<Uuid, NotAnAgent> {
    let principal = ClientPrincipal::parse(header).ok_or(NotAnAgent::Invalid)?;
    let id = |names| principal.id(names).map_err(|Ambiguous| NotAnAgent::Invalid);
    if principal.auth_typ != "aad" || id(TENANT)? != Some(tenant) {
        return Err(NotAnAgent::Outsider);
    }
    let kind = principal
        .one(TOKEN_KIND)
        .map_err(|Ambiguous| NotAnAgent::Invalid)?;
    // A program with a person's token has a scope.
    if kind != Some("app") || principal.any(SCOPE, |_| true) {
        return Err(NotAnAgent::Person);
    }
    let object_id = id(OBJECT)?.ok_or(NotAnAgent::Invalid)?;
    if principal.any(ROLES, |role| role == AGENT_ROLE) {
        Ok(object_id)
    } else {
        Err(NotAnAgent::NoRole)
    }
}

/// Whether the platform's header names a program that has the token for itself.
pub fn is_program(header: &str) -> bool {
    ClientPrincipal::parse(header).is_some_and(|it| it.any(TOKEN_KIND, |kind| kind == "app"))
}

/// Several values of a claim, or one of another form.
struct Ambiguous;

impl ClientPrincipal {
    fn parse(header: &str) -> Option<Self> {
        let json = BASE64.decode(header).ok()?;
        serde_json::from_slice(&json).ok()
    }

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
    fn one(&self, names: &[&str]) -> Result<Option<&str>, Ambiguous> {
        let mut values = self.all(names);
        let first = values.next();
        if values.all(|other| Some(other) == first) {
            Ok(first)
        } else {
            Err(Ambiguous)
        }
    }

    fn auth_time(&self) -> Option<Timestamp> {
        let seconds: i64 = self.one(AUTH_TIME).ok()??.parse().ok()?;
        Timestamp::from_unix_millis(seconds.checked_mul(1_000)?)
    }

    fn id(&self, names: &[&str]) -> Result<Option<Uuid>, Ambiguous> {
        let id = self.one(names)?.map(Uuid::parse_str).transpose();
        id.map_err(|_| Ambiguous)
    }
}

/// Whether a name has the form that a directory gives to its guests.
fn is_guest_name(name: &str) -> bool {
    name.to_ascii_uppercase().contains("#EXT#")
}

/// A description without spaces, in lower case, with digits of ASCII: what differs only in these reads the same.
pub fn normalize(text: &str) -> String {
    let shown = text.chars().filter(|c| !c.is_whitespace());
    let shown: String = shown.map(|c| plain_digit(c).unwrap_or(c)).collect();
    shown.to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spelling_does_not_evade_the_patterns() {
        let sign_in = SignIn {
            tenant: Uuid::nil(),
            policy: SignInPolicy::For(vec![
                normalize("Delete  *"),
                normalize("Overwrite *"),
                normalize("Release 20*"),
            ]),
            max_age: None,
            auth_context: None,
        };
        for action in [
            "Delete User",
            "DELETE  user",
            "delete\u{a0}user",
            "D\u{435}lete user",
            "Delete\u{200b} user",
            "Dele\u{332}te user",
            "Re\u{2010}deploy",
            "DeIete user",
            "De1ete user",
            "0vervvrite user",
            "D elete user",
            "Deleteuser",
            "delete",
            "Release \u{662}\u{660}",
        ] {
            assert!(sign_in.is_required_for(action), "{action}");
        }
        assert!(!sign_in.is_required_for("Read User"));
    }
}
