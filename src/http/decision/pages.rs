//! The page of a request, with its forms and the result of the last one.

use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{AppendHeaders, IntoResponse, Response};

use super::draft::Draft;
use super::page_forms::Forms;
use super::result::{explain_fault, message, status_code};
use crate::app::{App, GivenGrant, Identified};
use crate::domain::{Approval, Assurance, DecisionResult, SignInFault, Status};
use crate::http::cause::{Cause, cause_of_form};
use crate::http::page::{page, page_style};
use crate::http::sign_in_page::SIGN_IN_AGAIN;
use crate::render::{DecisionPage, GrantView, PrecedentView};
use crate::values::{ApprovalId, Timestamp};

/// The parameter of the address that shows the forms of a page that otherwise tells the news alone.
pub(super) const FORMS: &str = "forms";

/// Only for a person who has signed in: no link is known without its key.
const KEY_MISSING: &str = "You cannot decide this now: the gate does not have the key of this request (HO_LINK_KEYS). \
                           Please tell the operator.";

/// The page of the request, with earlier rejections of the same, and with the result of the last form, once,
/// and what was typed in it. `with_forms`, it has its forms also while there is news to come.
pub(super) async fn show(
    app: &App,
    approval: &Approval,
    identified: Identified,
    draft: Draft,
    with_forms: bool,
) -> Response {
    let now = app.now();
    let approver = identified.approver;
    let (sent, result) = draft.result.unzip();
    let message = draft
        .result
        .and_then(|(form, it)| message(it, approval, approver, form, app));
    let mut page = describe(app, approval, identified, result, now).await;
    let can_vote = approval.can_vote(approver, now);
    let owner = approval.request.owner.as_ref();
    let takes_grants = can_vote
        && approval.plan.grants.is_some()
        && !app.forbids_grants(owner, approval.request.id.agent()).await;
    let forms = Forms {
        app,
        approval,
        identified,
        draft: &draft,
        message: message.as_deref(),
        takes_grants,
    };
    page.forms = forms.all(&page, now);
    page.can_hand_over = page.forms.hand_over.is_some();
    let key = app.link_keys.link_token(approval, approver);
    if key.is_none() && can_vote {
        tracing::warn!(
            id = approval.request.id.to_string(),
            "a page offers no decision: the link key of its request is missing"
        );
        page.notice = Some(KEY_MISSING.to_owned());
    }
    let link = key.filter(|_| identified.has_link).unwrap_or_default();
    let own_address = |more: &[(&str, &str)]| address(&approval.request.id, &link, more);
    if page.awaits_news && result.is_none() && !with_forms {
        page.tell_news_alone(own_address(&[]), own_address(&[(FORMS, "1")]));
    }
    if let Err(fault) = identified.sign_in {
        demand_sign_in(&mut page, fault, &own_address(&[]), app);
    }
    page.has_problem = message.is_some() && !result.is_some_and(is_recorded);
    // An error shows next to its form, if the page has that.
    let has_form = sent.is_some_and(|purpose| page.forms.has(purpose));
    if let Some(message) = message.filter(|_| !has_form) {
        page.notice = Some(message);
    }
    respond(&page, draft, app, approval, approver, now)
}

/// The page without its forms, after a form with this result.
async fn describe<'a>(
    app: &'a App,
    approval: &'a Approval,
    identified: Identified,
    result: Option<DecisionResult>,
    now: Timestamp,
) -> DecisionPage<'a> {
    let approver = identified.approver;
    let (paused, earlier, precedent, given) = tokio::join!(
        app.pause_of(approval, now),
        app.earlier(approval),
        app.precedent(approval, approver),
        app.grant_given_with(approval, approver)
    );
    let withheld = app.withholds_values() && result != Some(DecisionResult::Revealed);
    let style = page_style(app);
    let mut page = DecisionPage::new(approval, &earlier, approver, withheld, now, style);
    let list = &app.config.allowed_approvers;
    page.show_awaited(approval, |address| list.allows(address), now);
    page.show_disallowed(&app.disallowed_approvers(approval, now));
    if let Some(pause) = paused {
        page.show_pause(&pause);
    }
    page.has_list = is_signed_in(identified);
    page.precedent = precedent.map(|it| PrecedentView::new(&it, &app.config.brand.zone));
    page.grant = given.map(|it| grant_view(it, app, approval, identified, now));
    page.is_revocable =
        !approval.can_vote(approver, now) && approval.is_revocable_by(approver, now);
    offer_hidden_values(&mut page, approval, identified);
    page
}

