//! Parses the forms of the decision page.

use crate::app::{CodeForm, DecisionForm};
use crate::domain::Verdict;
use crate::http::error::Error;
use crate::http::extract::parameter;

/// The maximum length of a comment, in characters.
const COMMENT_CHARS: usize = 2_000;

/// A form as posted.
pub(super) struct Form {
    /// The link token in it.
    pub(super) link: String,
    pub(super) action: Action,
}

/// What a form does.
pub(super) enum Action {
    Decide(DecisionForm),
    Revoke(CodeForm),
    Reveal(CodeForm),
}

pub(super) fn parse(body: &[u8]) -> Result<Form, Error> {
    let body = std::str::from_utf8(body)
        .map_err(|_| Error::BadRequest("The form is not UTF-8.".to_owned()))?;
    let required = |name: &str| {
        parameter(body, name).ok_or_else(|| Error::BadRequest(format!("The form has no {name}.")))
    };
    let decision = required("decision")?;
    let comment = clean_comment(&parameter(body, "comment").unwrap_or_default());
    if comment.chars().count() > COMMENT_CHARS {
        let limit = format!("A comment may have at most {COMMENT_CHARS} characters.");
        return Err(Error::BadRequest(limit));
    }
    let csrf_token = required("form")?;
    let code = parameter(body, "code").unwrap_or_default();
    let code = code.trim().to_owned();
    let decide = |verdict, csrf_token, code| {
        Action::Decide(DecisionForm {
            csrf_token,
            code,
            verdict,
            comment: Some(comment).filter(|comment| !comment.is_empty()),
        })
    };
    let action = match decision.as_str() {
        "approve" => decide(Verdict::Approve, csrf_token, code),
        "reject" => decide(Verdict::Reject, csrf_token, code),
        "revoke" => Action::Revoke(CodeForm { csrf_token, code }),
        "reveal" => Action::Reveal(CodeForm { csrf_token, code }),
        _ => {
            return Err(Error::BadRequest(
                "The decision must be approve, reject, revoke or reveal.".to_owned(),
            ));
        }
    };
    let link = parameter(body, "k").unwrap_or_default();
    Ok(Form { link, action })
}

/// Removes control characters: they are invisible to people.
fn clean_comment(typed: &str) -> String {
    typed
        .replace("\r\n", "\n")
        .trim()
        .chars()
        .filter(|c| !c.is_control() || matches!(c, '\n' | '\t'))
        .collect()
}
