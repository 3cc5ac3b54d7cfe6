//! The pages of what could not be opened or done, with the next step for the person.

use axum::response::Response;

use super::link::Missing;
use super::pages::address;
use crate::app::{App, Caller};
use crate::http::error::Error;
use crate::http::extract::Id;
use crate::http::page::error_page;
use crate::http::sign_in_page::{ANOTHER_ACCOUNT, SignInLink, explain_sign_in};
use crate::reveal;

/// The page of a link that lacks a part. It does not depend on whether there is such a request.
pub(super) fn show_incomplete_link(app: &App, missing: Missing) -> Response {
    let lacks = match missing {
        Missing::Request => {
            "Its middle is missing or changed: what stands between “/decision/” and “?k=” names no request."
        }
        Missing::Token => "Its end is missing or changed: the 40 and more characters after “?k=”.",
        Missing::Both => "It breaks off, or is changed, after “/decision/”.",
    };
    let text = format!(
        "{lacks} Press the button in the email, or copy the whole link from it, also where it continues on the \
         next line. If an email program has changed both, ask the operator of this gate. Nothing was recorded."
    );
    let error = Error::NotFound("the link is incomplete or changed");
    error_page(app, error.status(), (NOT_VALID, &text, None), error)
}

/// The page of an error, with the next step for the person.
pub(super) fn show_error(app: &App, caller: &Caller, id: Option<Id>, error: Error) -> Response {
    let (shown, logged) = match error {
        Error::NotFound(_) | Error::Conflict(_) | Error::Hidden(_) => {
            let shown = caller.not_found().into();
            // A caller who should sign in learns that alone, and the log says so.
            let is_plain = matches!((&shown, &error), (Error::SignIn(_), it) if !matches!(it, Error::Hidden(_)));
            (shown, Some(error).filter(|_| !is_plain))
        }
        error => (error, None),
    };
    let (heading, text, sign_in) = explain(&shown, caller);
    // A link, not a redirect, which would also send every link scanner there.
    let link = sign_in.zip(id);
    let link = link.map(|(link, Id(id))| link.to(&address(&id, &caller.link, &[])));
    let signed_in = match &caller.member {
        Some(Ok(member)) => format!(" You are signed in as {}.", reveal::line(&member.name, 254)),
        _ => String::new(),
    };
    let text = match &shown {
        // It says which field of the form is at fault, and no more.
        Error::BadRequest(detail) => {
            format!(
                "{detail} Go back to the page, or open the link in your email again.{signed_in}"
            )
        }
        _ => format!("{text}{signed_in}"),
    };
    let status = shown.status();
    error_page(app, status, (heading, &text, link), logged.unwrap_or(shown))
}

const NOT_VALID: &str = "This link is not valid";

/// The heading and text of an error page, and its link to the sign-in.
fn explain(error: &Error, caller: &Caller) -> (&'static str, &'static str, Option<SignInLink>) {
    match error {
        Error::SignIn(why) => {
            let (heading, text, link) = explain_sign_in(*why);
            (heading, text, Some(link))
        }
        Error::NotFound(_) if caller.member.is_some() => (
            "This link is not valid for you",
            "Copy the whole link from your own email, and sign in with the account that received it.",
            Some(ANOTHER_ACCOUNT),
        ),
        Error::NotFound(_) => (
            NOT_VALID,
            "It may be changed, or out of date: a link works for 30 days after its request has ended. Press \
             the button in the email, or copy the whole link from it.",
            None,
        ),
        Error::Unlisted => (
            "You can no longer decide this",
            "This request names you as an approver, but you are no longer on this gate's list of approvers. \
             Ask its operator if that is a mistake. Nothing was recorded. While you are not on the list, an approval \
             that you gave cannot start anything.",
            None,
        ),
        Error::Integrity(_) => (
            "This request cannot be trusted",
            "What is stored does not match its signature, so no decision is possible. Nothing runs. \
             Tell the operator of this gate.",
            None,
        ),
        Error::Untrusted(_) => (
            "Nothing was recorded",
            "Records that the gate needs for this are damaged. Tell the operator of this gate: until they are repaired, \
             nothing can be recorded. Your link stays valid.",
            None,
        ),
        Error::Unavailable(_) => (
            "Please try again in a minute",
            "The gate cannot record anything at the moment. Your link stays valid: open it again to \
             see whether your decision was recorded.",
            None,
        ),
        Error::Forbidden(_) => (
            "Nothing was recorded",
            "The form did not come from this gate's page. Open the link in your email and decide there.",
            None,
        ),
        _ => (
            "Nothing was recorded",
            "The form was not complete. Open the link in your email again.",
            None,
        ),
    }
}
