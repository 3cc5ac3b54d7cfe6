//! Leasing the deliveries that are due, and recording their results.

use super::approval::Approval;
use super::delivery::{Deliverable, DeliveryState, NotificationSettings, SendAttempt, SendResult};
use super::history::EventKind;
use super::state::{State, Status};
use crate::values::Timestamp;

impl Approval {
    /// Whether the request reached all, some or none of the approvers.
    pub fn deliverable(&self) -> Deliverable {
        let mut deliveries = self.approvers.iter().map(|one| one.request_delivery());
        let all_sent = deliveries
            .clone()
            .all(|delivery| matches!(delivery.state, DeliveryState::Sent(_)));
        if all_sent {
            Deliverable::Ok
        } else if deliveries.any(|delivery| delivery.may_have_arrived()) {
            Deliverable::Degraded
        } else {
            Deliverable::None
        }
    }

    /// When the mail service first accepted the request for an approver.
    pub fn notified_at(&self) -> Option<Timestamp> {
        let deliveries = self.approvers.iter().map(|one| one.request_delivery());
        deliveries
            .filter_map(|delivery| match delivery.state {
                DeliveryState::Sent(at) => Some(at),
                _ => None,
            })
            .min()
    }

    /// Leases every due delivery, so that no other instance sends it at the same time. Drops notices that
    /// `settings` exclude.
    pub fn lease_deliveries(
        &mut self,
        settings: NotificationSettings,
        now: Timestamp,
    ) -> Vec<SendAttempt> {
        if self.state != State::Pending {
            self.close_deliveries(now);
        }
        let status = self.state.status();
        let mut leased = Vec::new();
        for (index, approver) in self.approvers.iter_mut().enumerate() {
            approver.drop_pointless_reminders(now);
            let due = approver.deliveries.iter_mut().filter(|one| one.is_due(now));
            for delivery in due {
                if !settings.includes(delivery.notice, status) {
                    delivery.state = DeliveryState::Dropped(now);
                    continue;
                }
                delivery.lease(now);
                leased.push(SendAttempt {
                    approver: index,
                    notice: delivery.notice,
                    number: delivery.attempts,
                });
            }
        }
        leased
    }

    /// Records the result of an attempt, unless a later attempt has started. Closes a pending request
    /// whose delivery has failed permanently for every approver.
    pub fn record_delivery_result(
        &mut self,
        attempt: SendAttempt,
        result: SendResult,
        now: Timestamp,
    ) {
        let deliveries = &mut self.approvers[attempt.approver].deliveries;
        let leased = deliveries.iter_mut().find(|delivery| {
            delivery.notice == attempt.notice
                && delivery.attempts == attempt.number
                && matches!(delivery.state, DeliveryState::Sending(_))
        });
        let Some(delivery) = leased else { return };
        delivery.record(result, now);
        let all_failed = self
            .approvers
            .iter()
            .all(|one| matches!(one.request_delivery().state, DeliveryState::Failed(_)));
        if all_failed && self.status(now) == Status::Pending {
            let state = State::Undeliverable { at: now };
            self.close(state, EventKind::Undeliverable, None, now);
        }
        if self.state != State::Pending {
            self.close_deliveries(now);
        }
    }
}
