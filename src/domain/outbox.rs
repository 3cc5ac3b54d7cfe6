//! The outbox: the deliveries of events to channels, their schedule, and the result of each attempt.

use std::time::Duration;

use super::delivery::{DeliveryFault, DeliveryState};
use super::history::EventKind;
use super::word::words;
use crate::values::Timestamp;

/// The pauses after each attempt that failed, of Standard Webhooks 1.0; after the last one it has failed.
const RETRY_PAUSES: [u64; 7] = [5, 300, 1_800, 7_200, 18_000, 36_000, 36_000];

/// The longest pause that a channel can ask for.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(86_400);

/// An event for a channel, and the progress of its delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChannelDelivery {
    /// The name of the channel.
    pub channel: String,
    pub purpose: Purpose,
    /// The number of the event in the history, from 1.
    pub event: usize,
    /// The number of attempts started.
    pub attempts: u32,
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
    /// How long it is left alone.
    pub rests: Option<Duration>,
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
    pub(super) fn is_of(&self, attempt: &ChannelAttempt) -> bool {
        self.channel == attempt.channel
            && self.purpose == attempt.purpose
            && self.event == attempt.event
    }

    pub(super) fn is_untold(&self) -> bool {
        match self.state {
            DeliveryState::Failed(_) | DeliveryState::Dropped(_) => true,
            DeliveryState::Queued(_) => self.attempts > 0,
            DeliveryState::Sending(_) | DeliveryState::Sent(_) | DeliveryState::Unknown(_) => false,
        }
    }

    pub(super) fn is_due(&self, now: Timestamp) -> bool {
        self.state.due_at().is_some_and(|at| at <= now)
    }

    pub(super) fn record(&mut self, result: ChannelResult, now: Timestamp) {
        let pause = |attempts: u32| {
            let index = (attempts as usize).checked_sub(1)?;
            RETRY_PAUSES
                .get(index)
                .map(|&seconds| Duration::from_secs(seconds))
        };
        self.state = match result {
            ChannelResult::Sent => DeliveryState::Sent(now),
            ChannelResult::Off => DeliveryState::Dropped(now),
            ChannelResult::Failed(_, asked) => match pause(self.attempts) {
                None => DeliveryState::Failed(now),
                Some(pause) => {
                    let asked = asked.unwrap_or_default().min(MAX_RETRY_AFTER);
                    DeliveryState::Queued(now + pause.max(asked))
                }
            },
            // Nothing was sent, so the attempt does not count.
            ChannelResult::Postponed(pause) => {
                self.attempts -= 1;
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
