//! A person who may decide, and the deliveries to them.

use super::delivery::{Delivery, DeliveryState, Notice};
use crate::values::{Address, Timestamp};

/// Wrong one-time codes after which one approver's link can no longer approve.
pub const MAX_WRONG_CODES: u32 = 5;

/// An approver of one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Approver {
    pub address: Address,
    /// The id of the key from which their link token and one-time code are derived.
    pub link_key: String,
    /// The approver MAC: binds this address to this request under that key. It does not verify for an
    /// approver who was added to the table by hand or whose request was changed, so neither has a link.
    pub mac: String,
    /// The number of wrong codes submitted with their link, at the form that decides.
    pub wrong_codes: u32,
    /// The wrong codes at the form that revokes, counted apart: guesses there do not lock the decision, nor the reverse.
    pub wrong_revocation_codes: u32,
    /// The wrong codes at the form that shows hidden values.
    pub wrong_reveal_codes: u32,
    /// The wrong codes at the form that hands the seat over.
    pub wrong_hand_over_codes: u32,
    /// The deliveries of the request, its reminders and the outcome notice.
    pub deliveries: Vec<Delivery>,
}

impl Approver {
    /// Whether approving by their link is locked, after too many wrong codes.
    pub fn is_locked(&self) -> bool {
        self.wrong_codes >= MAX_WRONG_CODES
    }

    /// The name of the email with which this person gets a notice at a time. It is the same for every attempt, and
    /// another one each time that the operator has it sent again, since what has a known name is not delivered twice.
    pub fn email_name(&self, notice: Notice, at: Timestamp) -> String {
        let mut deliveries = self.deliveries.iter();
        let name = notice.name_at(at);
        match deliveries.find(|it| it.notice == notice) {
            Some(Delivery {
                resends: again @ 1..,
                ..
            }) => format!("{name}.{again}"),
            _ => name,
        }
    }

    /// The delivery of the request itself; `None` until their stage opens.
    pub fn request_delivery(&self) -> Option<&Delivery> {
        let mut deliveries = self.deliveries.iter();
        deliveries.find(|delivery| delivery.notice == Notice::Request)
    }

    /// Whether they are asked, or will be as soon as the email can be sent: not if they had left the operator's list
    /// before.
    pub fn is_asked(&self) -> bool {
        let request = self.request_delivery();
        request.is_some_and(|it| !it.has_failed() || it.attempts > 0)
    }

    /// Whether the request may have reached them.
    pub(super) fn was_asked(&self) -> bool {
        self.deliveries
            .iter()
            .any(|delivery| delivery.notice == Notice::Request && delivery.may_have_arrived())
    }

    /// Drops the unsent deliveries that ask for a decision. One whose lease has ended without a result may have arrived.
    pub(super) fn drop_requests(&mut self, now: Timestamp) {
        for delivery in self.deliveries.iter_mut().filter(|it| it.notice.asks()) {
            delivery.drop_unsent(now);
        }
    }

    /// Drops the unsent delivery of a notice that is no longer true, where another one takes its place. That one is sent
    /// after all, if it had given way to it.
    pub(super) fn drop_overtaken(&mut self, notice: Notice, by: Notice, now: Timestamp) {
        let mut deliveries = self.deliveries.iter();
        let Some(later) = deliveries.position(|it| it.notice == by) else {
            return;
        };
        let mut deliveries = self.deliveries.iter_mut();
        let overtaken = deliveries.find(|it| it.notice == notice);
        let is_dropped = overtaken.is_some_and(|it| it.drop_unsent(now));
        let later = &mut self.deliveries[later];
        if is_dropped
            && matches!(later.state, DeliveryState::Dropped(_))
            && !later.may_have_arrived()
        {
            later.state = DeliveryState::Queued(now);
        }
    }

    /// Queues a notice for `at` if there is none yet. Returns whether there was none.
    pub(super) fn queue_once(&mut self, notice: Notice, at: Timestamp) -> bool {
        let has_it = self.deliveries.iter().any(|one| one.notice == notice);
        if !has_it {
            self.deliveries.push(Delivery::queued(notice, at));
        }
        !has_it
    }

    /// Queues a notice again, unless it is under way, or for the first time.
    pub(super) fn queue_again(&mut self, notice: Notice, at: Timestamp, now: Timestamp) {
        let mut deliveries = self.deliveries.iter_mut();
        match deliveries.find(|one| one.notice == notice) {
            Some(delivery) if delivery.is_under_way(now) => {}
            Some(delivery) => *delivery = delivery.again(at),
            None => self.deliveries.push(Delivery::queued(notice, at)),
        }
    }

    /// Drops the reminders that are still to be sent.
    pub(super) fn drop_reminders(&mut self, now: Timestamp) {
        for delivery in &mut self.deliveries {
            let is_queued = matches!(delivery.state, DeliveryState::Queued(_));
            if is_queued && delivery.notice.is_reminder() {
                delivery.state = DeliveryState::Dropped(now);
            }
        }
    }

    /// Queues the news that more people were asked, which takes the place of a reminder that is due.
    pub(super) fn tell_of_escalation(&mut self, now: Timestamp) {
        let was_asked = self.was_asked();
        if was_asked {
            self.queue_once(Notice::Escalation, now);
        }
        self.deliveries.retain(|delivery| {
            !was_asked || !delivery.state.is_due(now) || !delivery.notice.is_reminder()
        });
    }

    /// Removes due reminders that serve no purpose: if the request itself never arrived, a reminder
    /// would only repeat it; and once the final reminder is due, the first one is obsolete.
    pub(super) fn drop_pointless_reminders(&mut self, now: Timestamp) {
        let was_asked = self.was_asked();
        let final_was_due = self.deliveries.iter().any(|delivery| {
            let is_waiting = matches!(delivery.state, DeliveryState::Queued(at) if at > now);
            delivery.notice == Notice::FinalReminder && !is_waiting
        });
        self.deliveries.retain(|delivery| {
            let is_obsolete = delivery.notice == Notice::Reminder && final_was_due;
            !delivery.state.is_due(now)
                || !delivery.notice.is_reminder()
                || (was_asked && !is_obsolete)
        });
    }
}
