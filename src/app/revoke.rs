//! Revoking an approval before it is claimed: by the approver who gave it, or by the operator.

use std::sync::Arc;
use std::time::Duration;

use super::code_form::{CodeForm, Judged};
use super::error::{ConflictReason, Error};
use super::grant_rows;
use super::identify::Caller;
use super::notify::Leased;
use super::retries::Retries;
use super::state::{App, log_events};
use crate::domain::{Approval, DecisionResult, GrantEnd, Revocation, RevocationStep, Revoker};
use crate::keys::FormPurpose;
use crate::keys::receipt::{self, Contradiction, ReceiptKeys};
use crate::store::{RowSettings, RowVersion, Store};
use crate::values::{ApprovalId, Clock, Timestamp};

impl App {
    /// Applies a form that revokes the approver's own approval.
    ///
    /// # Errors
    /// As [`App::load_for_approver`].
    pub async fn revoke(
        self: &Arc<Self>,
        id: &ApprovalId,
        caller: &Caller,
        form: &CodeForm,
    ) -> Result<Judged, Error> {
        check_rows_hold_revocations(&self.config.rows)?;
        let loaded = self.load_for_form(id, caller, form.kind()).await?;
        self.check_machine_clock()?;
        if let Some(held) = loaded.hold.held {
            return Ok(Judged::held_back(loaded, held));
        }
        let (approval, identified) = (&loaded.row.approval, loaded.identified);
        let revokes = || {
            let secrets = (form.csrf_token.as_str(), form.code.as_str());
            let checked = self.check_form(secrets, FormPurpose::Revocation, identified, approval);
            let step = approval.clone().judge_revocation(&checked, self.now());
            !matches!(step, RevocationStep::Done(_))
        };
        self.void_grants_if(&approval.request, Some(id), revokes)
            .await?;
        // Without its key, the row of the grant that was given with it has another name than those of today's keys.
        let has_key = self.link_keys.link_token(approval, identified.approver);
        if has_key.is_none() && approval.plan.grants.is_some() && revokes() {
            self.end_given(&approval.request).await?;
        }
        let purpose = FormPurpose::Revocation;
        let mut leased = Leased::default();
        let revoking =
            self.judge_code_form(loaded, caller, form, purpose, |approval, form, now| {
                let result = match approval.judge_revocation(form, now) {
                    RevocationStep::Sign(by) => {
                        self.record_revocation(approval, by, now)?;
                        DecisionResult::Revoked
                    }
                    RevocationStep::Vote(ballot) => {
                        self.record_ballot(approval, ballot)?;
                        DecisionResult::Revoked
                    }
                    RevocationStep::Done(result) => result,
                };
                leased = self.lease_after_form(approval, result == DecisionResult::Revoked, now);
                Ok(result)
            });
        let (row, identified, result) = revoking.await?;
        let approval = self.notify_in_background(row, leased);
        // What was a vote may have rejected the request.
        if result == DecisionResult::Revoked {
            self.keep_decision_in_background(&approval);
            self.keep_rejection(&approval, None).await;
        }
        Ok(Judged {
            approval,
            identified,
            result,
        })
    }

    /// Revokes an approval for the operator, as [`revoke_for_operator`].
    ///
    /// # Errors
    /// As [`revoke_for_operator`].
    pub async fn revoke_for_operator(
        self: &Arc<Self>,
        id: &ApprovalId,
    ) -> Result<(Approval, bool), Error> {
        let (store, keys, rows) = (&self.store, &self.receipt_keys, &self.config.rows);
        let (approval, done) = revoke_for_operator(store, keys, rows, id, &self.clock).await?;
        self.changes.wake(id);
        // Of the grant that ends with it.
        if done && approval.plan.grants.is_some() {
            self.tell_standing_in_background();
        }
        tracing::warn!(
            id = id.to_string(),
            done,
            "approval revoked by the operator"
        );
        Ok((approval, done))
    }

    fn record_revocation(
        &self,
        approval: &mut Approval,
        by: Revoker,
        now: Timestamp,
    ) -> Result<(), Error> {
        let keys = &self.receipt_keys;
        let proof = keys.sign_revocation(&self.base_url, approval, &by, now)?;
        let proof = proof.ok_or_else(|| Error::invalid_transition(approval, now))?;
        let recorded = approval.record_revocation(Revocation { by, proof }, now);
        recorded.map_err(|_| Error::invalid_transition(approval, now))
    }
}

/// Revokes an approval for the operator, signed under the address of its receipt. Returns `false` if it was
/// revoked before: then it stays so. The command line does it without the gate.
///
/// # Errors
/// [`ConflictReason::NotRevocable`] when it is no approval, or was claimed or has lapsed; or as
/// [`App::load`]. It may be revoked nevertheless if the store is unavailable.
pub async fn revoke_for_operator(
    store: &Store,
    keys: &ReceiptKeys,
    rows: &RowSettings,
    id: &ApprovalId,
    clock: &Clock,
) -> Result<(Approval, bool), Error> {
    check_rows_hold_revocations(rows)?;
    let mut retries = Retries::new();
    loop {
        let mut row = store.get(id).await?;
        let approval = &mut row.approval;
        let contradiction = |error: Contradiction| Error::Integrity(error.to_string());
        receipt::check(approval, keys.public()).map_err(contradiction)?;
        let (now, known) = (clock(), approval.history.len());
        let refused = |why| Error::Conflict(ConflictReason::NotRevocable(why));
        if !approval.check_revocable(now).map_err(refused)? {
            return Ok((row.approval, false));
        }
        let issuer = keys.issuer_of(approval).ok_or(Error::Bug)?;
        let by = Revoker::Operator;
        let proof = keys.sign_revocation(&issuer, approval, &by, now)?;
        let proof = proof.ok_or(Error::Bug)?;
        grant_rows::end_given_with(store, id, GrantEnd::Operator, now).await?;
        let recorded = approval.record_revocation(Revocation { by, proof }, now);
        recorded.map_err(refused)?;
        // Nothing is executing, so there is no outcome to wait for.
        let due = approval.next_due(Duration::ZERO);
        match store.replace(row, due).await {
            Ok(stored) => {
                log_events(&stored.approval, known);
                return Ok((stored.approval, true));
            }
            Err(error) => retries.wait_after(error).await?,
        }
    }
}

fn check_rows_hold_revocations(rows: &RowSettings) -> Result<(), Error> {
    match rows.version {
        RowVersion::V2 => Ok(()),
        RowVersion::V1 => Err(Error::Forbidden(
            "With HO_ROWS=1 an approval cannot be revoked.",
        )),
    }
}
