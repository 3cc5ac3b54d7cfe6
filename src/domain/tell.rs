//! Queueing events for channels, leasing the deliveries that are due, and recording their results.
//!
//! Each event of the history that concerns other systems queues one delivery for each channel of the plan, and one
//! for the callback once the request has ended.

use super::approval::Approval;
use super::history::Event;
use super::outbox::{
    self, ChannelAttempt, ChannelDelivery, ChannelEvent, ChannelReadiness, ChannelResult, Purpose,
};
use crate::values::Timestamp;

impl Approval {
    /// The event that a delivery tells.
    pub fn told_event(&self, number: usize) -> Option<(&Event, ChannelEvent)> {
        let event = self.history.get(number.checked_sub(1)?)?;
        Some((event, ChannelEvent::of(event.what)?))
    }

    /// Queues the last event of the history for the channels that it concerns.
    pub(super) fn queue_for_channels(&mut self) {
        let Some(Event { at, what, .. }) = self.history.last() else {
            return;
        };
        let Some(event) = ChannelEvent::of(*what) else {
            return;
        };
        let told = self.plan.tell.iter().map(|it| (it, Purpose::Tell));
        let callback = self.request.callback.as_ref();
        let callback = callback.filter(|_| event.wakes_agent());
        let called_back = callback.map(|it| (&it.channel, Purpose::Callback));
        let number = self.history.len();
        let receivers = told.chain(called_back);
        let queued = receivers
            .map(|(channel, purpose)| ChannelDelivery::queued(channel, purpose, number, *at));
        self.outbox.extend(queued);
    }

    /// Leases the deliveries to channels that are due, so that no other instance sends them at the same time. Of the
    /// events for a channel that shows the state, only the last one stays; those for one that is cooling down wait.
    pub fn lease_channel_deliveries(
        &mut self,
        readiness: impl Fn(&str) -> ChannelReadiness,
        now: Timestamp,
    ) -> Vec<ChannelAttempt> {
        // A claim is no state that people wait for.
        let mut shown = (1..=self.history.len()).rev().filter(|&number| {
            let event = self.told_event(number).map(|(_, event)| event);
            event.is_some_and(|event| event != ChannelEvent::Claimed)
        });
        let last = shown.next();
        self.outbox.retain(|delivery| {
            let is_superseded = delivery.purpose == Purpose::Tell && Some(delivery.event) != last;
            !(is_superseded
                && delivery.state.is_due(now)
                && readiness(&delivery.channel).shows_state)
        });
        outbox::lease(&mut self.outbox, readiness, now)
    }

    /// Records the result of an attempt, unless a later attempt has started.
    pub fn record_channel_result(
        &mut self,
        attempt: &ChannelAttempt,
        result: ChannelResult,
        now: Timestamp,
    ) {
        outbox::record(&mut self.outbox, attempt, result, now);
    }

    /// Whether a channel was not told something.
    pub fn has_untold_channels(&self, now: Timestamp) -> bool {
        self.outbox.iter().any(|it| it.is_untold(now))
    }

    /// Queues again what channels were not told: what has failed, waits for its next attempt, or was dropped. Returns how
    /// many are queued.
    pub fn queue_channels_again(&mut self, now: Timestamp) -> usize {
        outbox::queue_again(&mut self.outbox, now)
    }
}