fn is_signed_in(identified: Identified) -> bool {
    matches!(identified.assurance, Assurance::Entra(_))
}

/// The standing grant that the approver gave with this request.
fn grant_view(
    given: GivenGrant,
    app: &App,
    approval: &Approval,
    identified: Identified,
    now: Timestamp,
) -> GrantView {
    let zone = &app.config.brand.zone;
    match given {
        GivenGrant::Held(held) => {
            let is_accepted = app.accepts_grant(&held.signed.grant, approval);
            GrantView::new(&held, is_accepted, zone, now)
        }
        GivenGrant::Replaced(newer) => {
            let giver = &approval.approvers[identified.approver].address;
            GrantView::replaced(&newer, giver, is_signed_in(identified), zone, now)
        }
    }
}

/// Shows the values that are withheld to a person who has signed in, behind a fold; others need the form for that.
fn offer_hidden_values(page: &mut DecisionPage<'_>, approval: &Approval, identified: Identified) {
    let is_handed_over = approval.plan.hand_over_by(identified.approver).is_some();
    if page.hidden == 0 || is_handed_over {
        return;
    }
    let is_outside = matches!(
        identified.sign_in,
        Err(SignInFault::NotInGroup | SignInFault::GroupUnknown)
    );
    if !is_signed_in(identified) {
        page.can_reveal = true;
    } else if !is_outside {
        page.fold_withheld_values(approval);
    }
}

/// Takes the forms that need another sign-in off the page, and says what is missing, if there are any.
fn demand_sign_in(page: &mut DecisionPage<'_>, fault: SignInFault, address: &str, app: &App) {
    let has_decision = page.forms.decision.take().is_some();
    page.forms.hand_over = None;
    let could_hand_over = std::mem::take(&mut page.can_hand_over);
    if has_decision || could_hand_over {
        page.sign_in = Some(SIGN_IN_AGAIN.to(address));
        let missing = explain_fault(fault, app);
        page.notice = Some(format!("You cannot decide yet: {missing}"));
    }
}

/// Whether a form did what it was for, though there is a message about it.
fn is_recorded(result: DecisionResult) -> bool {
    matches!(
        result,
        DecisionResult::GrantNotGiven
            | DecisionResult::GrantEnded
            | DecisionResult::Revealed
            | DecisionResult::RejectedWithoutCode { .. }
    )
}

/// The response with a page, by the result of the last form, which the next page does not show again.
fn respond(
    shown: &DecisionPage<'_>,
    draft: Draft,
    app: &App,
    approval: &Approval,
    approver: usize,
    now: Timestamp,
) -> Response {
    let result = draft.result.map(|(_, result)| result);
    let code = match (result, approval.status(now)) {
        (None, Status::Timeout) => StatusCode::GONE,
        (None, _) => StatusCode::OK,
        (Some(result), _) => status_code(result),
    };
    let mut response = page(code, "", shown.render_html());
    if let Some(result) = result {
        if let Some(cause) = cause_of_form(result) {
            Cause::add(&mut response, cause);
        }
        let cookies = draft.without_result().cookies(app, approval, approver);
        for (name, value) in cookies {
            response.headers_mut().append(name, value);
        }
    }
    response
}

/// Redirects to the page after a decision, so that reloading it does not submit the form again. If the form was
/// refused, the browser goes to the message, which can be far down the page.
pub(super) fn redirect(
    approval: &Approval,
    link: &str,
    is_refused: bool,
    cookies: Vec<(HeaderName, HeaderValue)>,
) -> Response {
    let place = if is_refused { "#problem" } else { "" };
    let location = format!("{}{place}", address(&approval.request.id, link, &[]));
    let location = [(header::LOCATION, location)];
    let cookies = AppendHeaders(cookies);
    (StatusCode::SEE_OTHER, location, cookies).into_response()
}

/// The page of the request, with the link token unless it is empty.
pub(super) fn address(id: &ApprovalId, link: &str, more: &[(&str, &str)]) -> String {
    let token = Some(("k", link)).filter(|_| !link.is_empty());
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(token.iter().chain(more));
    let query = query.finish();
    let page = format!("/api/decision/{id}");
    if query.is_empty() {
        page
    } else {
        format!("{page}?{query}")
    }
}
