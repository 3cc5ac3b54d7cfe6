//! What a form leaves behind for the page to which the browser is redirected: the message, and what was typed.
//! It travels in an encrypted cookie of this request and approver, so that reloading a page sends no form again.

use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use serde::{Deserialize, Serialize};

use super::form::Action;
use super::result_word::Word;
use crate::app::App;
use crate::domain::{Approval, DecisionResult, GrantWish, HandOverWish, Verdict};
use crate::keys::FormPurpose;
use crate::values::Address;

/// How long what was typed is kept, and how long hidden values can be shown once.
const KEPT: Duration = Duration::from_secs(15 * 60);
const SHOWN_WITHIN: Duration = Duration::from_secs(60);

/// The cookies, the longest texts that a page takes split over all of them; a browser takes 4,096 bytes each.
const PARTS: usize = 5;
const PART_BYTES: usize = 3_700;

/// The state of a form.
#[derive(Clone, Debug, Default)]
pub(super) struct Draft {
    /// The result of the form; `None` once a page has shown it.
    pub(super) result: Option<(FormPurpose, DecisionResult)>,
    /// Whether the form of a rejection was sent last.
    pub(super) is_rejecting: bool,
    pub(super) preset: Option<String>,
    pub(super) comment: Option<String>,
    pub(super) grant: Option<GrantWish>,
    /// What was typed beside the button that rejects.
    pub(super) words: Option<String>,
    pub(super) hand_over: Option<HandOverWish>,
    /// The question for a changed request.
    pub(super) question: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct Stored {
    /// The end of the draft, in seconds since 1970.
    until: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<StoredResult>,
    #[serde(default)]
    is_rejecting: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    preset: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    comment: Option<String>,
    /// The seconds and uses of a standing grant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    grant: Option<(u64, u32)>,
    #[serde(skip_serializing_if = "Option::is_none")]
    words: Option<String>,
    /// The receiver of a hand-over, or nothing, and the reason.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    hand_over: Option<(String, String)>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    question: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct StoredResult {
    form: String,
    word: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    number: Option<i64>,
}

impl Draft {
    /// Reads the draft of this request and approver. A cookie that is old, foreign or changed is none.
    pub(super) fn read(
        app: &App,
        approval: &Approval,
        approver: usize,
        headers: &HeaderMap,
    ) -> Self {
        let name = cookie_name(app);
        let mut sealed = String::new();
        for part in 0..PARTS {
            match find_cookie(headers, &part_name(name, part)) {
                Some(text) => sealed.push_str(text),
                None => break,
            }
        }
        let open = || {
            let sealed = BASE64URL.decode(&sealed).ok()?;
            let place = place(approval, approver);
            let text = app.link_keys.decrypt_draft(&place, &sealed)?;
            let stored: Stored = serde_json::from_slice(&text).ok()?;
            (app.now().unix_seconds() < stored.until).then_some(stored)
        };
        open().map_or_else(Self::default, |stored| Self {
            result: stored.result.and_then(StoredResult::into_result),
            is_rejecting: stored.is_rejecting,
            preset: stored.preset,
            comment: stored.comment,
            grant: stored.grant.map(|(seconds, uses)| GrantWish {
                lasts: Duration::from_secs(seconds),
                uses,
            }),
            words: stored.words,
            hand_over: stored.hand_over.map(|(to, reason)| HandOverWish {
                to: Address::from_known(&to),
                reason,
            }),
            question: stored.question,
        })
    }

    /// What a form leaves behind. What the page shows for itself leaves nothing.
    pub(super) fn after(action: &Action, result: DecisionResult) -> Self {
        use DecisionResult::{
            GrantEnded, GrantNotGiven, HandedOver, Recorded, RejectedWithoutCode, Revoked,
        };
        match (result, action) {
            (Recorded | Revoked | GrantEnded | HandedOver, _) => Self::default(),
            (GrantNotGiven | RejectedWithoutCode { .. }, _) => {
                Self::of(FormPurpose::Decision, result)
            }
            (result, Action::Decide(form)) => Self {
                result: Some((FormPurpose::Decision, result)),
                // A page of an earlier gate has one form for both.
                is_rejecting: form.verdict == Verdict::Reject
                    || result == DecisionResult::Contradictory,
                preset: form.preset.clone(),
                comment: form.comment.clone(),
                grant: form.grant,
                words: form.words.clone(),
                question: form.question.clone(),
                hand_over: None,
            },
            (result, Action::Revoke(_)) => Self::of(FormPurpose::Revocation, result),
            (result, Action::Reveal(_)) => Self::of(FormPurpose::Reveal, result),
            (result, Action::RevokeGrant(_)) => Self::of(FormPurpose::Grant, result),
            (result, Action::HandOver(_, wish)) => Self {
                hand_over: Some(wish.clone()),
                ..Self::of(FormPurpose::HandOver, result)
            },
        }
    }

