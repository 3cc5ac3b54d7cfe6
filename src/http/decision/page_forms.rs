//! The forms of the page of a request.

use super::draft::Draft;
use super::result::field_at_fault;
use crate::app::{App, Identified};
use crate::domain::{Approval, Approver, Assurance, MAX_WRONG_CODES};
use crate::keys::FormPurpose;
use crate::policy::CommentRule;
use crate::render::{self, DecisionPage, GrantOffer, GrantView, Identification, PageForms};
use crate::values::Timestamp;

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
pub(super) struct Forms<'a> {
    pub(super) app: &'a App,
    pub(super) approval: &'a Approval,
    pub(super) identified: Identified,
    pub(super) draft: &'a Draft,
    pub(super) message: Option<&'a str>,
    /// Whether a standing grant can be given. One that is given during a pause would end with it.
    pub(super) takes_grants: bool,
}

impl Forms<'_> {
    /// The forms for all that the approver can do on this page.
    pub(super) fn all(&self, page: &DecisionPage<'_>, now: Timestamp) -> PageForms {
        let form = |is_offered: bool, purpose| {
            let form = is_offered.then(|| self.of(purpose));
            form.flatten()
        };
        let can_vote = self.approval.can_vote(self.identified.approver, now);
        let can_end_grant = page.grant.as_ref().is_some_and(GrantView::can_end);
        PageForms {
            decision: form(can_vote, FormPurpose::Decision),
            revocation: form(page.is_revocable, FormPurpose::Revocation),
            grant_end: form(can_end_grant, FormPurpose::Grant),
            reveal: form(page.can_reveal, FormPurpose::Reveal),
            hand_over: self.hand_over(),
        }
    }

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
            grants: terms
                .filter(|_| self.takes_grants)
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
