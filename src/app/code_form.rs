//! Forms that decide nothing and take the code of the email, such as one that revokes an approval.

use super::error::Error;
use super::form_load::{FormKind, LoadedForm};
use super::identify::{Caller, Identified};
use super::state::App;
use crate::domain::{Approval, CheckedForm, DecisionResult};
use crate::keys::FormPurpose;
use crate::store::Versioned;
use crate::values::Timestamp;

/// A form that revokes an approval, shows hidden values, ends a standing grant or hands a seat over, as posted.
pub struct CodeForm {
    pub csrf_token: String,
    /// Empty in the form of an earlier gate.
    pub page_token: String,
    /// The one-time code; empty if the approver entered none.
    pub code: String,
}

impl CodeForm {
    pub(super) fn kind(&self) -> FormKind<'_> {
        FormKind {
            page_token: &self.page_token,
            code: &self.code,
            may_decide: false,
        }
    }
}

/// A request after a form, and what the form did.
pub struct Judged {
    pub approval: Approval,
    /// Who sent the form.
    pub identified: Identified,
    pub result: DecisionResult,
}

impl Judged {
    /// A form that changed nothing, since the codes of its sender are held back.
    pub(super) fn held_back(loaded: LoadedForm, result: DecisionResult) -> Self {
        Self {
            approval: loaded.row.approval,
            identified: loaded.identified,
            result,
        }
    }
}

impl App {
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
    ) -> Result<(Versioned, Identified, DecisionResult), Error> {
        let LoadedForm { row, hold, .. } = loaded;
        let judging = self.update(row, |approval, now| {
            let identified = self.identify(approval, caller)?;
            let secrets = (form.csrf_token.as_str(), form.code.as_str());
            let checked = self.check_form(secrets, purpose, identified, approval);
            Ok((identified, judge(approval, &checked, now)?))
        });
        let (row, (identified, result)) = judging.await?;
        if result.is_wrong_code() {
            self.count_wrong_code(&row.approval, identified.approver)
                .await?;
        }
        drop(hold);
        Ok((row, identified, result))
    }

    /// Checks the CSRF token and the one-time code of a form.
    pub(super) fn check_form(
        &self,
        (token, code): (&str, &str),
        purpose: FormPurpose,
        identified: Identified,
        approval: &Approval,
    ) -> CheckedForm {
        let Identified {
            approver,
            assurance,
            sign_in,
            ..
        } = identified;
        let keys = &self.link_keys;
        CheckedForm {
            approver,
            aliases: self.aliases_of(approval, approver, assurance),
            assurance,
            sign_in,
            has_valid_token: keys.verify_csrf_token(approval, approver, purpose, token),
            code: self.check_code(approval, approver, code),
        }
    }
}
