//! `GET|POST /api/decision/{id}`: the decision page, and the form on it.
//!
//! `GET` changes nothing; only the form decides. An approval also requires the one-time code, which the
//! email prints separately from the link, or a signed-in person: a program that follows every link and
//! submits every form has neither.

mod form;
mod pages;

use std::sync::Arc;

use axum::extract::{RawQuery, Request, State};
use axum::http::HeaderMap;
use axum::response::Response;

use form::{Action, Form};

use super::body;
use super::caller::{IdentifiedCaller, caller};
use super::error::Error;
use super::extract::{Id, parameter};
use super::json::content_type;
use super::origin;
use crate::app::App;
use crate::domain::DecisionResult;
use crate::keys::FormPurpose;

pub(super) async fn open(
    State(app): State<Arc<App>>,
    id: Result<Id, Error>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Response {
    let link = parameter(query.as_deref().unwrap_or_default(), "k");
    let caller = caller(&app, &headers, link);
    let opened = async {
        let Id(id) = id.clone()?;
        Ok(app.load_for_approver(&id, &caller).await?)
    };
    match opened.await {
        Ok((row, identified)) => {
            to_approver(pages::show(&app, &row.approval, identified, None, None).await)
        }
        Err(error) => pages::show_error(&app, &caller, id.ok(), error),
    }
}

pub(super) async fn decide(
    State(app): State<Arc<App>>,
    id: Result<Id, Error>,
    request: Request,
) -> Response {
    let (parts, _) = request.into_parts();
    let mut caller = caller(&app, &parts.headers, None);
    let decided = async {
        let Id(id) = id.clone()?;
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
        let Form { link, action } = form::parse(&body::of(&parts.extensions)?)?;
        caller.link = link;
        let (approval, (identified, result)) = match &action {
            Action::Decide(form) => app.decide(&id, &caller, form).await?,
            Action::Revoke(form) => app.revoke(&id, &caller, form).await?,
            Action::Reveal(form) => app.reveal_values(&id, &caller, form).await?,
        };
        let (purpose, comment) = match action {
            Action::Decide(form) => (FormPurpose::Decision, form.comment),
            Action::Revoke(_) => (FormPurpose::Revocation, None),
            Action::Reveal(_) => (FormPurpose::Reveal, None),
        };
        Ok((approval, identified, (purpose, result), comment))
    };
    match decided.await {
        Ok((approval, _, (_, DecisionResult::Recorded | DecisionResult::Revoked), _)) => {
            to_approver(pages::redirect(&approval, &caller.link))
        }
        Ok((approval, identified, result, comment)) => {
            let page = pages::show(&app, &approval, identified, Some(result), comment).await;
            to_approver(page)
        }
        Err(error) => pages::show_error(&app, &caller, id.ok(), error),
    }
}

fn to_approver(mut response: Response) -> Response {
    response.extensions_mut().insert(IdentifiedCaller);
    response
}
