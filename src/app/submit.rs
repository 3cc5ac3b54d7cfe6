//! Submitting a request.

use std::sync::Arc;

use tracing::Instrument;

use super::budgets::emails_to;
use super::error::{ConflictReason, Error};
use super::notify::SUBMIT_SEND_TIMEOUT;
use super::policy::{DecidedAlone, Ruling};
use super::state::{App, log_events};
use super::submission::{Identity, Submission};
use crate::domain::{
    Approval, Approver, Charge, Decider, Earlier, Plan, Proposal, Request, Verdict, Words,
};
use crate::policy::Reask;
use crate::store::{RowVersion, StoreError};
use crate::values::{Address, Owner};

impl App {
    /// Stores a request and emails the approvers, unless it is stored already. Returns the approval, and
    /// whether it is new.
    ///
    /// Runs in its own task, so that a disconnected caller does not interrupt it.
    ///
    /// # Errors
    /// When the caller may not act for the agent, operations are paused, the id was used by another owner or
    /// for other content, the agent has too many open requests, the clock of this machine is wrong, or the store fails.
    pub async fn submit(
        self: &Arc<Self>,
        submission: Submission,
    ) -> Result<(Approval, bool), Error> {
        let credential = submission.credential.clone();
        let owner = self.owner(&credential, submission.id.agent());
        let owner = owner.ok_or(Error::Forbidden(
            "This function key or identity may not act for this agent (HO_AGENT_KEYS).",
        ))?;
        self.check_not_paused(&submission.id, &owner, &credential)
            .await?;
        self.check_machine_clock()?;
        let app = self.clone();
        let storing = async move { app.judge_and_insert(submission, &owner).await };
        let stored = tokio::spawn(storing.in_current_span()).await;
        stored.map_err(|_| Error::Bug)?
    }

    /// A repeat is answered as stored, whatever the policy says today, and charges nothing. It is detected by the insert,
    /// which finds the row taken. The row is read before that only where the policy refuses, or a limit or a grant may be
    /// used.
    async fn judge_and_insert(
        self: &Arc<Self>,
        submission: Submission,
        owner: &Owner,
    ) -> Result<(Approval, bool), Error> {
        let identity = submission.identity();
        if let Some(earlier) = &submission.supersedes
            && let Err(refused) = self.check_superseded(earlier, &submission.credential).await
        {
            return self.find_repeat(&identity, refused).await;
        }
        if !self.can_call_back(&submission) {
            return self.find_repeat(&identity, Error::NoCallback).await;
        }
        match self.judge(&submission, owner).await {
            Ok(Ruling::Stored(approval)) => Ok((*approval, false)),
            Ok(Ruling::Ask {
                plan,
                people,
                time,
                reask,
            }) => {
                if reask == Reask::Refuse
                    && let Err(refused) = self.check_not_rejected(&submission, owner).await
                {
                    return self.find_repeat(&identity, refused).await;
                }
                if plan.grants.is_some() {
                    // A repeat costs no use.
                    if let Some(stored) = self.find_stored(&identity).await? {
                        return Ok((stored, false));
                    }
                    let using = self.use_grant(&submission, owner, &plan, &people);
                    if let Some(signed) = using.await? {
                        let decided = DecidedAlone::by_grant(plan, signed);
                        return self
                            .insert_decided(submission, decided, &identity, owner)
                            .await;
                    }
                }
                let submission = Submission {
                    timeout: time,
                    ..submission
                };
                let approval = self.new_approval(submission, plan, people, owner.clone());
                self.insert(approval, &identity, owner).await
            }
            Ok(Ruling::Decide(decided)) => {
                self.insert_decided(submission, decided, &identity, owner)
                    .await
            }
            Err(refused) => self.find_repeat(&identity, refused).await,
        }
    }

    /// Whether the policy lets the agent be told as it wishes.
    fn can_call_back(&self, submission: &Submission) -> bool {
        let Some(callback) = &submission.callback else {
            return true;
        };
        let agent = submission.id.agent();
        let policy = self.config.policy.as_ref();
        policy.is_some_and(|it| it.can_call_back(agent, &callback.channel))
    }

