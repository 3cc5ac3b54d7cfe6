//! `GET|POST /api/decision/{id}`: the approver's page, and the form on it.
//!
//! Reading the page changes nothing, whoever reads it how often. Only the form decides, and to
//! approve it needs the code that stands in the mail apart from the link, or a person who has signed
//! in: a program that presses every button of a page has neither.

mod pages;

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{RawQuery, Request, State};
use axum::http::HeaderMap;
use axum::response::Response;

use super::caller::Caller;
use super::error::Error;
use super::json::{content_type, read};
use super::{App, Id};
use crate::approval::{Approval, Assurance, Status, Verdict, WRONG_CODES};
use crate::timestamp::Timestamp;

use pages::{Said, failed, see_other, show};

/// The most characters of a comment.
const COMMENT_CHARS: usize = 2_000;

pub(super) async fn open(
    State(app): State<Arc<App>>,
    id: Result<Id, Error>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Response {
    let link = parameter(query.as_deref().unwrap_or_default(), "k");
    let caller = Caller::of(&app, &headers, link);
    let opened = async {
        let Id(id) = id.clone()?;
        let approval = app.load(&id).await?.approval;
        let known = app.approver(&approval, &caller)?;
        Ok((approval, known))
    };
    match opened.await {
        Ok((approval, known)) => show(&app, &approval, known, Said::Nothing, None),
        Err(error) => failed(&app, &caller, id.ok(), error),
    }
}

pub(super) async fn decide(
    State(app): State<Arc<App>>,
    id: Result<Id, Error>,
    request: Request,
) -> Response {
    let (parts, body) = request.into_parts();
    let mut caller = Caller::of(&app, &parts.headers, None);
    let decided = async {
        let Id(id) = id.clone()?;
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
        let answer = Answer::parse(body, &mut caller).await?;
        let (approval, (known, said)) = app
            .change(&id, |approval, now| {
                answer.judge(&app, &caller, approval, now)
            })
            .await?;
        Ok((approval, known, said, answer))
    };
    match decided.await {
        Ok((approval, _, Said::Recorded, _)) => see_other(&approval, &caller.link),
        Ok((approval, known, said, answer)) => show(&app, &approval, known, said, answer.comment),
        Err(error) => failed(&app, &caller, id.ok(), error),
    }
}

/// Which of the approvers somebody is, and how that is known.
type Known = (usize, Assurance);

/// What a person sent.
struct Answer {
    form: String,
    verdict: Verdict,
    code: String,
    comment: Option<String>,
}

impl Answer {
    /// Reads the form; the token of the link in it is the caller's.
    async fn parse(body: Body, caller: &mut Caller) -> Result<Self, Error> {
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
        caller.link = parameter(body, "k").unwrap_or_default();
        Ok(Self {
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
        caller: &Caller,
        approval: &mut Approval,
        now: Timestamp,
    ) -> Result<(Known, Said), Error> {
        let known = app.approver(approval, caller)?;
        let (index, _) = known;
        if !app.link_keys.is_form(approval, index, &self.form) {
            return Ok((known, Said::Stale));
        }
        let said = match approval.status(now) {
            Status::Pending => match self.check_code(app, approval, known, now) {
                Some(said) => said,
                None => self.record(app, approval, known, now),
            },
            Status::Timeout if approval.late.is_some() => Said::Late,
            Status::Timeout => match self.check_code(app, approval, known, now) {
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
        Ok((known, said))
    }

    /// What is wrong with the code, where one is needed; a wrong one is counted before anybody hears
    /// of it.
    fn check_code(
        &self,
        app: &App,
        approval: &mut Approval,
        (index, assurance): Known,
        now: Timestamp,
    ) -> Option<Said> {
        if self.verdict == Verdict::Reject || assurance != Assurance::Link {
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

    fn record(&self, app: &App, approval: &mut Approval, known: Known, now: Timestamp) -> Said {
        let run_within = app.config.run_within;
        match approval.judge(known, self.verdict, self.comment.clone(), run_within, now) {
            Ok(ruling) => {
                let receipt = app.receipt_keys.sign(&app.base_url, approval, &ruling);
                approval.record(ruling, receipt);
                Said::Recorded
            }
            Err(_) => Said::AnotherDecision,
        }
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
