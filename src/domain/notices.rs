//! Notices about what comes after a request: it is asked again, or the standing grant given with it ends.

use std::time::Duration;

use super::approval::Approval;
use super::approver::Approver;
use super::delivery::{Delivery, DeliveryState, Notice};
use super::standing_outbox::{GrantEnding, GrantSummary};
use crate::values::{Address, Timestamp};

/// How often a person is notified that what they rejected is asked again.
const ONCE_IN: Duration = Duration::from_secs(86_400);

impl Approval {
    /// Queues the notice to the approver who rejected this request that others are asked the same, at most once a day.
    pub fn queue_asked_again(&mut self, rejecter: &Address, now: Timestamp) {
        let Some(approver) = self.approver_at(rejecter) else {
            return;
        };
        let earlier = approver.deliveries.iter_mut();
        let mut earlier = earlier.filter(|it| it.notice == Notice::AskedAgain);
        match earlier.next() {
            None => {
                let queued = Delivery::queued(Notice::AskedAgain, now);
                approver.deliveries.push(queued);
            }
            Some(delivery) => {
                let is_over = delivery.state.due_at().is_none();
                if is_over && now.since(delivery.state.at()) >= ONCE_IN {
                    *delivery = Delivery {
                        resends: delivery.resends,
                        ..Delivery::queued(Notice::AskedAgain, now)
                    };
                }
            }
        }
    }

    /// Queues the notice to the approver who gave a standing grant with this request that it ends, at its latest end.
    pub fn queue_grant_end(&mut self, giver: &Address, until: Timestamp) {
        if let Some(approver) = self.approver_at(giver) {
            approver.queue_once(Notice::GrantEnd, until);
        }
    }

    /// The grant has ended before its latest end, so the notice is due, once. The giver gets none if they ended it
    /// themselves, or if another grant took its place.
    pub fn hasten_grant_end(&mut self, grant: &GrantSummary, by: GrantEnding, now: Timestamp) {
        self.queue_grant_end(&grant.giver, grant.until);
        let is_needless = matches!(by, GrantEnding::Giver | GrantEnding::Replacement);
        let deliveries = self.approvers.iter_mut().flat_map(|it| &mut it.deliveries);
        for delivery in deliveries.filter(|it| it.notice == Notice::GrantEnd) {
            delivery.state = match delivery.state {
                DeliveryState::Queued(_) if is_needless => DeliveryState::Dropped(now),
                DeliveryState::Queued(at) => DeliveryState::Queued(at.min(now)),
                state => state,
            };
        }
    }

    /// Whether a standing grant was given with this request by the approver at `index`: then the notice of its end was
    /// queued.
    pub fn gave_grant(&self, index: usize) -> bool {
        let mut deliveries = self.approvers[index].deliveries.iter();
        deliveries.any(|it| it.notice == Notice::GrantEnd)
    }

    fn approver_at(&mut self, address: &Address) -> Option<&mut Approver> {
        let mut approvers = self.approvers.iter_mut();
        approvers.find(|it| it.address.is_same_mailbox(address))
    }
}
