//! `GET|POST /api/decision/{id}`: the approver's page, and the form on it.
//!
//! Reading the page changes nothing, whoever reads it how often. Only the form decides, and to
//! approve it needs the code that stands in the mail apart from the link: a program that presses
//! every button of a page does not have it.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{RawQuery, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::error::Error;
use super::json::{content_type, read};
use super::page::page;
use super::{App, Id};
use crate::approval::{Approval, Status, Verdict, WRONG_CODES};
use crate::timestamp::Timestamp;
use crate::views::{self, DecisionPage};

/// The most characters of a comment.
const COMMENT_CHARS: usize = 2_000;

pub(super) async fn open(
    State(app): State<Arc<App>>,
    id: Result<Id, Error>,
    RawQuery(query): RawQuery,
) -> Response {
    let link = parameter(query.as_deref().unwrap_or_default(), "k").unwrap_or_default();
    let opened = async {
        let Id(id) = id?;
        let approval = app.load(&id).await?.approval;
        let index = app.holder(&approval, &link).ok_or(Error::NotFound)?;
        Ok((approval, index))
    };
    match opened.await {
        Ok((approval, index)) => show(&app, &approval, index, Said::Nothing, None),
        Err(error) => failed(&app, error),
    }
}

pub(super) async fn decide(
    State(app): State<Arc<App>>,
    id: Result<Id, Error>,
    request: Request,
) -> Response {
    let decided = async {
        let Id(id) = id?;
        let (parts, body) = request.into_parts();
        if !is_own_form(&app, &parts.headers) {
            return Err(Error::Forbidden(
                "The form must be sent from the gate's own page.",
            ));
        }
        if content_type(&parts.headers).as_deref() != Some("application/x-www-form-urlencoded") {
            return Err(Error::MediaType(
                "Send the form as application/x-www-form-urlencoded.",
            ));
        }
        let answer = Answer::parse(body).await?;
        let (approval, (index, said)) = app
            .change(&id, |approval, now| answer.judge(&app, approval, now))
            .await?;
        Ok((approval, index, said, answer))
    };
    match decided.await {
        Ok((approval, _, Said::Recorded, answer)) => see_other(&approval, &answer.link),
        Ok((approval, index, said, answer)) => show(&app, &approval, index, said, answer.comment),
        Err(error) => failed(&app, error),
    }
}

/// What a person sent.
struct Answer {
    link: String,
    form: String,
    verdict: Verdict,
    code: String,
    comment: Option<String>,
}

/// What the page says about an answer.
enum Said {
    Nothing,
    Recorded,
    AnotherDecision,
    Late,
    Stale,
    Locked,
    CodeMissing,
    CodeWrong { left: u32 },
}

impl Said {
    fn status(&self) -> StatusCode {
        match self {
            Self::Nothing | Self::Recorded => StatusCode::OK,
            Self::AnotherDecision | Self::Stale => StatusCode::CONFLICT,
            Self::Late => StatusCode::GONE,
            Self::Locked | Self::CodeMissing | Self::CodeWrong { .. } => StatusCode::FORBIDDEN,
        }
    }

    fn words(&self) -> Option<String> {
        let words = match self {
            Self::Nothing | Self::Recorded => return None,
            Self::AnotherDecision => "Your answer came second: this request is closed.",
            Self::Late => "Your answer came too late and changed nothing.",
            Self::Stale => "The page you answered on was out of date. Please look at it again.",
            Self::Locked => "Approving by this link is locked after five wrong codes.",
            Self::CodeMissing => "Nothing was recorded: to approve, type the code from the mail.",
            Self::CodeWrong { left: 0 } => {
                "That code is not right. Approving by this link is now locked; you can still reject."
            }
            Self::CodeWrong { left: 1 } => {
                return Some(
                    "That code is not right. 1 try is left; nothing was recorded.".to_owned(),
                );
            }
            Self::CodeWrong { left } => {
                return Some(format!(
                    "That code is not right. {left} tries are left; nothing was recorded."
                ));
            }
        };
        Some(words.to_owned())
    }
}

