//! Loads the request of a form, and side by side with its row what the form may need: on tables each is a round trip.

use super::code_holds::{self, CodeHold};
use super::error::Error;
use super::identify::{Caller, Identified};
use super::state::App;
use crate::domain::Approval;
use crate::keys::FormPurpose;
use crate::store::{Announcement, Versioned};
use crate::values::ApprovalId;

/// What is known of a form before its row is read.
#[derive(Clone, Copy)]
pub(super) struct FormKind<'a> {
    pub(super) page_token: &'a str,
    /// The one-time code; empty if the approver entered none.
    pub(super) code: &'a str,
    /// Whether it may decide the request.
    pub(super) may_decide: bool,
}

/// The request of a form, for one of its approvers.
pub(super) struct LoadedForm {
    pub(super) row: Versioned,
    pub(super) identified: Identified,
    pub(super) hold: CodeHold,
    /// The index entry of the decision, if it may decide and the gate has shown the page to the sender.
    pub(super) announcement: Option<Announcement>,
}

impl App {
    /// Loads a request for one of its approvers, who sent a form. With its page token everything is one round trip.
    ///
    /// # Errors
    /// As [`App::load_for_approver`]; or [`Error::Unavailable`] if it cannot be read whether codes are held back.
    pub(super) async fn load_for_form(
        &self,
        id: &ApprovalId,
        caller: &Caller,
        form: FormKind<'_>,
    ) -> Result<LoadedForm, Error> {
        let shown_to = self
            .link_keys
            .verify_page_token(id, form.page_token, self.now());
        let is_signed_in = matches!(caller.member, Some(Ok(_)));
        let reading = async {
            let person = shown_to.filter(|_| !is_signed_in && !form.code.is_empty())?;
            Some(self.read_codes(person).await)
        };
        let announcing = async {
            shown_to.filter(|_| form.may_decide)?;
            self.store.announce_decision(id, self.now()).await
        };
        let loading = self.load_for_approver(id, caller);
        let (loaded, codes, announcement) = tokio::join!(loading, reading, announcing);
        let (row, identified) = loaded?;
        let hold = self.check_hold(&row.approval, identified, form.code, codes);
        Ok(LoadedForm {
            hold: hold.await?,
            row,
            identified,
            announcement,
        })
    }

    /// The request of a form that was sent without a sign-in, and the approver for whom its page was made; `None` if the
    /// token of the form does not say so.
    pub async fn approver_of_form(
        &self,
        id: &ApprovalId,
        (token, purpose): (&str, FormPurpose),
    ) -> Option<(Approval, usize)> {
        let approval = self.store.get(id).await.ok()?.approval;
        let keys = &self.link_keys;
        let mut people = 0..approval.approvers.len();
        let approver = people.find(|it| keys.verify_csrf_token(&approval, *it, purpose, token))?;
        Some((approval, approver))
    }

    /// The token of pages that are shown to an approver.
    pub fn page_token(&self, approval: &Approval, approver: usize) -> String {
        let person = code_holds::name_of(&approval.approvers[approver].address);
        self.link_keys
            .page_token(&approval.request.id, &person, self.now())
    }
}
