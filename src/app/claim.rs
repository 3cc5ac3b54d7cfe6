//! What an agent can do with its own request: claim it, report its outcome, withdraw it.

use std::sync::Arc;

use human_oversight_protocol::parameters::sha256;
use human_oversight_protocol::types::KeySet;
use subtle::ConstantTimeEq;

use super::error::{ConflictReason, Error};
use super::state::App;
use crate::domain::{Approval, Claim, ClaimResult, Execution};
use crate::keys::AgentCredential;
use crate::store::RowVersion;
use crate::values::{ApprovalId, Timestamp};

impl App {
    /// Claims an approval. It is granted once; the same `nonce` gets it again.
    ///
    /// # Errors
    /// When the caller is not the owner, the claimant's secret is wrong, the request cannot be claimed,
    /// a person who approved may no longer approve, or it is paused.
    pub async fn claim(
        self: &Arc<Self>,
        id: &ApprovalId,
        credential: &AgentCredential,
        nonce: &str,
        secret: Option<&str>,
    ) -> Result<Approval, Error> {
        let claiming = self.try_claim(id, credential, nonce, secret);
        let (approval, (claim, judged_at)) = claiming.await?;
        match claim {
            ClaimResult::Granted => Ok(approval),
            ClaimResult::Refused => Err(Error::invalid_transition(&approval, judged_at)),
        }
    }

    /// As [`App::claim`], for a caller that takes a refusal too. Returns whether the claim is granted, and when that was
    /// judged.
    ///
    /// # Errors
    /// As [`App::claim`], unless the request cannot be claimed.
    pub(super) async fn try_claim(
        self: &Arc<Self>,
        id: &ApprovalId,
        credential: &AgentCredential,
        nonce: &str,
        secret: Option<&str>,
    ) -> Result<(Approval, (ClaimResult, Timestamp)), Error> {
        self.update_unless_paused(id, credential, |approval, now| {
            self.check_machine_clock()?;
            self.check_owner(&approval.request, credential)?;
            verify_secret(approval, secret)?;
            self.check_approvers_allowed(approval, now)?;
            let claim = self.signed_claim(approval, nonce, now)?;
            Ok((approval.claim(claim, now), now))
        })
        .await
    }

    /// Fails if a person whose approval counted may no longer approve, for an approval that can still be claimed.
    /// Nothing is stored, so it can be claimed once the list is mended.
    fn check_approvers_allowed(&self, approval: &Approval, now: Timestamp) -> Result<(), Error> {
        let is_awaited = approval.execution(now) == Some(Execution::Awaited);
        if is_awaited && !self.disallowed_approvers(approval, now).is_empty() {
            return Err(Error::Conflict(ConflictReason::ApproverNotAllowed));
        }
        Ok(())
    }

    /// A claim with the permit that is stored if it is granted. Rows of version 1 have no place for one.
    ///
    /// # Errors
    /// When no key is in force.
    fn signed_claim(
        &self,
        approval: &Approval,
        nonce: &str,
        now: Timestamp,
    ) -> Result<Claim, Error> {
        let permit = if self.signs_permits() {
            self.receipt_keys
                .sign_permit(&self.base_url, approval, nonce, now)?
        } else {
            None
        };
        Ok(Claim {
            nonce: nonce.to_owned(),
            permit,
        })
    }

    /// The public keys, and the addresses under which the gate signs; none where it signs no permits.
    pub fn published_keys(&self) -> KeySet {
        let mut published = self.receipt_keys.public().clone();
        if self.signs_permits() {
            published.issuers.push(self.base_url.clone());
            published.issuers.extend(self.config.issuers.clone());
        }
        published
    }

    fn signs_permits(&self) -> bool {
        self.config.rows.version == RowVersion::V2
    }

    /// Records the outcome of the action: success, or failure with an error text. A report that names the `nonce` of
    /// its claim counts only for that claim.
    ///
    /// # Errors
    /// When the caller is not the owner, the claimant's secret is wrong, nothing was claimed, another claim was granted,
    /// or another outcome was reported.
    pub async fn report_outcome(
        self: &Arc<Self>,
        id: &ApprovalId,
        credential: &AgentCredential,
        report: Result<(), Option<String>>,
        nonce: Option<&str>,
        secret: Option<&str>,
    ) -> Result<Approval, Error> {
        let row = self.load_owned(id, credential).await?;
        let (approval, ()) = self
            .update_and_tell(row, |approval, now| {
                self.check_owner(&approval.request, credential)?;
                verify_secret(approval, secret)?;
                let granted = approval.granted_claim().map(|claim| claim.nonce.as_str());
                if nonce.is_some() && granted.is_some() && nonce != granted {
                    return Err(Error::Conflict(ConflictReason::OtherClaim));
                }
                let reported = approval.report(report.clone(), now);
                reported.map_err(|_| Error::invalid_transition(approval, now))
            })
            .await?;
        Ok(approval)
    }

    /// Withdraws a pending request.
    ///
    /// # Errors
    /// When the clock of this machine is wrong, the caller is not the owner, the claimant's secret is wrong or the request is
    /// no longer pending.
    pub async fn withdraw(
        self: &Arc<Self>,
        id: &ApprovalId,
        credential: &AgentCredential,
        secret: Option<&str>,
    ) -> Result<Approval, Error> {
        let row = self.load_owned(id, credential).await?;
        let (approval, ()) = self
            .update_and_tell(row, |approval, now| {
                self.check_machine_clock()?;
                self.check_owner(&approval.request, credential)?;
                verify_secret(approval, secret)?;
                let withdrawn = approval.withdraw(now);
                withdrawn.map_err(|_| Error::invalid_transition(approval, now))
            })
            .await?;
        Ok(approval)
    }
}

/// Checks the claimant's secret, if the request named its digest.
fn verify_secret(approval: &Approval, secret: Option<&str>) -> Result<(), Error> {
    let Some(claimant) = approval.request.claimant else {
        return Ok(());
    };
    let digest = sha256(secret.unwrap_or_default().as_bytes());
    if bool::from(digest.ct_eq(&claimant.0)) {
        Ok(())
    } else {
        Err(Error::Forbidden(
            "This call needs the requester's secret, whose digest was submitted as claimant.",
        ))
    }
}
