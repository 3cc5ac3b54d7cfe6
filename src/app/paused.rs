//! What a pause stops: claims and submits.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::error::Error;
use super::grant_rows;
use super::last_reading::LastReading;
use super::pauses::{self, Executing};
use super::retries::Retries;
use super::state::App;
use crate::domain::{Approval, ClaimResult, Pause, PauseScope};
use crate::keys::AgentCredential;
use crate::values::{ApprovalId, Owner, Timestamp};

/// How old the reading of the pauses may be when the write of a claim is sent.
const CLAIM_WITHIN: Duration = Duration::from_secs(10);

impl LastReading<[Pause]> {
    /// The pauses, as read at most 5 s ago.
    pub fn of_pauses() -> Self {
        Self::for_at_most(Duration::from_secs(5))
    }
}

impl App {
    /// The pauses that stand, with that of `HO_PAUSED`.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if they cannot be read.
    pub async fn pauses(&self) -> Result<Vec<Pause>, Error> {
        let mut pauses = pauses::pauses(&self.store).await?;
        pauses.extend(self.paused_by_setting.clone());
        Ok(pauses)
    }

    /// As [`App::pauses`], read at most 5 s ago.
    ///
    /// # Errors
    /// As [`App::pauses`].
    pub async fn recent_pauses(&self) -> Result<Arc<[Pause]>, Error> {
        if let Some(pauses) = self.last_pauses.get() {
            return Ok(pauses);
        }
        let began_at = Instant::now();
        let pauses: Arc<[Pause]> = self.pauses().await?.into();
        self.last_pauses.set(began_at, pauses.clone());
        Ok(pauses)
    }

    /// The pause that covers a request which waits for a decision or a claim, by what was read at most 5 s ago.
    /// For people: what cannot be read is not shown.
    pub async fn pause_of(&self, approval: &Approval, now: Timestamp) -> Option<Pause> {
        if !approval.is_open(now) {
            return None;
        }
        let pauses = self.recent_pauses().await.ok()?;
        let request = &approval.request;
        let (owner, agent) = (request.owner.as_ref(), request.id.agent());
        let covers = |pause: &&Pause| pause.scope.covers(owner, agent);
        pauses.iter().find(covers).cloned()
    }

    /// Whether no standing grant can be given for this owner and agent, since a pause may cover them, by what was read at
    /// most 5 s ago. So it is where that cannot be read.
    pub async fn forbids_grants(&self, owner: Option<&Owner>, agent: &str) -> bool {
        let pauses = self.recent_pauses().await;
        pauses.map_or(true, |pauses| may_cover(&pauses, owner, agent))
    }

    /// Sets a pause, from the moment at which this returns.
    ///
    /// # Errors
    /// The store's. The pause may stand nevertheless.
    pub async fn pause(self: &Arc<Self>, pause: Pause) -> Result<(), Error> {
        let paused = pauses::pause(&self.store, pause, self.now()).await;
        // Also after an error, since it may stand.
        self.last_pauses.clear();
        self.tell_standing_in_background();
        let pause = paused?;
        // Neither the name, which may be the hash of a key, nor the operator's words.
        tracing::warn!(scope = pause.scope.word(), "operations paused");
        Ok(())
    }

    /// Ends the pause with exactly this scope. Returns whether there was one.
    ///
    /// # Errors
    /// The store's. The pause may have ended nevertheless.
    pub async fn resume(self: &Arc<Self>, scope: &PauseScope) -> Result<bool, Error> {
        let resumed = pauses::resume(&self.store, scope, self.now()).await;
        self.last_pauses.clear();
        self.tell_standing_in_background();
        let done = resumed?;
        if done {
            tracing::warn!(scope = scope.word(), "operations resumed");
        }
        Ok(done)
    }

    /// Ends the standing grants while `HO_PAUSED` pauses everything: they stay void after it.
    pub(super) async fn end_grants_paused_by_setting(&self) {
        let Some(pause) = &self.paused_by_setting else {
            return;
        };
        if self.check_machine_clock().is_err() {
            return;
        }
        if let Err(error) = grant_rows::end_covered(&self.store, &pause.scope, self.now()).await {
            tracing::error!(cause = %error, "standing grants that are paused could not be ended");
        }
    }

    /// What agents may be running now, and how many requests are open.
    ///
    /// # Errors
    /// The store's.
    pub async fn executing(&self, scope: &PauseScope) -> Result<Executing, Error> {
        Ok(pauses::executing(&self.store, scope, self.now()).await?)
    }

    /// Fails while a request is paused, by what was read at most 5 s ago.
    pub(super) async fn check_not_paused(
        &self,
        id: &ApprovalId,
        owner: &Owner,
        credential: &AgentCredential,
    ) -> Result<(), Error> {
        let pauses = self.recent_pauses().await?;
        self.find_pause(&pauses, id.agent(), Some(owner.clone()), credential)
    }

    /// [`App::update`] for a transition that may grant a claim: it is not granted while the request is
    /// paused, not even again. The pauses are read together with the row, in every attempt, and the write is
    /// sent at most 10 s later.
    pub(super) async fn update_unless_paused(
        self: &Arc<Self>,
        id: &ApprovalId,
        credential: &AgentCredential,
        mut transition: impl FnMut(&mut Approval, Timestamp) -> Result<(ClaimResult, Timestamp), Error>,
    ) -> Result<(Approval, (ClaimResult, Timestamp)), Error> {
        let mut retries = Retries::new();
        loop {
            let send_by = Instant::now() + CLAIM_WITHIN;
            let (row, pauses) = tokio::join!(self.load_owned(id, credential), self.pauses());
            let mut row = row?;
            let before = row.approval.clone();
            let result = transition(&mut row.approval, self.now())?;
            // Where nothing is granted, it does not matter what is paused.
            if result.0 == ClaimResult::Granted {
                let request = &before.request;
                self.find_pause(
                    &pauses?,
                    request.id.agent(),
                    request.owner.clone(),
                    credential,
                )?;
            }
            if row.approval == before {
                return Ok((before, result));
            }
            self.check_grant(&before).await?;
            let leased = self.lease_for_channels(&mut row.approval, result.1);
            let known = before.history.len();
            match self.replace(row, known, None, Some(send_by)).await {
                Ok(stored) => return Ok((self.notify_in_background(stored, leased), result)),
                Err(error) => retries.wait_after(error).await?,
            }
        }
    }

    /// Fails if a pause covers a request, by its owner or by any owner that its caller is: they differ if the
    /// request was stored without an owner, or before the list named its key; and an operator may name a key
    /// by its digest although the list gives it agents.
    fn find_pause(
        &self,
        pauses: &[Pause],
        agent: &str,
        owner: Option<Owner>,
        credential: &AgentCredential,
    ) -> Result<(), Error> {
        let by_name = credential.owners().into_iter().map(Some);
        let owners: Vec<_> = [owner, self.owner(credential, agent)]
            .into_iter()
            .chain(by_name)
            .collect();
        let covers = |pause: &&Pause| {
            let mut owners = owners.iter();
            owners.any(|owner| pause.scope.covers(owner.as_ref(), agent))
        };
        match pauses.iter().find(covers) {
            None => Ok(()),
            Some(pause) => Err(Error::Paused(pause.since)),
        }
    }
}

/// Whether one of the pauses may cover requests of this owner and agent.
pub(super) fn may_cover(pauses: &[Pause], owner: Option<&Owner>, agent: &str) -> bool {
    pauses.iter().any(|it| it.scope.may_cover(owner, agent))
}