    /// A request that no person has decided.
    fn decided_approval(
        &self,
        submission: Submission,
        decided: &DecidedAlone,
        owner: Owner,
    ) -> Result<Approval, Error> {
        let run_within = decided.plan.run_within.unwrap_or(self.config.run_within);
        let plan = decided.plan.clone();
        let mut approval = self.new_approval(submission, plan, Vec::new(), owner);
        let now = approval.request.requested_at;
        let proposal = Proposal {
            by: decided.decider.clone(),
            words: Words {
                comment: decided.reason.clone(),
                ..Words::default()
            },
            at: now,
            run_by: (decided.verdict == Verdict::Approve).then(|| decided.run_by(now + run_within)),
        };
        let receipt = self
            .receipt_keys
            .sign(&self.base_url, &approval, &proposal)?;
        approval.record_decision(proposal, receipt);
        Ok(approval)
    }

    fn new_approval(
        &self,
        submission: Submission,
        plan: Plan,
        people: Vec<Address>,
        owner: Owner,
    ) -> Approval {
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
            agent_object_id: submission.credential.object_id(),
            supersedes: submission.supersedes,
            callback: submission.callback,
            needs_step_up: self.config.sign_in.is_some()
                && self.config.rows.version == RowVersion::V2,
            requested_at: now,
            expires_at: now + submission.timeout,
        };
        let approvers = people.into_iter();
        let approvers = approvers.map(|address| self.new_approver(&request, address));
        let approvers = approvers.collect();
        Approval::with_plan(request, plan, approvers)
    }

    /// An approver who has not been asked.
    pub(super) fn new_approver(&self, request: &Request, address: Address) -> Approver {
        Approver {
            link_key: self.link_keys.current_kid().to_owned(),
            mac: self.link_keys.approver_mac(request, &address),
            address,
            wrong_codes: 0,
            wrong_revocation_codes: 0,
            wrong_reveal_codes: 0,
            wrong_hand_over_codes: 0,
            deliveries: Vec::new(),
        }
    }

    /// Stores a request that is decided already. A use of a standing grant is not given back: whether it was stored is
    /// not always known, and a repeat has it still.
    async fn insert_decided(
        self: &Arc<Self>,
        submission: Submission,
        decided: DecidedAlone,
        identity: &Identity,
        owner: &Owner,
    ) -> Result<(Approval, bool), Error> {
        let mut approval = match self.decided_approval(submission, &decided, owner.clone()) {
            Ok(approval) => approval,
            Err(unsigned) => {
                self.refund_limit(decided.charged).await;
                return Err(unsigned);
            }
        };
        // A use of a grant pays no budget: a grant has few.
        let is_by_policy = matches!(decided.decider, Decider::Policy { .. });
        let charge = is_by_policy.then_some(Charge::PolicyDecision);
        if let Some(charge) = &charge
            && let Err(refused) = self.charge(owner, charge).await
        {
            self.refund_limit(decided.charged).await;
            return self.find_repeat(identity, refused.into()).await;
        }
        let now = approval.request.requested_at;
        let leased = self.lease_for_channels(&mut approval, now);
        let due = approval.next_due(self.config.outcome_within);
        match self.store.insert(approval, due).await {
            Ok(stored) => {
                log_events(&stored.approval, 0);
                Ok((self.notify_in_background(stored, leased), true))
            }
            Err(taken @ StoreError::AlreadyExists) => {
                if let Some(charge) = &charge {
                    self.refund(owner, charge).await;
                }
                self.refund_limit(decided.charged).await;
                self.find_repeat(identity, taken.into()).await
            }
            // It may be stored all the same, so what was charged stays charged.
            Err(error) => Err(error.into()),
        }
    }

    async fn insert(
        self: &Arc<Self>,
        mut approval: Approval,
        identity: &Identity,
        owner: &Owner,
    ) -> Result<(Approval, bool), Error> {
        let charge = emails_to(approval.people_to_ask());
        let submitted = approval.clone();
        // Leasing within the insert saves a write.
        let now = approval.request.requested_at;
        let leased = self.lease(&mut approval, now);
        let due = approval.next_due(self.config.outcome_within);
        let (charged, reserved, earlier) = tokio::join!(
            self.charge(owner, &charge),
            self.store.reserve(approval, due),
            self.earlier(&submitted),
        );
        if let Err(refused) = charged {
            if let Ok(reserved) = &reserved {
                self.store.release(reserved).await;
            }
            return self.find_repeat(identity, refused.into()).await;
        }
        let reserved = match reserved {
            Ok(reserved) => reserved,
            // Nothing was sent that could be stored.
            Err(error) => {
                self.refund(owner, &charge).await;
                return self.find_repeat(identity, self.not_inserted(error)).await;
            }
        };
        match self.store.insert_reserved(reserved).await {
            Ok(stored) => {
                log_events(&stored.approval, 0);
                self.notify_rejecters(&stored.approval, &earlier);
                match self
                    .notify(stored.clone(), leased, &earlier, SUBMIT_SEND_TIMEOUT)
                    .await
                {
                    Ok((approval, _)) => Ok((approval, true)),
                    // The request is stored, so it is accepted; the sweep retries the deliveries.
                    Err(error) => {
                        let (id, cause) = (identity.id.to_string(), error.cause());
                        tracing::warn!(id, cause, "the results of deliveries could not be stored");
                        Ok((stored.approval, true))
                    }
                }
            }
            Err(refused @ (StoreError::AlreadyExists | StoreError::OpenLimit)) => {
                self.refund(owner, &charge).await;
                self.find_repeat(identity, self.not_inserted(refused)).await
            }
            // It may be stored all the same, so what was charged stays charged.
            Err(error) => Err(error.into()),
        }
    }

    fn not_inserted(&self, error: StoreError) -> Error {
        match error {
            StoreError::OpenLimit => Error::TooManyOpen(self.config.open_limit),
            error => error.into(),
        }
    }

    /// Notifies those who rejected the same and are not asked now. Rows of version 1 have no place for that.
    fn notify_rejecters(self: &Arc<Self>, approval: &Approval, earlier: &Earlier) {
        if self.config.rows.version == RowVersion::V1 {
            return;
        }
        let known = &earlier.rejections.known;
        for (index, rejection) in known.iter().enumerate() {
            let by = rejection.by.clone();
            let mut asked = approval.approvers.iter();
            let person = |address| self.people.person(address);
            let is_asked = asked.any(|it| person(&it.address).is(&person(&by)));
            // Of a person, one by link alone can be kept besides a surer one.
            let mut before = known[..index].iter();
            if !is_asked && !before.any(|it| person(&it.by).is(&person(&by))) {
                self.queue_in_background(&rejection.id, move |rejected, now| {
                    rejected.queue_asked_again(&by, now);
                });
            }
        }
    }

    /// The stored request, if this submit repeats it; otherwise `refused`, or that its id is taken.
    pub(super) async fn find_repeat(
        &self,
        identity: &Identity,
        refused: Error,
    ) -> Result<(Approval, bool), Error> {
        let stored = self.find_stored(identity).await?;
        stored.map(|stored| (stored, false)).ok_or(refused)
    }

    /// The stored request that a submit repeats, if there is one; or that its id is taken.
    pub(super) async fn find_stored(&self, identity: &Identity) -> Result<Option<Approval>, Error> {
        let taken = Error::Conflict(ConflictReason::OtherContent);
        let id = &identity.id;
        match self.load_owned(id, &identity.credential).await {
            Err(Error::NotFound) => Ok(None),
            Err(hidden @ Error::Hidden(_)) => {
                if let Some(cause) = hidden.cause() {
                    tracing::error!(id = id.to_string(), cause, "integrity problem");
                }
                Err(taken)
            }
            Err(error) => Err(error),
            Ok(stored) if identity.has_content_of(&stored.approval.request) => {
                Ok(Some(stored.approval))
            }
            Ok(_) => Err(taken),
        }
    }
}