impl Answer {
    async fn parse(body: Body) -> Result<Self, Error> {
        let body = read(body).await?;
        let body = std::str::from_utf8(&body)
            .map_err(|_| Error::BadRequest("The form is not UTF-8.".to_owned()))?;
        let required = |name: &str| {
            parameter(body, name)
                .ok_or_else(|| Error::BadRequest(format!("The form has no {name}.")))
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
        let comment = parameter(body, "comment")
            .unwrap_or_default()
            .replace("\r\n", "\n");
        // Nobody sees control characters, and the agent's model has no use for them.
        let comment: String = comment
            .trim()
            .chars()
            .filter(|c| !c.is_control() || matches!(c, '\n' | '\t'))
            .collect();
        if comment.chars().count() > COMMENT_CHARS {
            let limit = format!("A comment may have at most {COMMENT_CHARS} characters.");
            return Err(Error::BadRequest(limit));
        }
        Ok(Self {
            link: required("k")?,
            form: required("form")?,
            verdict,
            code: parameter(body, "code")
                .unwrap_or_default()
                .trim()
                .to_owned(),
            comment: Some(comment).filter(|comment| !comment.is_empty()),
        })
    }

    /// Makes the move that this answer is, if it is one.
    fn judge(
        &self,
        app: &App,
        approval: &mut Approval,
        now: Timestamp,
    ) -> Result<(usize, Said), Error> {
        let index = app.holder(approval, &self.link).ok_or(Error::NotFound)?;
        if !app.link_keys.is_form(approval, index, &self.form) {
            return Ok((index, Said::Stale));
        }
        let said = match approval.status(now) {
            Status::Pending => match self.check_code(app, approval, index, now) {
                Some(said) => said,
                None => self.record(app, approval, index, now),
            },
            Status::Timeout if approval.late.is_some() => Said::Late,
            Status::Timeout => match self.check_code(app, approval, index, now) {
                Some(said) => said,
                None => {
                    approval.answer_late(index, self.verdict, now);
                    Said::Late
                }
            },
            _ => {
                let same = approval.ruling().is_some_and(|(ruling, _)| {
                    ruling.verdict() == self.verdict
                        && ruling.by == approval.approvers[index].address
                });
                if same {
                    Said::Recorded
                } else {
                    Said::AnotherDecision
                }
            }
        };
        Ok((index, said))
    }

    /// What is wrong with the code; a wrong one is counted before anybody hears of it.
    fn check_code(
        &self,
        app: &App,
        approval: &mut Approval,
        index: usize,
        now: Timestamp,
    ) -> Option<Said> {
        if self.verdict == Verdict::Reject {
            return None;
        }
        if approval.approvers[index].is_locked() {
            return Some(Said::Locked);
        }
        if self.code.is_empty() {
            return Some(Said::CodeMissing);
        }
        if app.link_keys.is_code(approval, index, &self.code) {
            return None;
        }
        approval.count_wrong_code(index, now);
        let left = WRONG_CODES - approval.approvers[index].wrong_codes;
        Some(Said::CodeWrong { left })
    }

    fn record(&self, app: &App, approval: &mut Approval, index: usize, now: Timestamp) -> Said {
        let run_within = app.config.run_within;
        match approval.judge(index, self.verdict, self.comment.clone(), run_within, now) {
            Ok(ruling) => {
                let receipt = app.receipt_keys.sign(&app.base_url, approval, &ruling);
                approval.record(ruling, receipt);
                Said::Recorded
            }
            Err(_) => Said::AnotherDecision,
        }
    }
}

impl App {
    /// Who holds this link and may decide: the operator's list counts now, not when it was asked.
    fn holder(&self, approval: &Approval, link: &str) -> Option<usize> {
        let index = self.link_keys.holder(approval, link)?;
        let address = &approval.approvers[index].address;
        let asker = approval.request.on_behalf_of.as_ref();
        let may = self.config.allowed_approvers.allows(address)
            && !asker.is_some_and(|person| person.is_same_person(address));
        may.then_some(index)
    }
}

/// Whether a browser says that the form was on a page of ours. Other sites have neither header, or
/// another value.
fn is_own_form(app: &App, headers: &HeaderMap) -> bool {
    let value = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    value("sec-fetch-site") == Some("same-origin")
        || value("origin").is_some_and(|origin| origin.eq_ignore_ascii_case(&app.base_url))
}

/// The first value of a name in a query or a form.
fn parameter(encoded: &str, name: &str) -> Option<String> {
    form_urlencoded::parse(encoded.as_bytes())
        .find(|(key, _)| key == name)
        .map(|(_, value)| value.into_owned())
}

/// The page, with what is to be said and what was typed before.
fn show(
    app: &App,
    approval: &Approval,
    index: usize,
    said: Said,
    typed: Option<String>,
) -> Response {
    let now = app.now();
    let status = approval.status(now);
    let mut shown = DecisionPage::of(approval, index, now, &app.config);
    if status == Status::Pending {
        let links = &app.link_keys;
        let tokens = links.link(approval, index).zip(links.form(approval, index));
        shown.form = tokens.map(|(link, token)| views::Form {
            action: format!("/api/decision/{}", approval.request.id),
            link,
            token,
            comment: typed.unwrap_or_default(),
            locked: approval.approvers[index].is_locked(),
            problem: said.words(),
        });
    }
    // What is wrong is said where it can be mended.
    shown.notice = said.words().filter(|_| shown.form.is_none());
    let code = match (&said, status) {
        (Said::Nothing, Status::Timeout) => StatusCode::GONE,
        _ => said.status(),
    };
    page(code, "", shown.html())
}

fn failed(app: &App, error: Error) -> Response {
    let (heading, text) = match &error {
        Error::NotFound => (
            "This link does not open anything",
            "It may be incomplete or out of date. Open it from the mail once more, as a whole.",
        ),
        Error::Integrity(_) => (
            "This request cannot be trusted",
            "What is stored contradicts its own proof, so nobody can decide about it. Nothing runs. \
             Please tell whoever operates this gate.",
        ),
        Error::Unavailable(_) => (
            "Please try again in a minute",
            "The gate cannot reach its store just now. Your link stays valid: open it again to see \
             whether your answer was recorded.",
        ),
        Error::Forbidden(_) => (
            "Nothing was recorded",
            "The answer did not come from the page in your mail. Open the link in the mail and \
             decide there.",
        ),
        _ => (
            "Nothing was recorded",
            "The answer was not complete. Open the link in the mail again.",
        ),
    };
    let status = error.status();
    let text = views::message_page(heading, text, &app.config);
    let mut response = page(status, "", text);
    if status == StatusCode::SERVICE_UNAVAILABLE {
        response
            .headers_mut()
            .insert(header::RETRY_AFTER, 60.into());
    }
    // For the log; the page stays as it is.
    response.extensions_mut().insert(error);
    response
}

/// After a decision the browser asks for the page, so that reloading it sends nothing again.
fn see_other(approval: &Approval, link: &str) -> Response {
    let query: String = form_urlencoded::Serializer::new(String::new())
        .append_pair("k", link)
        .finish();
    let location = format!("/api/decision/{}?{query}", approval.request.id);
    (StatusCode::SEE_OTHER, [(header::LOCATION, location)]).into_response()
}
