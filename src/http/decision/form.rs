//! Parses the forms of the decision page.

use unicode_normalization::UnicodeNormalization;

use crate::app::{CodeForm, DecisionForm};
use crate::domain::Verdict;
use crate::http::error::Error;
use crate::http::extract::parameter;

/// The maximum length of a comment, in characters.
const COMMENT_CHARS: usize = 2_000;

const CODE_DIGITS: usize = 6;

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
    let code = six_digits(&parameter(body, "code").unwrap_or_default());
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

/// The digits of a code, however a keyboard writes them and whatever was copied with them. Empty if they are not six:
/// that is no guess.
fn six_digits(typed: &str) -> String {
    let digit = |c: char| match c {
        '0'..='9' => Some(c),
        // Arabic-Indic digits.
        '\u{660}'..='\u{669}' => char::from_digit(u32::from(c) - 0x660, 10),
        '\u{6f0}'..='\u{6f9}' => char::from_digit(u32::from(c) - 0x6f0, 10),
        _ => None,
    };
    let digits: String = typed.nfkc().filter_map(digit).collect();
    Some(digits)
        .filter(|it| it.len() == CODE_DIGITS)
        .unwrap_or_default()
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
