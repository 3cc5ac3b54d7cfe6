//! Waiting for news of a request.
//!
//! A change in this process wakes whoever waits at once. One in another process is seen when the
//! store is read again.

use std::collections::HashMap;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep};

use super::App;
use super::error::Error;
use crate::approval::{Approval, Status};
use crate::id::ApprovalId;

/// Who waits for what.
#[derive(Default)]
pub struct Waits(Mutex<Table>);

/// For each request how many wait for it, and what wakes them.
type Table = HashMap<ApprovalId, (usize, Arc<Notify>)>;

/// One that waits.
struct Watch<'a> {
    waits: &'a Waits,
    id: &'a ApprovalId,
    news: Arc<Notify>,
}

impl Waits {
    /// Something changed.
    pub(super) fn wake(&self, id: &ApprovalId) {
        if let Some((_, news)) = self.table().get(id) {
            news.notify_waiters();
        }
    }

    fn watch<'a>(&'a self, id: &'a ApprovalId) -> Watch<'a> {
        let mut table = self.table();
        let (waiting, news) = table.entry(id.clone()).or_default();
        *waiting += 1;
        Watch {
            waits: self,
            id,
            news: news.clone(),
        }
    }

    fn table(&self) -> std::sync::MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        let mut table = self.waits.table();
        if let Some((waiting, _)) = table.get_mut(self.id) {
            *waiting -= 1;
            if *waiting == 0 {
                table.remove(self.id);
            }
        }
    }
}

impl App {
    /// The request as soon as it is no longer pending, or as it stands after `longest`.
    pub(super) async fn wait_for_decision(
        &self,
        id: &ApprovalId,
        longest: Duration,
    ) -> Result<Approval, Error> {
        let until = Instant::now() + longest;
        let watch = self.waits.watch(id);
        loop {
            // Listen first, then look: news in between is not missed.
            let mut news = pin!(watch.news.notified());
            news.as_mut().enable();
            let approval = self.load(id).await?.approval;
            let now = self.now();
            let left = until.saturating_duration_since(Instant::now());
            if approval.status(now) != Status::Pending || left.is_zero() {
                return Ok(approval);
            }
            let to_deadline = approval.request.expires_at.since(now) + Duration::from_millis(1);
            let pause = left.min(self.store.reread_after()).min(to_deadline);
            tokio::select! {
                () = news => {}
                () = sleep(pause) => {}
            }
        }
    }
}
