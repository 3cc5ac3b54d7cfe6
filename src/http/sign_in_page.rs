//! What a person reads who is not signed in as a member of the directory.

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use crate::azure::NotSignedIn;

/// What a page's address may not have within that of the sign-in.
const RESERVED: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'%')
    .add(b'?')
    .add(b'&')
    .add(b'=')
    .add(b'+')
    .add(b'#');

/// A link to the platform's sign-in.
#[derive(Clone, Copy)]
pub(super) struct SignInLink {
    label: &'static str,
    /// The path under `/.auth/`.
    path: &'static str,
}

impl SignInLink {
    /// The label, and the address that leads back to a page of the gate.
    pub(super) fn to(self, page: &str) -> (&'static str, String) {
        let page = utf8_percent_encode(page, RESERVED);
        (self.label, format!("/.auth/{}={page}", self.path))
    }
}

const SIGN_IN: SignInLink = SignInLink {
    label: "Sign in",
    path: "login/aad?post_login_redirect_uri",
};

/// Asks for the password, or what the directory wants in its place, also where there is a session.
pub(super) const SIGN_IN_AGAIN: SignInLink = SignInLink {
    label: "Sign in again",
    path: "login/aad?prompt=login&post_login_redirect_uri",
};

pub(super) const ANOTHER_ACCOUNT: SignInLink = SignInLink {
    label: "Sign in with another account",
    path: "logout?post_logout_redirect_uri",
};

/// The heading, the text and the link.
pub(super) fn explain_sign_in(why: NotSignedIn) -> (&'static str, &'static str, SignInLink) {
    let text = match why {
        NotSignedIn::Anonymous => {
            return (
                "Please sign in",
                "You decide here with your work account. After signing in you come back to this page. \
                 Nothing is recorded before that.",
                SIGN_IN,
            );
        }
        NotSignedIn::Outsider => {
            "You are signed in as a guest, or with an account of another organization. Only members of this one \
             can decide."
        }
        NotSignedIn::Program => {
            "A program sent this. Only people decide, signed in with a browser."
        }
        NotSignedIn::Invalid => {
            "The sign-in does not say who you are. Tell the operator of this gate."
        }
    };
    ("This account cannot decide", text, ANOTHER_ACCOUNT)
}
