//! Sign-in with Microsoft Entra ID: which decisions need it, and who the platform says has signed in.
//!
//! The platform (App Service authentication, "Easy Auth") signs people in before a request reaches the
//! gate and writes whom it knows into the header `X-MS-CLIENT-PRINCIPAL`. Where it is off, anybody can
//! send that header: [`SignIn`] is made only where both the settings and the platform say that it is on.
//! See <https://learn.microsoft.com/azure/app-service/configure-authentication-user-identities>.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::Deserialize;
use uuid::Uuid;

use crate::reveal::Warnings;

/// Sign-in is on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignIn {
    /// The directory whose members count.
    pub tenant: Uuid,
    /// Which decisions need it; all others can be made by link too.
    pub needed: SignInPolicy,
}

/// Which decisions need sign-in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SignInPolicy {
    /// All.
    Always,
    /// Those about actions that are described like this, in lower case; `*` stands for anything.
    For(Vec<String>),
}

/// A member of the directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// What Entra knows them by, for ever.
    pub object_id: Uuid,
    /// What they sign in with, which mostly is their mail address.
    pub name: String,
}

/// Why nobody counts as signed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotSignedIn {
    /// Nobody has.
    Nobody,
    /// Somebody of another directory, or a guest in this one.
    Outsider,
    /// A program, or a person's token in a program's hands.
    Program,
    /// The platform says something that makes no sense.
    Unclear,
}

impl NotSignedIn {
    /// For the log.
    pub fn word(self) -> &'static str {
        match self {
            Self::Nobody => "nobody has signed in",
            Self::Outsider => "no member of the directory",
            Self::Program => "a program",
            Self::Unclear => "the platform's principal makes no sense",
        }
    }
}

#[derive(Deserialize)]
struct Principal {
    auth_typ: String,
    claims: Vec<Claim>,
}

#[derive(Deserialize)]
struct Claim {
    typ: String,
    val: String,
}

/// Claims go by their own names, or by those that the platform maps them to.
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
/// Within a directory its administrators alone choose these two. `email` anybody can choose.
const USERNAME: &[&str] = &["preferred_username"];
const UPN: &[&str] = &[
    "upn",
    "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/upn",
];

impl SignIn {
    /// Whether a decision about this action needs it. Words that are not what they seem do not get
    /// around the operator's patterns: they need it whatever they read like.
    pub fn is_needed_for(&self, action: &str) -> bool {
        let SignInPolicy::For(patterns) = &self.needed else {
            return true;
        };
        let mut warnings = Warnings::default();
        warnings.scan(action);
        // A dash, a mark below a letter: what looks like something that is on a keyboard.
        let unusual = |c: char| !c.is_ascii() && !c.is_alphanumeric() && !c.is_whitespace();
        let action_words = normalize(action);
        let mut patterns = patterns.iter();
        !warnings.is_empty()
            || action.contains(unusual)
            || patterns.any(|pattern| glob_matches(pattern, &action_words))
    }

    /// Whom the platform's header names, if that is a member of the directory who has signed in
    /// with a browser.
    ///
    /// # Errors
    /// When it is anybody or anything else.
    pub fn member(&self, header: &str) -> Result<Member, NotSignedIn> {
        let json = BASE64.decode(header).map_err(|_| NotSignedIn::Unclear)?;
        let principal: Principal =
            serde_json::from_slice(&json).map_err(|_| NotSignedIn::Unclear)?;
        if principal.auth_typ != "aad" {
            return Err(NotSignedIn::Outsider);
        }
        let id = |names| -> Result<Option<Uuid>, NotSignedIn> {
            let text = principal.one(names)?;
            let id = text.map(Uuid::parse_str).transpose();
            id.map_err(|_| NotSignedIn::Unclear)
        };
        if id(TENANT)? != Some(self.tenant) {
            return Err(NotSignedIn::Outsider);
        }
        let object_id = id(OBJECT)?.ok_or(NotSignedIn::Unclear)?;
        let (username, upn) = (principal.one(USERNAME)?, principal.one(UPN)?);
        // A browser's session comes of an ID token, which has no scope. An access token has, unless
        // it is a program's own: then its subject is the program itself, which has no name.
        let is_itself = |subject: &str| Uuid::parse_str(subject) == Ok(object_id);
        let is_program = principal.any(SCOPE, |_| true)
            || principal.any(&["idtyp"], |kind| kind == "app")
            || principal.any(SUBJECT, is_itself);
        let name = match (is_program, username.or(upn)) {
            (false, Some(name)) => name.to_owned(),
            _ => return Err(NotSignedIn::Program),
        };
        let tenant = self.tenant.to_string();
        let is_guest = principal.any(&["acct"], |kind| kind != "0")
            || principal.any(PROVIDER, |provider| !provider.contains(&tenant))
            || principal.any(USERNAME, is_of_guest)
            || principal.any(UPN, is_of_guest);
        match is_guest {
            true => Err(NotSignedIn::Outsider),
            false => Ok(Member { object_id, name }),
        }
    }
}

impl Principal {
    /// The values of a claim, by whichever of its names.
    fn all(&self, names: &[&str]) -> impl Iterator<Item = &str> {
        let named = self
            .claims
            .iter()
            .filter(move |claim| names.contains(&claim.typ.as_str()));
        named.map(|claim| claim.val.as_str())
    }

    fn any(&self, names: &[&str], is_meant: impl Fn(&str) -> bool) -> bool {
        self.all(names).any(is_meant)
    }

    /// The one value of a claim; two that differ make no sense.
    fn one(&self, names: &[&str]) -> Result<Option<&str>, NotSignedIn> {
        let mut values = self.all(names);
        let first = values.next();
        match values.all(|other| Some(other) == first) {
            true => Ok(first),
            false => Err(NotSignedIn::Unclear),
        }
    }
}

/// As guests are named in the directory that invited them.
fn is_of_guest(name: &str) -> bool {
    name.to_ascii_uppercase().contains("#EXT#")
}

/// What counts of a description: not its capitals, nor how it is spaced.
pub fn normalize(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    words.join(" ").to_lowercase()
}

/// Whether a text reads like a pattern, in which `*` stands for anything.
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
    fn an_asterisk_stands_for_anything() {
        for (pattern, text, like) in [
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
            assert_eq!(glob_matches(pattern, text), like, "{pattern} {text}");
        }
    }

    #[test]
    fn patterns_cannot_be_got_around_by_how_the_words_are_written() {
        let sign_in = SignIn {
            tenant: Uuid::nil(),
            needed: SignInPolicy::For(vec![normalize("Delete  *")]),
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
            assert!(sign_in.is_needed_for(action), "{action}");
        }
        assert!(!sign_in.is_needed_for("Read User"));
    }
}
