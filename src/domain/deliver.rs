//! Leasing the deliveries that are due, and recording their results.

use super::approval::Approval;
use super::delivery::{
    Deliverable, DeliveryState, Notice, NotificationSettings, SendAttempt, SendResult,
};
use super::execution::Execution;
use super::history::EventKind;
use super::state::{State, Status};
use crate::values::{Address, Timestamp};

impl Approval {
    /// Whether the request reached all, some or none of the approvers who have not handed their seat over.
    pub fn deliverable(&self) -> Deliverable {
        let approvers = self.approvers.iter().enumerate();
        let seated = approvers.filter(|(person, _)| self.plan.hand_over_by(*person).is_none());
        let mut deliveries = seated.filter_map(|(_, one)| one.request_delivery());
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
        let deliveries = self.approvers.iter();
        let deliveries = deliveries.filter_map(|one| one.request_delivery());
        deliveries
            .filter_map(|delivery| match delivery.state {
                DeliveryState::Sent(at) => Some(at),
                _ => None,
            })
            .min()
    }

    /// The notice that is no longer true, and the one that takes its place.
    pub(super) fn overtaken(&self) -> Option<(Notice, Notice)> {
        let State::Approved { execution, .. } = &self.state else {
            return None;
        };
        match execution {
            Execution::Revoked { .. } => Some((Notice::Outcome, Notice::Revocation)),
            Execution::Failed { .. } | Execution::Unknown { .. } => {
                Some((Notice::Outcome, Notice::Failure))
            }
            // Success was reported late.
            Execution::Executed { .. } => Some((Notice::Failure, Notice::Outcome)),
            Execution::Awaited | Execution::Executing { .. } | Execution::Lapsed { .. } => None,
        }
    }

    /// Leases every due delivery, so that no other instance sends it at the same time. Drops notices that
    /// `settings` exclude.
    pub fn lease_deliveries(
        &mut self,
        settings: NotificationSettings,
        now: Timestamp,
    ) -> Vec<SendAttempt> {
        self.lease_those(|_| true, settings, now)
    }

    /// As [`Approval::lease_deliveries`], without reminders, which are left to the sweep: it knows whether the news of an
    /// escalation replaces them.
    pub fn lease_all_but_reminders(
        &mut self,
        settings: NotificationSettings,
        now: Timestamp,
    ) -> Vec<SendAttempt> {
        self.lease_those(|notice| !notice.is_reminder(), settings, now)
    }

    fn lease_those(
        &mut self,
        is_meant: impl Fn(Notice) -> bool,
        settings: NotificationSettings,
        now: Timestamp,
    ) -> Vec<SendAttempt> {
        if self.state != State::Pending {
            self.close_deliveries(now);
        }
        for hand_over in &self.plan.hand_overs {
            self.approvers[hand_over.from].drop_requests(now);
        }
        let status = self.state.status();
        let overtaken = self.overtaken();
        let mut leased = Vec::new();
        for (index, approver) in self.approvers.iter_mut().enumerate() {
            approver.drop_pointless_reminders(now);
            if let Some((notice, by)) = overtaken {
                approver.drop_overtaken(notice, by, now);
            }
            let due = approver
                .deliveries
                .iter_mut()
                .filter(|one| one.state.is_due(now));
            for delivery in due.filter(|it| is_meant(it.notice)) {
                if !settings.includes(delivery.notice, status) {
                    delivery.state = DeliveryState::Dropped(now);
                    continue;
                }
                let leased_until = delivery.lease(now);
                leased.push(SendAttempt {
                    approver: index,
                    notice: delivery.notice,
                    number: delivery.attempts,
                    leased_until,
                });
            }
        }
        leased
    }

    /// Records the result of an attempt, unless a later attempt has started or the delivery was reported as failed.
    /// Closes a pending request of which an ask can no longer be met, since delivery has failed permanently. Where people
    /// sign in, their list reaches them without an email.
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
                && delivery.state == DeliveryState::Sending(attempt.leased_until)
        });
        let Some(delivery) = leased else { return };
        delivery.record(result, self.request.expires_at, now);
        self.close_if_unreachable(|_| true, now);
    }

    /// Closes a pending request of which an ask can no longer be met, since delivery has failed permanently, or the people
    /// who were asked have left the operator's list.
    pub(super) fn close_if_unreachable(
        &mut self,
        is_listed: impl Fn(&Address) -> bool,
        now: Timestamp,
    ) {
        let has_list = self.request.needs_step_up;
        let is_lost = |seat: usize| {
            let approver = &self.approvers[self.plan.holder(seat)];
            let request = approver.request_delivery()?;
            Some(!is_listed(&approver.address) || request.has_failed() && !has_list)
        };
        let is_reachable = |seat: usize| {
            let mut substitutes = self.plan.substitutes.iter();
            is_lost(seat) != Some(true)
                || substitutes.any(|it| {
                    let has_voted = self.ballot_of(it.by).is_some();
                    it.of == seat && !has_voted && is_lost(it.by) == Some(false)
                })
        };
        let is_deliverable = self.plan.can_be_reached(&self.votes, is_reachable);
        if !is_deliverable && self.status(now) == Status::Pending {
            let state = State::Undeliverable { at: now };
            self.close(state, EventKind::Undeliverable, None, now);
        }
        if self.state != State::Pending {
            self.close_deliveries(now);
        }
    }
}
