//! Parses the forms of the decision page.

use std::collections::HashSet;
use std::time::Duration;

use unicode_normalization::UnicodeNormalization;

use super::hand_over::read_wish;
use super::words::FormFields;
use crate::app::{CodeForm, DecisionForm};
use crate::domain::{COMMENT_CHARS, GrantTerms, GrantWish, HandOverWish, Verdict};
use crate::http::error::Error;
use crate::keys::FormPurpose;

/// The maximum length of a reason from the list, in characters.
const PRESET_CHARS: usize = 100;

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
    RevokeGrant(CodeForm),
    HandOver(CodeForm, HandOverWish),
}

impl Action {
    /// The token of its form, and what that was made for.
    pub(super) fn token(&self) -> (&str, FormPurpose) {
        match self {
            Self::Decide(form) => (&form.csrf_token, FormPurpose::Decision),
            Self::Revoke(form) => (&form.csrf_token, FormPurpose::Revocation),
            Self::Reveal(form) => (&form.csrf_token, FormPurpose::Reveal),
            Self::RevokeGrant(form) => (&form.csrf_token, FormPurpose::Grant),
            Self::HandOver(form, _) => (&form.csrf_token, FormPurpose::HandOver),
        }
    }
}

pub(super) fn parse(body: &[u8]) -> Result<Form, Error> {
    let body = std::str::from_utf8(body)
        .map_err(|_| Error::BadRequest("The form is not UTF-8.".to_owned()))?;
    let fields = FormFields::parse(body);
    check_single_fields(&fields)?;
    let required = |name: &str| {
        let missing = || Error::BadRequest(format!("The form has no {name}."));
        fields.first(name).ok_or_else(missing)
    };
    let optional = |name: &str| fields.first(name).unwrap_or_default();
    let decision = required("decision")?;
    let [comment, words, question] = read_texts(&fields)?;
    let preset = optional("preset");
    if preset.chars().count() > PRESET_CHARS {
        let limit = format!("A reason may have at most {PRESET_CHARS} characters.");
        return Err(Error::BadRequest(limit));
    }
    let votes = read_votes(&fields)?;
    let csrf_token = required("form")?.to_owned();
    // A page of an earlier gate has none.
    let page_token = optional("page").to_owned();
    let code = six_digits(optional("code"));
    let grant = grant_wish(&fields);
    let wish = read_wish(&fields)?;
    let decide = |verdict, secrets: CodeForm| {
        Action::Decide(DecisionForm {
            grant: grant.filter(|_| verdict == Verdict::Approve),
            csrf_token: secrets.csrf_token,
            page_token: secrets.page_token,
            code: secrets.code,
            verdict,
            preset: Some(preset.to_owned()).filter(|preset| !preset.is_empty()),
            comment,
            words,
            question,
            votes,
        })
    };
    let secrets = CodeForm {
        csrf_token,
        page_token,
        code,
    };
    let action = match decision {
        "approve" => decide(Verdict::Approve, secrets),
        "reject" => decide(Verdict::Reject, secrets),
        "revoke" => Action::Revoke(secrets),
        "reveal" => Action::Reveal(secrets),
        "grant-revoke" => Action::RevokeGrant(secrets),
        "hand-over" => Action::HandOver(secrets, wish),
        _ => {
            return Err(Error::BadRequest(
                "The decision must be approve, reject, revoke, reveal, grant-revoke or hand-over."
                    .to_owned(),
            ));
        }
    };
    let link = optional("k").to_owned();
    Ok(Form { link, action })
}

/// A page sends each of these once. Of two decisions neither counts.
fn check_single_fields(fields: &FormFields<'_>) -> Result<(), Error> {
    const NAMES: [&str; 11] = [
        "k",
        "form",
        "page",
        "decision",
        "code",
        "preset",
        "votes",
        "grant",
        "uses",
        "hand_over",
        "reason",
    ];
    let mut seen = HashSet::new();
    let mut names = fields.names().filter(|name| NAMES.contains(name));
    if names.any(|name| !seen.insert(name)) {
        return Err(Error::BadRequest("The form has a field twice.".to_owned()));
    }
    Ok(())
}

/// The comment, the words beside the button that rejects, and the question. A rejection has all of them; the first two
/// in two lines. What is too long together comes back on the page; a field with more than its page takes is refused.
fn read_texts(fields: &FormFields<'_>) -> Result<[Option<String>; 3], Error> {
    let texts = ["comment", "words", "revise"].map(|name| fields.words(name));
    let is_too_long = |it: &String| it.chars().count() > COMMENT_CHARS;
    if texts.iter().flatten().any(is_too_long) {
        let limit = format!(
            "A comment, with a question for a changed request, may have at most {COMMENT_CHARS} characters."
        );
        return Err(Error::BadRequest(limit));
    }
    Ok(texts)
}

/// How many votes the page showed. A page without any does not say it.
fn read_votes(fields: &FormFields<'_>) -> Result<usize, Error> {
    let votes = fields.first("votes").map_or(Ok(0), str::parse);
    votes.map_err(|_| Error::BadRequest("The votes of the form must be a number.".to_owned()))
}

/// The standing grant that is asked for: its seconds, or nothing, and its uses. No policy allows a wish of zero, which
/// stands for what is no number.
fn grant_wish(fields: &FormFields<'_>) -> Option<GrantWish> {
    let whole = |text: &str| text.trim().parse::<u32>().unwrap_or_default();
    let seconds = fields.first("grant").map(str::trim);
    let seconds = seconds.filter(|it| !it.is_empty() && *it != "0")?;
    Some(GrantWish {
        lasts: Duration::from_secs(whole(seconds).into()),
        uses: fields.first("uses").map_or(GrantTerms::DEFAULT_USES, whole),
    })
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
