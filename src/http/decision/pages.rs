//! The pages of a decision: the request with its form, the result, and errors.

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::app::{App, Caller, Identified};
use crate::azure::NotSignedIn;
use crate::domain::{Approval, Approver, Assurance, DecisionResult, MAX_WRONG_CODES, Status};
use crate::http::error::Error;
use crate::http::extract::Id;
use crate::http::page::{page, page_style};
use crate::keys::FormPurpose;
use crate::render::{self, DecisionPage, Identification};
use crate::reveal;
use crate::values::Timestamp;

fn status_code(result: DecisionResult) -> StatusCode {
    match result {
        DecisionResult::Recorded | DecisionResult::Revoked | DecisionResult::Revealed => {
            StatusCode::OK
        }
        DecisionResult::AlreadyClosed
        | DecisionResult::AlreadyUsed
        | DecisionResult::InvalidForm => StatusCode::CONFLICT,
        DecisionResult::Late => StatusCode::GONE,
        DecisionResult::Locked | DecisionResult::CodeMissing | DecisionResult::CodeWrong { .. } => {
            StatusCode::FORBIDDEN
        }
    }
}

fn message(result: DecisionResult) -> Option<String> {
    let message = match result {
        DecisionResult::Recorded | DecisionResult::Revoked | DecisionResult::Revealed => {
            return None;
        }
        DecisionResult::AlreadyClosed => {
            "The request had ended before your answer, which changed nothing."
        }
        DecisionResult::AlreadyUsed => {
            "This approval can no longer be revoked: the agent has taken it, or its time is over."
        }
        DecisionResult::Late => "Your answer came too late and changed nothing.",
        DecisionResult::InvalidForm => {
            "The page you answered on was out of date. Please look at it again."
        }
        DecisionResult::Locked => {
            "Nothing was recorded: this form is locked after five wrong codes."
        }
        DecisionResult::CodeMissing => {
            "Nothing was recorded: type the code from the mail, six digits."
        }
        DecisionResult::CodeWrong { left: 0 } => {
            "That code is not right. After five wrong codes this form is now locked for codes."
        }
        DecisionResult::CodeWrong { left: 1 } => {
            "That code is not right. 1 try is left; nothing was recorded."
        }
        DecisionResult::CodeWrong { left } => {
            return Some(format!(
                "That code is not right. {left} tries are left; nothing was recorded."
            ));
        }
    };
    Some(message.to_owned())
}

fn is_locked(approver: &Approver, purpose: FormPurpose) -> bool {
    let wrong_codes = match purpose {
        FormPurpose::Decision => approver.wrong_codes,
        FormPurpose::Revocation => approver.wrong_revocation_codes,
        FormPurpose::Reveal => approver.wrong_reveal_codes,
    };
    wrong_codes >= MAX_WRONG_CODES
}

/// The page of the request, with earlier rejections of the same, and with the result and the comment of the
/// last form.
pub(super) async fn show(
    app: &App,
    approval: &Approval,
    Identified {
        approver,
        assurance,
    }: Identified,
    result: Option<(FormPurpose, DecisionResult)>,
    comment: Option<String>,
) -> Response {
    let now = app.now();
    let pending = approval.status(now) == Status::Pending;
    let (sent, result) = result.unzip();
    let message = result.and_then(message);
    let (paused, earlier) = tokio::join!(
        app.paused_since(approval, now),
        app.earlier_rejections(approval)
    );
    let is_signed_in = matches!(assurance, Assurance::Entra(_));
    let withheld =
        app.withholds_values() && !is_signed_in && result != Some(DecisionResult::Revealed);
    let style = page_style(app);
    let mut decision_page = DecisionPage::new(approval, &earlier, approver, withheld, now, style);
    decision_page.paused = paused.map(Timestamp::in_words);
    let keys = &app.link_keys;
    let link = keys.link_token(approval, approver);
    let form = |purpose, comment: Option<String>| {
        let tokens = link
            .clone()
            .zip(keys.csrf_token(approval, approver, purpose));
        tokens.map(|(link, token)| render::Form {
            action: format!("/api/decision/{}", approval.request.id),
            token,
            comment: comment.unwrap_or_default(),
            identification: match assurance {
                Assurance::Entra(_) => Identification::SignedIn,
                Assurance::Link | Assurance::LinkOnly => Identification::Link {
                    link,
                    locked: is_locked(&approval.approvers[approver], purpose),
                },
            },
            problem: message.clone().filter(|_| sent == Some(purpose)),
        })
    };
    if pending {
        decision_page.form = form(FormPurpose::Decision, comment);
    } else if approval.is_revocable_by(approver, now) {
        decision_page.revocation = form(FormPurpose::Revocation, None);
    }
    if decision_page.hidden > 0 {
        decision_page.reveal = form(FormPurpose::Reveal, None);
    }
    // Show the error next to the form, if there is one.
    let shown = match sent {
        Some(FormPurpose::Decision) => &decision_page.form,
        Some(FormPurpose::Revocation) => &decision_page.revocation,
        Some(FormPurpose::Reveal) => &decision_page.reveal,
        None => &None,
    };
    let has_form = shown.is_some();
    decision_page.notice = message.filter(|_| !has_form);
    let code = match (result, approval.status(now)) {
        (None, Status::Timeout) => StatusCode::GONE,
        (None, _) => StatusCode::OK,
        (Some(result), _) => status_code(result),
    };
    page(code, "", decision_page.render_html())
}

