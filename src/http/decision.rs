//! `GET|POST /api/decision/{id}`: the decision page, and the form on it.
//!
//! `GET` changes nothing; only the form decides. An approval also requires the one-time code, which the
//! email prints separately from the link, or a signed-in person: a program that follows every link and
//! submits every form has neither.

mod draft;
mod failure;
mod form;
mod hand_over;
mod link;
mod page_forms;
mod pages;
mod result;
mod result_word;
mod words;

use std::sync::Arc;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, RawQuery, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::response::{AppendHeaders, IntoResponse, Response};
use tracing::Instrument;

use draft::Draft;
use form::{Action, Form};
use link::Link;

use super::body;
use super::caller::{IdentifiedCaller, caller};
use super::cause::{Cause, cause_of_form};
use super::error::Error;
use super::extract::{Id, parameter};
use super::json::content_type;
use super::origin;
use crate::app::{self, App, Caller, Identified, Judged};
use crate::domain::{Approval, DecisionResult};
use crate::values::ApprovalId;

pub(super) async fn open(
    State(app): State<Arc<App>>,
    segment: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Response {
    let query = query.unwrap_or_default();
    let with_forms = parameter(&query, pages::FORMS).is_some();
    // What is no text names no request.
    let segment = segment.map(|Path(it)| it).unwrap_or_default();
    let link = Link::parse(&segment, &query);
    let (id, token) = match link.into_parts(app.config.sign_in.is_none()) {
        Ok(parts) => parts,
        Err(missing) => return failure::show_incomplete_link(&app, missing),
    };
    let caller = caller(&app, &headers, Some(token));
    match app.load_for_approver(&id, &caller).await {
        Ok((row, identified)) => {
            let draft = Draft::read(&app, &row.approval, identified.approver, &headers);
            to_approver(pages::show(&app, &row.approval, identified, draft, with_forms).await)
        }
        Err(error) => failure::show_error(&app, &caller, Some(Id(id)), error.into()),
    }
}

pub(super) async fn decide(
    State(app): State<Arc<App>>,
    id: Result<Id, Error>,
    request: Request,
) -> Response {
    let (parts, _) = request.into_parts();
    let mut caller = caller(&app, &parts.headers, None);
    let (id, Form { link, action }) = match read_form(&app, id.clone(), &parts) {
        Ok(read) => read,
        Err(error) => return failure::show_error(&app, &caller, id.ok(), error),
    };
    caller.link = link;
    let caller = Arc::new(caller);
    let action = Arc::new(action);
    match apply(&app, &id, &caller, &action).await {
        Ok((approval, identified, draft)) => {
            let cookies = draft.cookies(&app, &approval, identified.approver);
            let cause = draft.result.and_then(|(_, result)| cause_of_form(result));
            let mut response = pages::redirect(&approval, &caller.link, cause.is_some(), cookies);
            if let Some(cause) = cause {
                Cause::add(&mut response, cause);
            }
            to_approver(response)
        }
        Err(error) => {
            let kept = match (&caller.member, &error) {
                (Some(Err(_)), Error::NotFound(_)) => keep_for_approver(&app, &id, &action).await,
                _ => Vec::new(),
            };
            let response = failure::show_error(&app, &caller, Some(Id(id)), error);
            (AppendHeaders(kept), response).into_response()
        }
    }
}

/// What a form leaves behind that came without a sign-in, as after the end of a session: the page shows it after the
/// sign-in, to the approver alone for whom the page with the form was made.
async fn keep_for_approver(
    app: &App,
    id: &ApprovalId,
    action: &Action,
) -> Vec<(HeaderName, HeaderValue)> {
    let Some((approval, approver)) = app.approver_of_form(id, action.token()).await else {
        return Vec::new();
    };
    let draft = Draft::after(action, DecisionResult::SignInNeeded);
    draft.cookies(app, &approval, approver)
}

fn read_form(app: &App, id: Result<Id, Error>, parts: &Parts) -> Result<(ApprovalId, Form), Error> {
    let Id(id) = id?;
    if !origin::is_own(&parts.headers, &app.base_url) {
        return Err(Error::Forbidden(
            "The form must be sent from the gate's own page.",
        ));
    }
    if content_type(&parts.headers).as_deref() != Some("application/x-www-form-urlencoded") {
        return Err(Error::MediaType(
            "Send the form as application/x-www-form-urlencoded.",
        ));
    }
    Ok((id, form::parse(&body::of(&parts.extensions)?)?))
}

/// Applies a form in a task of its own, which ends also if the sender disconnects: what follows the write of the row,
/// such as counting a wrong code for its person, must not depend on that.
async fn apply(
    app: &Arc<App>,
    id: &ApprovalId,
    caller: &Arc<Caller>,
    action: &Arc<Action>,
) -> Result<(Approval, Identified, Draft), Error> {
    let (app, id, caller, action) = (app.clone(), id.clone(), caller.clone(), action.clone());
    // Boxed, since the task moves it.
    let applying = Box::pin(async move {
        let Judged {
            approval,
            identified,
            result,
        } = match &*action {
            Action::Decide(form) => app.decide(&id, &caller, form).await?,
            Action::Revoke(form) => app.revoke(&id, &caller, form).await?,
            Action::Reveal(form) => app.reveal_values(&id, &caller, form).await?,
            Action::RevokeGrant(form) => app.revoke_grant(&id, &caller, form).await?,
            Action::HandOver(form, wish) => app.hand_over(&id, &caller, form, wish).await?,
        };
        Ok((approval, identified, Draft::after(&action, result)))
    });
    let applied = tokio::spawn(applying.in_current_span()).await;
    applied.unwrap_or_else(|_| Err(app::Error::Bug.into()))
}

fn to_approver(mut response: Response) -> Response {
    response.extensions_mut().insert(IdentifiedCaller);
    response
}
