//! The page of a request, with its forms and the result of the last one.

use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{AppendHeaders, IntoResponse, Response};

use super::draft::Draft;
use super::result::{explain_fault, field_at_fault, message, status_code};
use crate::app::{App, GivenGrant, Identified};
use crate::domain::{
    Approval, Approver, Assurance, DecisionResult, MAX_WRONG_CODES, SignInFault, Status,
};
use crate::http::cause::{Cause, cause_of_form};
use crate::http::page::{page, page_style};
use crate::http::sign_in_page::SIGN_IN_AGAIN;
use crate::keys::FormPurpose;
use crate::policy::CommentRule;
use crate::render::{self, DecisionPage, GrantOffer, GrantView, Identification, PrecedentView};
use crate::values::ApprovalId;

/// The parameter of the address that shows the forms of a page that otherwise tells the news alone.
pub(super) const FORMS: &str = "forms";

fn is_locked(approver: &Approver, purpose: FormPurpose) -> bool {
    let wrong_codes = match purpose {
        FormPurpose::Decision => approver.wrong_codes,
        FormPurpose::Revocation | FormPurpose::Grant => approver.wrong_revocation_codes,
        FormPurpose::Reveal => approver.wrong_reveal_codes,
        FormPurpose::HandOver => approver.wrong_hand_over_codes,
    };
    wrong_codes >= MAX_WRONG_CODES
}

/// What the forms of a page have in common.
struct Forms<'a> {
    app: &'a App,
    approval: &'a Approval,
    identified: Identified,
    draft: &'a Draft,
    message: Option<&'a str>,
    is_paused: bool,
}