    /// The result of a form in which nothing but a code is typed.
    fn of(form: FormPurpose, result: DecisionResult) -> Self {
        Self {
            result: Some((form, result)),
            ..Self::default()
        }
    }

    /// Whether there is anything to keep.
    pub(super) fn is_empty(&self) -> bool {
        let typed = [&self.preset, &self.comment, &self.words, &self.question];
        let is_typed = typed.iter().any(|it| it.is_some());
        !is_typed && self.result.is_none() && self.grant.is_none() && self.hand_over.is_none()
    }

    /// The draft without the result, which a page has shown.
    pub(super) fn without_result(self) -> Self {
        Self {
            result: None,
            ..self
        }
    }

    /// The headers that set the cookies, or end them if there is nothing to keep.
    pub(super) fn cookies(
        &self,
        app: &App,
        approval: &Approval,
        approver: usize,
    ) -> Vec<(HeaderName, HeaderValue)> {
        let kept = match self.result {
            Some((_, DecisionResult::Revealed)) => SHOWN_WITHIN,
            _ => KEPT,
        };
        let sealed = if self.is_empty() {
            String::new()
        } else {
            let stored = Stored {
                until: (app.now() + kept).unix_seconds(),
                result: self.result.map(StoredResult::of),
                is_rejecting: self.is_rejecting,
                preset: self.preset.clone(),
                comment: self.comment.clone(),
                grant: self.grant.map(|wish| (wish.lasts.as_secs(), wish.uses)),
                words: self.words.clone(),
                hand_over: self.hand_over.as_ref().map(|wish| {
                    let to = wish.to.as_ref().map(Address::to_string);
                    (to.unwrap_or_default(), wish.reason.clone())
                }),
                question: self.question.clone(),
            };
            let text = serde_json::to_vec(&stored).expect("texts are JSON");
            let place = place(approval, approver);
            BASE64URL.encode(app.link_keys.encrypt_draft(&place, &text))
        };
        // More than a browser sends from a page: the result alone is kept.
        if let Some((form, result)) = self.result.filter(|_| sealed.len() > PARTS * PART_BYTES) {
            return Self::of(form, result).cookies(app, approval, approver);
        }
        let name = cookie_name(app);
        let parts = (0..PARTS).map(|part| {
            let rest = sealed.get(part * PART_BYTES..).unwrap_or_default();
            let text = &rest[..rest.len().min(PART_BYTES)];
            let age = if text.is_empty() { 0 } else { kept.as_secs() };
            let secure = if is_secure(app) { "; Secure" } else { "" };
            let name = part_name(name, part);
            let cookie =
                format!("{name}={text}; Path=/; Max-Age={age}; HttpOnly; SameSite=Lax{secure}");
            let cookie = HeaderValue::from_str(&cookie).expect("plain ASCII");
            (header::SET_COOKIE, cookie)
        });
        parts.collect()
    }
}

impl StoredResult {
    fn of((form, result): (FormPurpose, DecisionResult)) -> Self {
        let (form, _) = form.word();
        let (word, number) = result.word();
        Self {
            form: form.to_owned(),
            word: word.to_owned(),
            number,
        }
    }

    fn into_result(self) -> Option<(FormPurpose, DecisionResult)> {
        let form = FormPurpose::from_word(&self.form, None)?;
        let result = DecisionResult::from_word(&self.word, self.number)?;
        Some((form, result))
    }
}

/// What a draft is bound to.
fn place(approval: &Approval, approver: usize) -> Vec<u8> {
    format!("{}\n{approver}", approval.request.id).into_bytes()
}

fn is_secure(app: &App) -> bool {
    app.base_url.starts_with("https://")
}

/// A browser takes a `__Host-` cookie from this host alone, over https.
fn cookie_name(app: &App) -> &'static str {
    if is_secure(app) {
        "__Host-draft"
    } else {
        "draft"
    }
}

fn part_name(name: &str, part: usize) -> String {
    match part {
        0 => name.to_owned(),
        _ => format!("{name}-{part}"),
    }
}

fn find_cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let cookies = headers.get_all(header::COOKIE).iter();
    let cookies = cookies.filter_map(|value| value.to_str().ok());
    let mut cookies = cookies.flat_map(|value| value.split(';'));
    cookies.find_map(|cookie| {
        let (found, text) = cookie.trim().split_once('=')?;
        (found == name).then_some(text)
    })
}
