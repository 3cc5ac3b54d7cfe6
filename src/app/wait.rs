//! Waiting for a decision; in the synchronous protocol of the legacy Logic App, with the claim.
//!
//! A change in this process wakes a waiting call at once. A change in another process is noticed when the
//! row is read again.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use human_oversight_protocol::parameters::hex;
use tokio::time::{Instant, sleep};

use super::error::Error;
use super::state::App;
use super::waits::Wait;
use crate::domain::{Approval, ClaimResult, Status};
use crate::keys::{AgentCredential, random_bytes};
use crate::values::{ApprovalId, Timestamp};

impl App {
    /// Takes a place for a call that waits, as long as the result lives.
    ///
    /// # Errors
    /// When too many calls of this caller wait already.
    pub fn begin_wait(&self, credential: &AgentCredential) -> Result<Wait, Error> {
        self.waits.begin(credential.owner())
    }

    /// Returns the approval as soon as it is no longer pending, at the latest after `longest`, or when the
    /// process ends.
    ///
    /// # Errors
    /// As [`App::load_owned`].
    pub async fn wait_for_decision(
        &self,
        id: &ApprovalId,
        credential: &AgentCredential,
        longest: Duration,
    ) -> Result<Approval, Error> {
        let mut until = Instant::now() + longest;
        let subscription = self.changes.subscribe(id);
        loop {
            // Subscribe before reading, so that no change in between is missed.
            let mut changed = pin!(subscription.changed.notified());
            changed.as_mut().enable();
            let pause = {
                let approval = self.load_owned(id, credential).await?.approval;
                let now = self.now();
                let left = until.saturating_duration_since(Instant::now());
                if approval.status(now) != Status::Pending || left.is_zero() {
                    return Ok(approval);
                }
                let request = &approval.request;
                let to_deadline = request.expires_at.since(now) + Duration::from_millis(1);
                let waited = now.since(request.requested_at);
                left.min(self.store.reread_after(waited)).min(to_deadline)
            };
            // Holds nothing that it has read.
            tokio::select! {
                () = changed => {}
                () = sleep(pause) => {}
                () = self.calls.ending() => until = Instant::now(),
            }
        }
    }

    /// Waits for the decision and claims an approval for the caller: in the protocol of the legacy Logic
    /// App the response `Approved` permits running the action, so only one call gets it. Returns the
    /// approval, which may still be pending, and the time at which its status counts.
    ///
    /// # Errors
    /// When the approval was claimed before or is paused, or as [`App::load_owned`].
    pub async fn wait_and_claim(
        self: &Arc<Self>,
        id: &ApprovalId,
        credential: &AgentCredential,
        wait: Duration,
    ) -> Result<(Approval, Timestamp), Error> {
        let seen = self.wait_for_decision(id, credential, wait).await?;
        let now = self.now();
        if seen.status(now) == Status::Pending {
            let left = seen.request.expires_at.since(now);
            if left > Duration::from_secs(1) {
                return Ok((seen, now));
            }
            // The wait usually ends at the deadline: store the timeout before responding.
            sleep(left + Duration::from_millis(1)).await;
        }
        let nonce = hex(&random_bytes::<16>());
        let claiming = self.try_claim(id, credential, &nonce, None);
        let (approval, (claim, judged_at)) = claiming.await?;
        if approval.status(judged_at) == Status::Approved && claim == ClaimResult::Refused {
            return Err(Error::invalid_transition(&approval, judged_at));
        }
        Ok((approval, judged_at))
    }
}
