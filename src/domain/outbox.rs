//! The outbox: the deliveries of events to channels, their schedule, and the result of each attempt.

use std::time::Duration;

use super::delivery::{DeliveryFault, DeliveryState, SEND_LEASE};
use super::history::EventKind;
use crate::values::Timestamp;
use crate::values::word::words;

/// The pauses after each attempt that failed, of Standard Webhooks 1.0; after the last one it has failed.
const RETRY_PAUSES: [u64; 7] = [5, 300, 1_800, 7_200, 18_000, 36_000, 36_000];

/// An event for a channel, and the progress of its delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChannelDelivery {
    /// The name of the channel.
    pub channel: String,
    pub purpose: Purpose,
    /// The number of the event in the history, from 1.
    pub event: usize,
    /// The number of attempts started. It only rises, so that the result of an earlier attempt is never taken for that
    /// of a later one.
    pub attempts: u32,
    /// How many of them do not count in the schedule: those of which nothing was sent, and those before it was queued
    /// again by the operator.
    pub uncounted: u32,
    pub state: DeliveryState,
    /// Why the last attempt failed.
    pub fault: Option<DeliveryFault>,
}

words! {
    /// Why a channel is notified.
    pub enum Purpose {
        /// A rule of the policy says so.
        Tell = "tell",
        /// The agent asked to be called back.
        Callback = "callback",
    }
}

words! {
    /// The events for channels, by the type that webhooks name.
    pub enum ChannelEvent {
        Created = "request.created",
        Progress = "request.progress",
        Decided = "request.decided",
        Withdrawn = "request.withdrawn",
        Expired = "request.expired",
        Undeliverable = "request.undeliverable",
        Claimed = "request.claimed",
        Lapsed = "request.lapsed",
        Revoked = "request.revoked",
        Executed = "request.executed",
        Failed = "request.failed",
        Unknown = "request.unknown",
    }
}

/// What matters of a channel when its deliveries are leased.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ChannelReadiness {
    /// Whether it shows how a request is, so that the last event is enough.
    pub shows_state: bool,
    /// How long it still gets nothing, if it is cooling down.
    pub cool_down: Option<Duration>,
}

/// An attempt for which this process holds the send lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChannelAttempt {
    pub channel: String,
    pub purpose: Purpose,
    /// The number of the event in the history, from 1.
    pub event: usize,
    /// The number of the attempt, from 1.
    pub number: u32,
}

/// The result of an attempt to tell a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChannelResult {
    /// The channel accepted it.
    Sent,
    /// It did not; with the pause that it asked for.
    Failed(DeliveryFault, Option<Duration>),
    /// The channel was not called, since it just failed; it can be called after this time.
    Postponed(Duration),
    /// The channel is switched off, or no longer configured.
    Off,
}

impl ChannelEvent {
    /// The event for channels; `None` if it concerns no other system.
    pub fn of(what: EventKind) -> Option<Self> {
        Some(match what {
            EventKind::Submitted => Self::Created,
            EventKind::VotedToApprove | EventKind::VotedToReject | EventKind::Escalated => {
                Self::Progress
            }
            EventKind::Approved | EventKind::Rejected => Self::Decided,
            EventKind::TimedOut => Self::Expired,
            EventKind::Cancelled => Self::Withdrawn,
            EventKind::Undeliverable => Self::Undeliverable,
            EventKind::Claimed => Self::Claimed,
            EventKind::Lapsed => Self::Lapsed,
            EventKind::Revoked => Self::Revoked,
            EventKind::Executed => Self::Executed,
            EventKind::ExecutionFailed => Self::Failed,
            EventKind::ExecutionUnknown => Self::Unknown,
            EventKind::HandedOver
            | EventKind::Locked
            | EventKind::AnsweredLate
            | EventKind::ReportedLate => return None,
        })
    }

    /// Whether it ends the agent's wait, or takes back what ended it.
    pub(super) fn wakes_agent(self) -> bool {
        matches!(
            self,
            Self::Decided
                | Self::Withdrawn
                | Self::Expired
                | Self::Undeliverable
                | Self::Lapsed
                | Self::Revoked
        )
    }
}