impl Forms<'_> {
    /// The form for a purpose, with what was typed in it and with the problem that it had.
    fn of(&self, purpose: FormPurpose) -> Option<render::Form> {
        let Self {
            app,
            approval,
            identified: Identified { approver, .. },
            draft,
            ..
        } = *self;
        let terms = app.grant_terms(approval, &approval.approvers[approver].address);
        Some(render::Form {
            action: format!("/api/decision/{}", approval.request.id),
            token: app.link_keys.csrf_token(approval, approver, purpose)?,
            page_token: app.page_token(approval, approver),
            votes: approval.votes.len(),
            comment: draft.comment.clone().unwrap_or_default(),
            words: draft.words.clone().unwrap_or_default(),
            question: draft.question.clone().unwrap_or_default(),
            longest_comment: approval.plan.longest_comment(),
            reasons: app.reject_reasons(approval).to_vec(),
            preset: draft.preset.clone().unwrap_or_default(),
            rejections: approval.plan.rejections.get(),
            needs_comment: approval.plan.comment == CommentRule::Always,
            needs_reason: approval.plan.comment != CommentRule::Never,
            // What is given during a pause would end with it.
            grants: terms
                .filter(|_| !self.is_paused)
                .map(|terms| GrantOffer::new(terms, draft.grant)),
            identification: self.identification(purpose)?,
            problem: self.problem(purpose),
            fault: self.fault(purpose),
            is_rejecting: draft.is_rejecting,
        })
    }

    /// The form that hands the approver's place over, if there is a person who can receive it.
    fn hand_over(&self) -> Option<render::HandOverForm> {
        let Self {
            app,
            approval,
            identified,
            draft,
            ..
        } = *self;
        let receivers = app.receivers(approval, identified.approver, identified.assurance);
        if receivers.is_empty() {
            return None;
        }
        let purpose = FormPurpose::HandOver;
        let wish = draft.hand_over.as_ref();
        let chosen = wish.and_then(|wish| wish.to.as_ref());
        let receivers = receivers.iter().map(|address| render::Receiver {
            address: address.to_string(),
            is_chosen: chosen == Some(address),
        });
        Some(render::HandOverForm {
            action: format!("/api/decision/{}", approval.request.id),
            token: app
                .link_keys
                .csrf_token(approval, identified.approver, purpose)?,
            page_token: app.page_token(approval, identified.approver),
            receivers: receivers.collect(),
            reason: wish.map_or_else(String::new, |wish| wish.reason.clone()),
            identification: self.identification(purpose)?,
            problem: self.problem(purpose),
            fault: self.fault(purpose),
        })
    }

    fn identification(&self, purpose: FormPurpose) -> Option<Identification> {
        let Identified {
            approver,
            assurance,
            has_link,
            ..
        } = self.identified;
        let link = self.app.link_keys.link_token(self.approval, approver);
        Some(match assurance {
            // Only who came with the link gets it back.
            Assurance::Entra(_) => Identification::SignedIn {
                link: link.filter(|_| has_link),
            },
            Assurance::Link | Assurance::LinkOnly => Identification::Link {
                link: link?,
                locked: is_locked(&self.approval.approvers[approver], purpose),
            },
        })
    }

    /// The field that was at fault in the last form, if it had this purpose.
    fn fault(&self, purpose: FormPurpose) -> Option<render::Field> {
        let (_, result) = self.draft.result.filter(|(sent, _)| *sent == purpose)?;
        field_at_fault(result)
    }

    /// Why the last form was not accepted, if it had this purpose.
    fn problem(&self, purpose: FormPurpose) -> Option<String> {
        let is_sent = self.draft.result.is_some_and(|(sent, _)| sent == purpose);
        self.message.filter(|_| is_sent).map(str::to_owned)
    }
}

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
    let Identified {
        approver,
        assurance,
        has_link,
        sign_in,
    } = identified;
    let id = &approval.request.id;
    let link = app.link_keys.link_token(approval, approver);
    let has_key = link.is_some();
    let link = link.filter(|_| has_link).unwrap_or_default();
    let (sent, result) = draft.result.unzip();
    let message = draft
        .result
        .and_then(|(form, it)| message(it, approval, approver, form, app));
    let (paused, earlier, precedent, given) = tokio::join!(
        app.paused_since(approval, now),
        app.earlier(approval),
        app.precedent(approval, approver),
        app.grant_given_with(approval, approver)
    );
    let is_signed_in = matches!(assurance, Assurance::Entra(_));
    let withheld = app.withholds_values() && result != Some(DecisionResult::Revealed);
    let style = page_style(app);
    let mut decision_page = DecisionPage::new(approval, &earlier, approver, withheld, now, style);
    let list = &app.config.allowed_approvers;
    decision_page.show_awaited(approval, |address| list.allows(address), now);
    decision_page.show_disallowed(&app.disallowed_approvers(approval, now));
    if let Some(since) = paused {
        decision_page.show_pause(since);
    }
    decision_page.has_list = is_signed_in;
    let zone = &app.config.brand.zone;
    decision_page.precedent = precedent.map(|it| PrecedentView::new(&it, zone));
    let forms = Forms {
        app,
        approval,
        identified,
        draft: &draft,
        message: message.as_deref(),
        is_paused: paused.is_some(),
    };
    let form = |purpose| forms.of(purpose);
    if approval.can_vote(approver, now) {
        decision_page.form = form(FormPurpose::Decision);
        if !has_key {
            tracing::warn!(
                id = id.to_string(),
                "a page offers no decision: the link key of its request is missing"
            );
            decision_page.notice = Some(KEY_MISSING.to_owned());
        }
    }
    let is_revocable = !approval.can_vote(approver, now) && approval.is_revocable_by(approver, now);
    let is_handed_over = approval.plan.hand_over_by(approver).is_some();
    let hand_over = forms.hand_over();
    decision_page.can_reveal = decision_page.hidden > 0 && !is_signed_in && !is_handed_over;
    decision_page.grant = given.map(|given| match given {
        GivenGrant::Held(held) => {
            let is_accepted = app.accepts_grant(&held.signed.grant, approval);
            GrantView::new(&held, is_accepted, zone, now)
        }
        GivenGrant::Replaced(newer) => {
            let giver = &approval.approvers[approver].address;
            GrantView::replaced(&newer, giver, is_signed_in, zone, now)
        }
    });
    let can_end_grant = decision_page.grant.as_ref().is_some_and(GrantView::can_end);
    if decision_page.awaits_news && result.is_none() && !with_forms {
        decision_page.refresh = Some(address(id, &link, &[]));
        decision_page.forms_page = Some(address(id, &link, &[(FORMS, "1")]));
        decision_page.is_revocable = is_revocable;
        decision_page.can_hand_over = hand_over.is_some();
    } else {
        decision_page.hand_over = hand_over;
        if is_revocable {
            decision_page.revocation = form(FormPurpose::Revocation);
        }
        if can_end_grant {
            decision_page.grant_end = form(FormPurpose::Grant);
        }
        if decision_page.can_reveal {
            decision_page.reveal = form(FormPurpose::Reveal);
        }
    }
    let is_outside = matches!(
        sign_in,
        Err(SignInFault::NotInGroup | SignInFault::GroupUnknown)
    );
    if decision_page.hidden > 0 && is_signed_in && !is_handed_over && !is_outside {
        decision_page.fold_withheld_values(approval);
    }
    if let Err(fault) = sign_in {
        let has_form = decision_page.form.take().is_some();
        let has_hand_over = decision_page.hand_over.take().is_some();
        if has_form || has_hand_over || std::mem::take(&mut decision_page.can_hand_over) {
            decision_page.sign_in = Some(SIGN_IN_AGAIN.to(&address(id, &link, &[])));
            let missing = explain_fault(fault, app);
            decision_page.notice = Some(format!("You cannot decide yet: {missing}"));
        }
    }
    // Show the error next to the form, if there is one.
    let has_form = match sent {
        Some(FormPurpose::Decision) => decision_page.form.is_some(),
        Some(FormPurpose::Revocation) => decision_page.revocation.is_some(),
        Some(FormPurpose::Reveal) => decision_page.reveal.is_some(),
        Some(FormPurpose::Grant) => decision_page.grant_end.is_some(),
        Some(FormPurpose::HandOver) => decision_page.hand_over.is_some(),
        None => false,
    };
    let is_recorded = matches!(
        result,
        Some(
            DecisionResult::GrantNotGiven
                | DecisionResult::GrantEnded
                | DecisionResult::Revealed
                | DecisionResult::RejectedWithoutCode { .. }
        )
    );
    decision_page.has_problem = message.is_some() && !is_recorded;
    if let Some(message) = message.filter(|_| !has_form) {
        decision_page.notice = Some(message);
    }
    let code = match (result, approval.status(now)) {
        (None, Status::Timeout) => StatusCode::GONE,
        (None, _) => StatusCode::OK,
        (Some(result), _) => status_code(result),
    };
    let mut response = page(code, "", decision_page.render_html());
    if let Some(result) = result {
        if let Some(cause) = cause_of_form(result) {
            Cause::add(&mut response, cause);
        }
        // The next page does not show it again.
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
