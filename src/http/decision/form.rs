//! Parses the decision form.

use crate::app::DecisionForm;
use crate::domain::Verdict;
use crate::http::error::Error;
use crate::http::extract::parameter;

/// The maximum length of a comment, in characters.
const COMMENT_CHARS: usize = 2_000;

/// Parses the form, and the link token in it.
pub(super) fn parse(body: &[u8]) -> Result<(String, DecisionForm), Error> {
    let body = std::str::from_utf8(body)
        .map_err(|_| Error::BadRequest("The form is not UTF-8.".to_owned()))?;
    let required = |name: &str| {
        parameter(body, name).ok_or_else(|| Error::BadRequest(format!("The form has no {name}.")))
    };
    let verdict = match required("decision")?.as_str() {
        "approve" => Verdict::Approve,
        "reject" => Verdict::Reject,
        _ => {
            return Err(Error::BadRequest(
                "The decision must be approve or reject.".to_owned(),
            ));
        }
    };
    let comment = clean_comment(&parameter(body, "comment").unwrap_or_default());
    if comment.chars().count() > COMMENT_CHARS {
        let limit = format!("A comment may have at most {COMMENT_CHARS} characters.");
        return Err(Error::BadRequest(limit));
    }
    let link = parameter(body, "k").unwrap_or_default();
    let code = parameter(body, "code").unwrap_or_default();
    let form = DecisionForm {
        csrf_token: required("form")?,
        verdict,
        code: code.trim().to_owned(),
        comment: Some(comment).filter(|comment| !comment.is_empty()),
    };
    Ok((link, form))
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