impl ChannelDelivery {
    pub(super) fn queued(channel: &str, purpose: Purpose, event: usize, at: Timestamp) -> Self {
        Self {
            channel: channel.to_owned(),
            purpose,
            event,
            attempts: 0,
            uncounted: 0,
            state: DeliveryState::Queued(at),
            fault: None,
        }
    }

    fn is_of(&self, attempt: &ChannelAttempt) -> bool {
        self.channel == attempt.channel
            && self.purpose == attempt.purpose
            && self.event == attempt.event
    }

    /// The number of attempts that count in the schedule.
    fn counted(&self) -> u32 {
        self.attempts.saturating_sub(self.uncounted)
    }

    pub(super) fn is_untold(&self, now: Timestamp) -> bool {
        match self.state {
            DeliveryState::Failed(_) | DeliveryState::Dropped(_) => true,
            // What was not tried yet may wait for a channel that is cooling down.
            DeliveryState::Queued(at) => self.counted() > 0 || at > now,
            DeliveryState::Sending(_) | DeliveryState::Sent(_) | DeliveryState::Unknown(_) => false,
        }
    }

    fn record(&mut self, result: ChannelResult, now: Timestamp) {
        self.state = match result {
            ChannelResult::Sent => DeliveryState::Sent(now),
            ChannelResult::Off => DeliveryState::Dropped(now),
            ChannelResult::Failed(_, asked) => match pause_after(self.counted()) {
                None => DeliveryState::Failed(now),
                Some(pause) => DeliveryState::Queued(now + pause.max(asked.unwrap_or_default())),
            },
            // Nothing was sent, so the attempt does not count.
            ChannelResult::Postponed(pause) => {
                self.uncounted += 1;
                DeliveryState::Queued(now + pause)
            }
        };
        self.fault = match result {
            ChannelResult::Sent => None,
            ChannelResult::Failed(fault, _) => Some(fault),
            ChannelResult::Postponed(_) | ChannelResult::Off => self.fault,
        };
    }
}

/// The pause after this number of attempts that count; `None` after the last one.
fn pause_after(attempts: u32) -> Option<Duration> {
    let index = (attempts as usize).checked_sub(1)?;
    RETRY_PAUSES
        .get(index)
        .map(|&seconds| Duration::from_secs(seconds))
}

/// Leases the deliveries that are due. Those for a channel that is cooling down wait until it is ready.
pub(super) fn lease(
    deliveries: &mut [ChannelDelivery],
    readiness: impl Fn(&str) -> ChannelReadiness,
    now: Timestamp,
) -> Vec<ChannelAttempt> {
    let mut leased = Vec::new();
    for delivery in deliveries.iter_mut().filter(|it| it.state.is_due(now)) {
        if let Some(left) = readiness(&delivery.channel).cool_down {
            delivery.state = DeliveryState::Queued(now + left);
            continue;
        }
        delivery.state = DeliveryState::Sending(now + SEND_LEASE);
        delivery.attempts += 1;
        leased.push(ChannelAttempt {
            channel: delivery.channel.clone(),
            purpose: delivery.purpose,
            event: delivery.event,
            number: delivery.attempts,
        });
    }
    leased
}

/// Records the result of an attempt, unless a later attempt has started.
pub(super) fn record(
    deliveries: &mut [ChannelDelivery],
    attempt: &ChannelAttempt,
    result: ChannelResult,
    now: Timestamp,
) {
    let leased = deliveries.iter_mut().find(|it| {
        it.is_of(attempt)
            && it.attempts == attempt.number
            && matches!(it.state, DeliveryState::Sending(_))
    });
    if let Some(delivery) = leased {
        delivery.record(result, now);
    }
}

/// Queues again what has failed, waits for its next attempt, or was dropped. Returns how many are queued.
pub(super) fn queue_again(deliveries: &mut [ChannelDelivery], now: Timestamp) -> usize {
    let mut queued = 0;
    for delivery in deliveries.iter_mut().filter(|it| it.is_untold(now)) {
        if delivery.state != DeliveryState::Queued(now) {
            delivery.state = DeliveryState::Queued(now);
            delivery.uncounted = delivery.attempts;
            queued += 1;
        }
    }
    queued
}
