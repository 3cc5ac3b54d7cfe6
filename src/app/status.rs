//! Waiting for a decision.
//!
//! A change in this process wakes a waiting call at once. A change in another process is noticed when the
//! row is read again.

use std::pin::pin;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::error::Error;
use super::state::App;
use crate::domain::{Approval, Status};
use crate::values::ApprovalId;

impl App {
    /// Returns the approval as soon as it is no longer pending, at the latest after `longest`.
    ///
    /// # Errors
    /// As [`App::load`].
    pub async fn wait_for_decision(
        &self,
        id: &ApprovalId,
        longest: Duration,
    ) -> Result<Approval, Error> {
        let until = Instant::now() + longest;
        let subscription = self.changes.subscribe(id);
        loop {
            // Subscribe before reading, so that no change in between is missed.
            let mut changed = pin!(subscription.changed.notified());
            changed.as_mut().enable();
            let approval = self.load(id).await?.approval;
            let now = self.now();
            let left = until.saturating_duration_since(Instant::now());
            if approval.status(now) != Status::Pending || left.is_zero() {
                return Ok(approval);
            }
            let to_deadline = approval.request.expires_at.since(now) + Duration::from_millis(1);
            let pause = left.min(self.store.reread_after()).min(to_deadline);
            tokio::select! {
                () = changed => {}
                () = sleep(pause) => {}
            }
        }
    }
}
