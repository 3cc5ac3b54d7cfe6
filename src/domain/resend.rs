//! Sending again what may not have reached its recipient, for the operator.

use super::approval::Approval;
use super::delivery::Notice;
use super::state::Status;
use crate::values::{Address, Timestamp};

/// What is sent again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Requeued {
    /// How many emails.
    pub emails: usize,
    /// Those of them that ask a person who can no longer approve by link, after too many wrong codes.
    pub locked: usize,
}

impl Approval {
    /// Queues emails again: while the request is pending, the request for each person whose vote is needed; after its
    /// end, the notices that were given up. What is being sent, or still waits for its turn, is left as it is, as are people
    /// whom `is_listed` does not have.
    pub fn queue_again(
        &mut self,
        is_listed: impl Fn(&Address) -> bool,
        now: Timestamp,
    ) -> Requeued {
        let is_pending = self.status(now) == Status::Pending;
        let is_asked: Vec<bool> = (0..self.approvers.len())
            .map(|index| self.can_vote(index, now))
            .collect();
        let overtaken = self.overtaken().map(|(notice, _)| notice);
        let mut queued = Requeued::default();
        let people = self.approvers.iter_mut().zip(is_asked);
        for (approver, is_asked) in people.filter(|(it, _)| is_listed(&it.address)) {
            let is_locked = is_pending && approver.is_locked();
            for delivery in &mut approver.deliveries {
                let is_wanted = if is_pending {
                    is_asked && delivery.notice == Notice::Request
                } else {
                    !delivery.notice.asks()
                        && Some(delivery.notice) != overtaken
                        && delivery.was_given_up()
                };
                if is_wanted && !delivery.is_under_way(now) {
                    *delivery = delivery.again(now);
                    queued.emails += 1;
                    queued.locked += usize::from(is_locked);
                }
            }
        }
        queued
    }
}
