//! Forms that decide nothing and take the code of the email, such as one that revokes an approval.

use super::error::Error;
use super::form_load::{FormKind, LoadedForm};
use super::identify::{Caller, Identified};
use super::state::App;
use crate::domain::{Approval, CheckedForm, DecisionResult, Verdict};
use crate::keys::FormPurpose;
use crate::store::Versioned;
use crate::values::{ApprovalId, Timestamp};

/// A form that revokes an approval, shows hidden values, ends a standing grant or hands a seat over, as posted.
pub struct CodeForm {
    pub csrf_token: String,
    /// Empty in the form of an earlier gate.
    pub page_token: String,
    /// The one-time code; empty if the approver entered none.
    pub code: String,
}

/// What a form did to a request.
pub(super) type Judged = (Approval, (Identified, DecisionResult));

impl App {
    /// Loads a request for one of its approvers, unless their codes are held back: then what becomes of the form.
    ///
    /// # Errors
    /// As [`App::load_for_approver`].
    pub(super) async fn load_for_code(
        &self,
        id: &ApprovalId,
        caller: &Caller,
        form: &CodeForm,
    ) -> Result<Result<LoadedForm, Judged>, Error> {
        let kind = FormKind {
            page_token: &form.page_token,
            code: &form.code,
            may_decide: false,
        };
        let loaded = self.load_for_form(id, caller, kind).await?;
        Ok(match loaded.hold.held {
            None => Ok(loaded),
            Some(held) => Err((loaded.row.approval, (loaded.identified, held))),
        })
    }

    /// Applies a form by a rule of the domain, and counts a wrong code for its person.
    ///
    /// # Errors
    /// As [`App::update`].
    pub(super) async fn judge_code_form(
        &self,
        loaded: LoadedForm,
        caller: &Caller,
        form: &CodeForm,
        purpose: FormPurpose,
        mut judge: impl FnMut(&mut Approval, &CheckedForm, Timestamp) -> Result<DecisionResult, Error>,
    ) -> Result<(Versioned, (Identified, DecisionResult)), Error> {
        let LoadedForm { row, hold, .. } = loaded;
        let judging = self.update(row, |approval, now| {
            let identified = self.identify(approval, caller)?;
            let checked = self.check_form(form, purpose, identified, approval);
            Ok((identified, judge(approval, &checked, now)?))
        });
        let (row, (identified, result)) = judging.await?;
        if result.is_wrong_code() {
            self.count_wrong_code(&row.approval, identified.approver)
                .await?;
        }
        drop(hold);
        Ok((row, (identified, result)))
    }

    /// Checks the secrets in a form that decides nothing.
    pub(super) fn check_form(
        &self,
        form: &CodeForm,
        purpose: FormPurpose,
        Identified {
            approver,
            assurance,
            sign_in,
            ..
        }: Identified,
        approval: &Approval,
    ) -> CheckedForm {
        let (keys, token) = (&self.link_keys, &form.csrf_token);
        CheckedForm {
            unlisted: Vec::new(),
            aliases: self.aliases_of(approval, approver, assurance),
            has_valid_token: keys.verify_csrf_token(approval, approver, purpose, token),
            code: self.check_code(approval, approver, &form.code),
            approver,
            assurance,
            sign_in,
            verdict: Verdict::Reject,
            preset: None,
            comment: None,
            grant: None,
            votes: None,
            words: None,
            question: None,
            typed: 0,
        }
    }
}
