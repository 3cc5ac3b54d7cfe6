//! `GET /api/requests`: the list of a person who has signed in. It takes no link, and changes nothing.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;

use super::caller::{IdentifiedCaller, caller};
use super::error::Error;
use super::page::{error_page, page, page_style};
use super::sign_in_page::explain_sign_in;
use crate::app::{App, Caller, ListedRequest, RequestList};
use crate::domain::HeldGrant;
use crate::keys::FormPurpose;
use crate::render::{GrantView, OwnGrant, RequestsPage};

/// The path of the list, to which the sign-in leads back.
const PATH: &str = "/api/requests";

pub(super) async fn list(State(app): State<Arc<App>>, headers: HeaderMap) -> Response {
    let caller = caller(&app, &headers, None);
    match app.requests_of(&caller).await {
        Ok(list) => {
            let mut response = page(StatusCode::OK, "", show(&app, &caller, &list));
            response.extensions_mut().insert(IdentifiedCaller);
            response
        }
        Err(error) => refuse(&app, error.into()),
    }
}

fn show(app: &App, caller: &Caller, list: &RequestList) -> String {
    let (now, style) = (app.now(), page_style(app));
    let name = match &caller.member {
        Some(Ok(member)) => member.name.as_str(),
        _ => "",
    };
    let mut shown = RequestsPage::new(name, style);
    for it in &list.open {
        shown.add_open(&it.approval, now);
    }
    for (choice, it) in &list.decided {
        shown.add_decided(&it.approval, *choice, now);
    }
    for (held, with) in &list.grants {
        shown.grants.extend(own_grant(app, held, with));
    }
    shown.is_cut = list.is_cut;
    shown.unreadable = list.unreadable;
    shown.is_unlisted = list.is_unlisted;
    shown.render_html()
}

/// A grant with the form that ends it.
fn own_grant(app: &App, held: &HeldGrant, with: &ListedRequest) -> Option<OwnGrant> {
    let ListedRequest { approval, approver } = with;
    let token = app
        .link_keys
        .csrf_token(approval, *approver, FormPurpose::Grant)?;
    let is_accepted = app.accepts_grant(&held.signed.grant, approval);
    let view = GrantView::new(held, is_accepted, &app.config.brand.zone, app.now());
    Some(OwnGrant::new(view, approval, token))
}

/// The page of a list that is not shown, with the next step for the person.
fn refuse(app: &App, error: Error) -> Response {
    let message = match &error {
        Error::SignIn(why) => {
            let (heading, text, link) = explain_sign_in(*why);
            (heading, text, Some(link.to(PATH)))
        }
        Error::NotFound(_) => (
            "This gate has no list of requests",
            "It needs sign-in, which is not configured here. Open the link in the email of each request.",
            None,
        ),
        Error::Untrusted(_) => (
            "Your requests cannot be listed",
            "Records that the gate needs for this are damaged. Tell the operator of this gate. Nothing is lost, and the \
             links in your emails still work.",
            None,
        ),
        _ => (
            "Please try again in a minute",
            "The gate cannot reach its store at the moment. Nothing is lost: open this page again.",
            None,
        ),
    };
    error_page(app, error.status(), message, error)
}
