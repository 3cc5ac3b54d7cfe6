//! Submitting a request.

use std::sync::Arc;
use std::time::Duration;

use tracing::Instrument;

use super::error::{ConflictReason, Error};
use super::state::{App, log_events};
use crate::domain::{Approval, Approver, Parameters, Request};
use crate::keys::FunctionKey;
use crate::store::{RowVersion, StoreError};
use crate::values::{Address, ApprovalId, Digest, Owner};

/// A valid request, not yet stored.
pub struct Submission {
    /// The agent's name and its correlation id.
    pub id: ApprovalId,
    /// The action, in one line.
    pub action: String,
    /// The exact arguments.
    pub parameters: Parameters,
    /// The approvers, all on the operator's list.
    pub approvers: Vec<Address>,
    /// The time to decide.
    pub timeout: Duration,
    /// The agent's explanation.
    pub reason: Option<String>,
    /// The person on whose behalf the agent acts.
    pub on_behalf_of: Option<Address>,
    /// The digest of the claimant's secret.
    pub claimant: Option<Digest>,
    /// The digest of the body, which identifies a repeat.
    pub digest: Digest,
    /// The same with members that are `null`, as in the rows of earlier versions.
    pub digest_as_sent: Digest,
    /// The function key of the caller.
    pub key: FunctionKey,
}

impl App {
    /// Stores a request and emails the approvers, unless it is stored already. Returns the approval, and
    /// whether it is new.
    ///
    /// Runs in its own task, so that a disconnected caller does not interrupt it.
    ///
    /// # Errors
    /// When the caller may not act for the agent, operations are paused, the id was used by another owner or
    /// for other content, the agent has too many open requests, or the store fails.
    pub async fn submit(
        self: &Arc<Self>,
        submission: Submission,
    ) -> Result<(Approval, bool), Error> {
        let key = submission.key.clone();
        let owner = self.owner(&key, submission.id.agent());
        let owner = owner.ok_or(Error::Forbidden(
            "This function key may not act for this agent (HO_AGENT_KEYS).",
        ))?;
        let digests = [submission.digest, submission.digest_as_sent];
        let approval = self.new_approval(submission, owner.clone());
        self.check_not_paused(&approval.request, &key).await?;
        let app = self.clone();
        let storing = async move { app.insert(approval, digests, &owner, &key).await };
        let stored = tokio::spawn(storing.in_current_span()).await;
        stored.map_err(|_| Error::Bug)?
    }

    fn new_approval(&self, submission: Submission, owner: Owner) -> Approval {
        let now = self.now();
        let request = Request {
            id: submission.id,
            action: submission.action,
            parameters: submission.parameters,
            reason: submission.reason,
            on_behalf_of: submission.on_behalf_of,
            claimant: submission.claimant,
            digest: submission.digest,
            owner: Some(owner).filter(|_| self.config.rows.version == RowVersion::V2),
            requested_at: now,
            expires_at: now + submission.timeout,
        };
        let approvers = submission.approvers.into_iter().map(|address| Approver {
            link_key: self.link_keys.current_kid().to_owned(),
            mac: self.link_keys.approver_mac(&request, &address),
            address,
            wrong_codes: 0,
            wrong_revocation_codes: 0,
            wrong_reveal_codes: 0,
            deliveries: Vec::new(),
        });
        let approvers = approvers.collect();
        Approval::new(request, approvers)
    }

    async fn insert(
        &self,
        mut approval: Approval,
        digests: [Digest; 2],
        owner: &Owner,
        key: &FunctionKey,
    ) -> Result<(Approval, bool), Error> {
        let id = approval.request.id.clone();
        if let Err(refused) = self.charge(owner, &approval.approvers).await {
            return self.find_repeat(&id, digests, key, refused.into()).await;
        }
        let submitted = approval.clone();
        // Leasing within the insert saves a write.
        let now = approval.request.requested_at;
        let attempts = approval.lease_deliveries(self.config.notifications, now);
        let due = approval.next_due(self.config.outcome_within);
        let earlier = self.earlier_rejections(&submitted);
        let (stored, earlier) = tokio::join!(self.store.insert(approval, due), earlier);
        match stored {
            Ok(stored) => {
                log_events(&stored.approval, 0);
                match self.notify(stored.clone(), attempts, &earlier).await {
                    Ok(approval) => Ok((approval, true)),
                    // The request is stored, so it is accepted; the sweep retries the deliveries.
                    Err(error) => {
                        let (id, cause) = (id.to_string(), error.cause());
                        tracing::warn!(id, cause, "the results of the emails could not be stored");
                        Ok((stored.approval, true))
                    }
                }
            }
            Err(refused @ (StoreError::AlreadyExists | StoreError::OpenLimit)) => {
                self.refund(owner, &submitted.approvers).await;
                let refused = match refused {
                    StoreError::OpenLimit => Error::TooManyOpen(self.config.open_limit),
                    refused => refused.into(),
                };
                self.find_repeat(&id, digests, key, refused).await
            }
            Err(error) => Err(error.into()),
        }
    }

    /// The stored request, if this submit repeats it; otherwise `refused`, or that its id is taken.
    async fn find_repeat(
        &self,
        id: &ApprovalId,
        digests: [Digest; 2],
        key: &FunctionKey,
        refused: Error,
    ) -> Result<(Approval, bool), Error> {
        let taken = Error::Conflict(ConflictReason::OtherContent);
        match self.load_owned(id, key).await {
            Err(Error::NotFound) => Err(refused),
            Err(hidden @ Error::Hidden(_)) => {
                if let Some(cause) = hidden.cause() {
                    tracing::error!(id = id.to_string(), cause, "integrity problem");
                }
                Err(taken)
            }
            Err(error) => Err(error),
            Ok(stored) if digests.contains(&stored.approval.request.digest) => {
                Ok((stored.approval, false))
            }
            Ok(_) => Err(taken),
        }
    }
}
