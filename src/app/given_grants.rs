//! The standing grant that was given with an approval: what became of it, and its end by its giver.

use std::sync::Arc;

use super::code_form::{CodeForm, Judged};
use super::error::Error;
use super::grant_rows;
use super::identify::Caller;
use super::state::App;
use crate::domain::{Approval, DecisionResult, GrantEnd, GrantScope, HeldGrant, Request};
use crate::keys::FormPurpose;
use crate::store::StoreError;
use crate::values::ApprovalId;

/// What became of a standing grant that an approver gave.
pub enum GivenGrant {
    Held(HeldGrant),
    /// It is no longer kept, and this newer one is for exactly the same.
    Replaced(HeldGrant),
}

/// What the rows have of the grant that was given with a request.
enum Found {
    /// The grant, and the name of its row.
    Own(String, HeldGrant),
    /// The last one for exactly the same that was given with another request.
    Other(HeldGrant),
    Nothing,
}

impl App {
    /// The grant that this approver gave with their approval of a request.
    pub async fn grant_given_with(
        &self,
        approval: &Approval,
        approver: usize,
    ) -> Option<GivenGrant> {
        approval.plan.grants?;
        let decision = approval.decision()?;
        if *decision.by.person()? != approval.approvers[approver].address {
            return None;
        }
        match self.find_given(&approval.request).await {
            Ok(Found::Own(_, held)) => Some(GivenGrant::Held(held)),
            Ok(Found::Other(newer)) => {
                let is_newer = newer.signed.grant.given_at >= decision.at;
                // Without its key, the approver's own may be in a row that is not found.
                let has_key = self.link_keys.link_token(approval, approver).is_some();
                let is_replaced = has_key && is_newer && approval.gave_grant(approver);
                is_replaced.then_some(GivenGrant::Replaced(newer))
            }
            Ok(Found::Nothing) => None,
            Err(error) => {
                let id = approval.request.id.to_string();
                tracing::warn!(id, cause = %error, "a standing grant could not be read");
                None
            }
        }
    }

    /// Applies a form that ends the grant which its approver gave with their approval.
    ///
    /// # Errors
    /// As [`App::load_for_approver`].
    pub async fn revoke_grant(
        self: &Arc<Self>,
        id: &ApprovalId,
        caller: &Caller,
        form: &CodeForm,
    ) -> Result<Judged, Error> {
        let loaded = self.load_for_form(id, caller, form.kind()).await?;
        if let Some(held) = loaded.hold.held {
            return Ok(Judged::held_back(loaded, held));
        }
        let judging = self.judge_code_form(
            loaded,
            caller,
            form,
            FormPurpose::Grant,
            |approval, form, _| Ok(approval.judge_grant_revocation(form)),
        );
        let (row, identified, mut result) = judging.await?;
        if result == DecisionResult::GrantEnded && !self.end_given(&row.approval.request).await? {
            result = DecisionResult::GrantGone;
        }
        Ok(Judged {
            approval: row.approval,
            identified,
            result,
        })
    }

    /// Ends the grant that was given with a request, for its giver. Returns whether it was ended, now or before.
    pub(super) async fn end_given(self: &Arc<Self>, request: &Request) -> Result<bool, StoreError> {
        let by = GrantEnd::Giver;
        let is_done = match self.find_given(request).await? {
            Found::Own(_, held) if held.ended.is_some() => return Ok(true),
            Found::Own(name, held) => {
                let (store, id) = (&self.store, &held.signed.grant.id);
                grant_rows::end(store, &name, id, by, || self.now()).await?
            }
            // Its row may have the name of a key that was removed, and would count again with it.
            Found::Other(_) | Found::Nothing => {
                grant_rows::end_given_with(&self.store, &request.id, by, self.now()).await?
            }
        };
        if is_done {
            let id = request.id.to_string();
            tracing::info!(id, "a standing grant was revoked by its giver");
            self.tell_standing_in_background();
        }
        Ok(is_done)
    }

    async fn find_given(&self, request: &Request) -> Result<Found, StoreError> {
        let scope = GrantScope::of(request);
        let mut same = Vec::new();
        for name in self.request_grant_names(request) {
            for held in grant_rows::read(&self.store, &name).await?.held {
                let grant = &held.signed.grant;
                if grant.given_with == request.id {
                    return Ok(Found::Own(name, held));
                }
                if Some(&grant.scope) == scope.as_ref() {
                    same.push(held);
                }
            }
        }
        let last = same.into_iter().max_by_key(|it| it.signed.grant.given_at);
        Ok(last.map_or(Found::Nothing, Found::Other))
    }
}
