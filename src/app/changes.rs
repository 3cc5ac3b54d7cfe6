//! Wakes calls that wait for a request when it changes in this process.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::values::ApprovalId;

/// The calls that wait for a change of each request.
#[derive(Default)]
pub struct ChangeNotifier(Mutex<Subscribers>);

/// How many calls wait for each request, and how to wake them.
type Subscribers = HashMap<ApprovalId, (usize, Arc<Notify>)>;

/// A subscription to one request; dropping it unsubscribes.
pub(super) struct Subscription<'a> {
    notifier: &'a ChangeNotifier,
    id: &'a ApprovalId,
    /// Notified after each change.
    pub(super) changed: Arc<Notify>,
}

impl ChangeNotifier {
    pub(super) fn wake(&self, id: &ApprovalId) {
        if let Some((_, changed)) = self.subscribers().get(id) {
            changed.notify_waiters();
        }
    }

    pub(super) fn subscribe<'a>(&'a self, id: &'a ApprovalId) -> Subscription<'a> {
        let mut subscribers = self.subscribers();
        let (count, changed) = subscribers.entry(id.clone()).or_default();
        *count += 1;
        Subscription {
            notifier: self,
            id,
            changed: changed.clone(),
        }
    }

    fn subscribers(&self) -> MutexGuard<'_, Subscribers> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Subscription<'_> {
    fn drop(&mut self) {
        let mut subscribers = self.notifier.subscribers();
        if let Some((count, _)) = subscribers.get_mut(self.id) {
            *count -= 1;
            if *count == 0 {
                subscribers.remove(self.id);
            }
        }
    }
}
