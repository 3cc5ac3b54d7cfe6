//! Revoking an approval before it is claimed: by the approver who gave it, or by the operator.

use super::decide::{Caller, Identified, RevocationForm};
use super::error::Error;
use super::state::App;
use crate::domain::{
    Approval, CheckedForm, DecisionResult, Revocation, RevocationStep, Revoker, Verdict,
};
use crate::keys::FormPurpose;
use crate::store::RowVersion;
use crate::values::{ApprovalId, Timestamp};

impl App {
    /// Applies a form that revokes the approver's own approval.
    ///
    /// # Errors
    /// As [`App::load_for_approver`].
    pub async fn revoke(
        &self,
        id: &ApprovalId,
        caller: &Caller,
        form: &RevocationForm,
    ) -> Result<(Approval, (Identified, DecisionResult)), Error> {
        self.check_rows_hold_revocations()?;
        self.update(id, |approval, now| {
            let identified = self.identify(approval, caller)?;
            let checked = CheckedForm {
                has_valid_token: self.link_keys.verify_csrf_token(
                    approval,
                    identified.approver,
                    FormPurpose::Revocation,
                    &form.csrf_token,
                ),
                code: self.check_code(approval, identified.approver, &form.code),
                approver: identified.approver,
                assurance: identified.assurance,
                verdict: Verdict::Reject,
                comment: None,
            };
            let result = match approval.judge_revocation(&checked, now) {
                RevocationStep::Sign(by) => self.record_revocation(approval, by, now)?,
                RevocationStep::Done(result) => result,
            };
            Ok((identified, result))
        })
        .await
    }

    /// Revokes an approval for the operator. One that is revoked already stays so.
    ///
    /// # Errors
    /// When it is no approval, or was claimed or has lapsed; or as [`App::load`].
    pub async fn revoke_for_operator(&self, id: &ApprovalId) -> Result<Approval, Error> {
        self.check_rows_hold_revocations()?;
        let (approval, ()) = self
            .update(id, |approval, now| {
                let revocable = approval.check_revocable(now);
                let revocable = revocable.map_err(|_| Error::invalid_transition(approval, now))?;
                if revocable {
                    self.record_revocation(approval, Revoker::Operator, now)?;
                }
                Ok(())
            })
            .await?;
        Ok(approval)
    }

    fn record_revocation(
        &self,
        approval: &mut Approval,
        by: Revoker,
        now: Timestamp,
    ) -> Result<DecisionResult, Error> {
        let keys = &self.receipt_keys;
        let proof = keys.sign_revocation(&self.base_url, approval, &by, now);
        let proof = proof.ok_or_else(|| Error::invalid_transition(approval, now))?;
        let recorded = approval.record_revocation(Revocation { by, proof }, now);
        recorded.map_err(|_| Error::invalid_transition(approval, now))?;
        Ok(DecisionResult::Revoked)
    }

    fn check_rows_hold_revocations(&self) -> Result<(), Error> {
        match self.config.rows.version {
            RowVersion::V2 => Ok(()),
            RowVersion::V1 => Err(Error::Forbidden(
                "With HO_ROWS=1 an approval cannot be revoked.",
            )),
        }
    }
}