/// The page of an error, with the next step for the person.
pub(super) fn show_error(app: &App, caller: &Caller, id: Option<Id>, error: Error) -> Response {
    let (shown, logged) = match error {
        Error::NotFound | Error::Conflict(_) => (caller.not_found().into(), None),
        Error::Hidden(_) => (caller.not_found().into(), Some(error)),
        error => (error, None),
    };
    let (heading, text, sign_in) = explain(&shown, caller);
    // A link, not a redirect, which would also send every link scanner there.
    let link = sign_in.zip(id).map(|((label, path), Id(id))| {
        let href = format!("/.auth/{path}=/api/decision/{id}");
        (label, href)
    });
    let signed_in = match &caller.member {
        Some(Ok(member)) => format!(" You are signed in as {}.", reveal::line(&member.name, 254)),
        _ => String::new(),
    };
    let text = format!("{text}{signed_in}");
    let status = shown.status();
    let text = render::render_message(heading, &text, link, page_style(app));
    let mut response = page(status, "", text);
    if status == StatusCode::SERVICE_UNAVAILABLE {
        response
            .headers_mut()
            .insert(header::RETRY_AFTER, 60.into());
    }
    // For the log.
    response.extensions_mut().insert(logged.unwrap_or(shown));
    response
}

/// A link to the platform's sign-in: its label, and its path under `/.auth/`.
type SignInLink = (&'static str, &'static str);

const SIGN_IN: SignInLink = ("Sign in", "login/aad?post_login_redirect_uri");

const ANOTHER_ACCOUNT: SignInLink = (
    "Sign in with another account",
    "logout?post_logout_redirect_uri",
);

/// The heading and text of an error page, and its link to the sign-in.
fn explain(error: &Error, caller: &Caller) -> (&'static str, &'static str, Option<SignInLink>) {
    match error {
        Error::SignIn(NotSignedIn::Anonymous) => (
            "Please sign in",
            "Whoever decides here is known by signing in. You will come back to this page; \
             nothing is recorded before.",
            Some(SIGN_IN),
        ),
        Error::SignIn(why) => {
            let text = match why {
                NotSignedIn::Outsider => {
                    "You are signed in as a guest, or with an account of another organization. \
                     Only members of this one can decide."
                }
                NotSignedIn::Program => {
                    "This was sent by a program. Only people decide, signed in with a browser."
                }
                NotSignedIn::Anonymous | NotSignedIn::Invalid => {
                    "It is not clear who has signed in. Please tell whoever operates this gate."
                }
            };
            ("Nobody can decide like this", text, Some(ANOTHER_ACCOUNT))
        }
        Error::NotFound if caller.member.is_some() => (
            "This link does not open anything for you",
            "Open the link from your own mail as a whole, and be signed in with the account \
             that was asked.",
            Some(ANOTHER_ACCOUNT),
        ),
        Error::NotFound => (
            "This link does not open anything",
            "It may be incomplete or out of date. Open it from the mail once more, as a whole.",
            None,
        ),
        Error::Integrity(_) => (
            "This request cannot be trusted",
            "What is stored contradicts its own proof, so nobody can decide about it. Nothing runs. \
             Please tell whoever operates this gate.",
            None,
        ),
        Error::Unavailable(_) => (
            "Please try again in a minute",
            "The gate cannot reach its store just now. Your link stays valid: open it again to see \
             whether your answer was recorded.",
            None,
        ),
        Error::Forbidden(_) => (
            "Nothing was recorded",
            "The answer did not come from the page in your mail. Open the link in the mail and \
             decide there.",
            None,
        ),
        _ => (
            "Nothing was recorded",
            "The answer was not complete. Open the link in the mail again.",
            None,
        ),
    }
}

/// Redirects to the page after a decision, so that reloading it does not submit the form again.
pub(super) fn redirect(approval: &Approval, link: &str) -> Response {
    let mut location = format!("/api/decision/{}", approval.request.id);
    if !link.is_empty() {
        let mut query = form_urlencoded::Serializer::new(String::new());
        let query = query.append_pair("k", link).finish();
        location = format!("{location}?{query}");
    }
    (StatusCode::SEE_OTHER, [(header::LOCATION, location)]).into_response()
}
