//! The delivery of one notice to one approver: its schedule, and the result of each attempt.

use std::time::Duration;

use super::state::Status;
use crate::values::Timestamp;
use crate::values::word::words;

/// How long a send lease lasts: time for one attempt, after which another instance may send. With the
/// sweep's interval of a minute, a delivery interrupted by a crash is attempted again well within the
/// 150 seconds that the gate guarantees.
pub(super) const SEND_LEASE: Duration = Duration::from_secs(60);

/// The pause after the mail service rejected the gate's settings.
pub const MISCONFIGURED_PAUSE: Duration = Duration::from_secs(300);

/// The pause before the second attempt, the third, and so on; the last one repeats. What asks for a decision is attempted
/// until the deadline, at pauses of at most a quarter of the time that is left.
const RETRY_PAUSES: [u64; 7] = [30, 60, 120, 300, 600, 1_200, 1_800];

/// The attempts at a notice after the request has ended, after which it counts as failed.
const MAX_OUTCOME_ATTEMPTS: u32 = 12;

/// A notice to one approver, and the progress of its delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    pub notice: Notice,
    /// The number of attempts started.
    pub attempts: u32,
    pub state: DeliveryState,
    /// Why the last attempt failed.
    pub fault: Option<DeliveryFault>,
    /// How often it was sent again: by the operator, or since the person's vote was needed again.
    pub resends: u32,
    /// Whether one may have arrived before it was sent again.
    pub arrived_before: bool,
}

words! {
    /// The kind of a notification.
    pub enum Notice {
        /// The request for a decision.
        Request = "Question",
        /// A reminder after half of the time to decide.
        Reminder,
        /// The last reminder, after 85 % of it.
        FinalReminder = "LastReminder",
        /// The notice that more people were asked, since a stage stays open.
        Escalation,
        /// The outcome notice, after the request has ended.
        Outcome,
        /// The notice that the approval was revoked.
        Revocation,
        /// The notice that the approved action failed, or may have. Rows name it `Outcome` too: the second one of
        /// an approver.
        Failure,
        /// The notice to the person who rejected it that others are asked the same.
        AskedAgain,
        /// The notice to the person who gave a standing grant with it that the grant has ended.
        GrantEnd,
    }
}

/// The progress of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeliveryState {
    /// Due at this time, for the first time or again.
    Queued(Timestamp),
    /// Being sent under a lease that ends at this time.
    Sending(Timestamp),
    /// Accepted by the mail service.
    Sent(Timestamp),
    /// Failed permanently.
    Failed(Timestamp),
    /// The outcome of two attempts in a row is unknown; it is not sent again.
    Unknown(Timestamp),
    /// No longer useful, so never sent.
    Dropped(Timestamp),
}

/// An attempt for which this process holds the send lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SendAttempt {
    /// The index of the approver.
    pub approver: usize,
    pub notice: Notice,
    /// The number of the attempt, from 1. One that does not count has the number of the next.
    pub number: u32,
    /// The end of the lease, which no other attempt of the number has.
    pub leased_until: Timestamp,
}

/// The result of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SendResult {
    /// The mail service accepted it.
    Sent,
    /// It was not tried, since others were sent first.
    NotTried,
    /// It was not accepted, or the outcome is unknown; with the pause that the service requested.
    Failed(DeliveryFault, Option<Duration>),
}

words! {
    /// Why an attempt failed.
    pub enum DeliveryFault {
        /// Permanent: the address or the message was refused.
        Refused,
        /// Transient: the mail service is unavailable.
        Unavailable,
        /// The mail service rejected the gate's settings.
        Misconfigured,
        /// The outcome is unknown: the message may have been accepted.
        Unclear,
    }
}

/// Which notices beyond the request itself are sent (`HO_MAIL_NOTES`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotificationSettings {
    pub reminders: bool,
    /// Outcome notices, except of withdrawals.
    pub outcome: bool,
    /// Outcome notices of withdrawals.
    pub withdrawn: bool,
}

impl NotificationSettings {
    pub const ALL: Self = Self {
        reminders: true,
        outcome: true,
        withdrawn: true,
    };

    pub(super) fn includes(self, notice: Notice, status: Status) -> bool {
        match (notice, status) {
            (Notice::Request, _) => true,
            (Notice::Reminder | Notice::FinalReminder | Notice::Escalation, _) => self.reminders,
            (Notice::Outcome, Status::Cancelled) => self.withdrawn,
            (
                Notice::Outcome
                | Notice::Revocation
                | Notice::Failure
                | Notice::AskedAgain
                | Notice::GrantEnd,
                _,
            ) => self.outcome,
        }
    }
}

words! {
    /// Whether the request reached all, some or none of the approvers.
    pub enum Deliverable {
        Ok,
        /// Some.
        Degraded,
        None,
    }
}

impl DeliveryState {
    /// The word in rows and lists.
    pub fn word(self) -> &'static str {
        match self {
            Self::Queued(_) => "Queued",
            Self::Sending(_) => "Sending",
            Self::Sent(_) => "Sent",
            Self::Failed(_) => "Failed",
            Self::Unknown(_) => "Unknown",
            Self::Dropped(_) => "Dropped",
        }
    }

    /// The state with this word, and the time that belongs to it.
    pub fn from_word(word: &str, at: Timestamp) -> Option<Self> {
        Some(match word {
            "Queued" => Self::Queued(at),
            "Sending" => Self::Sending(at),
            "Sent" => Self::Sent(at),
            "Failed" => Self::Failed(at),
            "Unknown" => Self::Unknown(at),
            "Dropped" => Self::Dropped(at),
            _ => return None,
        })
    }

    /// When it is to be sent, or sent again.
    pub(super) fn due_at(self) -> Option<Timestamp> {
        match self {
            Self::Queued(at) | Self::Sending(at) => Some(at),
            Self::Sent(_) | Self::Failed(_) | Self::Unknown(_) | Self::Dropped(_) => None,
        }
    }

    pub(super) fn is_due(self, now: Timestamp) -> bool {
        self.due_at().is_some_and(|at| at <= now)
    }

    /// The time that belongs to it.
    pub fn at(self) -> Timestamp {
        match self {
            Self::Queued(at)
            | Self::Sending(at)
            | Self::Sent(at)
            | Self::Failed(at)
            | Self::Unknown(at)
            | Self::Dropped(at) => at,
        }
    }
}

impl Notice {
    /// The name of an email with it that is sent at a time: one that can be sent on several days has a name for each day.
    pub(super) fn name_at(self, at: Timestamp) -> String {
        let word = self.word();
        match self {
            Self::AskedAgain => format!("{word}.{}", at.unix_seconds() / 86_400),
            _ => word.to_owned(),
        }
    }

    /// Whether it asks for a decision.
    pub fn asks(self) -> bool {
        matches!(self, Self::Request | Self::Escalation) || self.is_reminder()
    }

    pub(super) fn is_reminder(self) -> bool {
        matches!(self, Self::Reminder | Self::FinalReminder)
    }
}

impl Delivery {
    pub(super) fn queued(notice: Notice, at: Timestamp) -> Self {
        Self {
            notice,
            attempts: 0,
            state: DeliveryState::Queued(at),
            fault: None,
            resends: 0,
            arrived_before: false,
        }
    }

    /// Whether the message was accepted or may have been.
    pub(super) fn may_have_arrived(&self) -> bool {
        matches!(
            self.state,
            DeliveryState::Sent(_) | DeliveryState::Unknown(_)
        ) || self.fault == Some(DeliveryFault::Unclear)
            || self.arrived_before
    }

    /// Whether none has arrived or will.
    pub(super) fn has_failed(&self) -> bool {
        matches!(self.state, DeliveryState::Failed(_)) && !self.arrived_before
    }

    /// Whether no more attempts are made although it may not have arrived.
    pub fn was_given_up(&self) -> bool {
        matches!(
            self.state,
            DeliveryState::Failed(_) | DeliveryState::Unknown(_)
        )
    }

    /// A copy of this delivery, queued again for `at`.
    pub(super) fn again(&self, at: Timestamp) -> Self {
        Self {
            resends: self.resends + 1,
            arrived_before: self.may_have_arrived(),
            ..Self::queued(self.notice, at)
        }
    }

    pub(super) fn is_under_way(&self, now: Timestamp) -> bool {
        match self.state {
            DeliveryState::Sending(until) => until > now,
            DeliveryState::Queued(at) => at <= now,
            _ => false,
        }
    }

    /// Drops it, unless it is being sent or no more attempts are made. One whose lease has ended without a result may have
    /// arrived. Returns whether it was dropped.
    pub(super) fn drop_unsent(&mut self, now: Timestamp) -> bool {
        match self.state {
            DeliveryState::Queued(_) => {}
            DeliveryState::Sending(until) if until <= now => {
                self.fault = Some(DeliveryFault::Unclear);
            }
            _ => return false,
        }
        self.state = DeliveryState::Dropped(now);
        true
    }

    /// Starts an attempt under a lease, whose end it returns.
    pub(super) fn lease(&mut self, now: Timestamp) -> Timestamp {
        let until = now + SEND_LEASE;
        self.state = DeliveryState::Sending(until);
        self.attempts += 1;
        until
    }

    /// Records the result of an attempt; a request is to be answered by `deadline`.
    pub(super) fn record(&mut self, result: SendResult, deadline: Timestamp, now: Timestamp) {
        let last_attempt = !self.notice.asks() && self.attempts >= MAX_OUTCOME_ATTEMPTS;
        let was_unclear = self.fault == Some(DeliveryFault::Unclear);
        self.state = match result {
            SendResult::Sent => DeliveryState::Sent(now),
            SendResult::NotTried => {
                self.attempts -= 1;
                DeliveryState::Queued(now)
            }
            SendResult::Failed(DeliveryFault::Refused, _) => DeliveryState::Failed(now),
            SendResult::Failed(DeliveryFault::Unclear, _) if was_unclear => {
                DeliveryState::Unknown(now)
            }
            // Nothing was sent, so the attempt does not count.
            SendResult::Failed(DeliveryFault::Misconfigured, _) => {
                self.attempts -= 1;
                DeliveryState::Queued(now + MISCONFIGURED_PAUSE)
            }
            SendResult::Failed(..) if last_attempt => DeliveryState::Failed(now),
            SendResult::Failed(_, retry_after) => {
                let mut pause = retry_pause(self.attempts);
                if self.notice.asks() {
                    pause = pause.min((deadline.since(now) / 4).max(retry_pause(1)));
                }
                DeliveryState::Queued(now + pause.max(retry_after.unwrap_or_default()))
            }
        };
        self.fault = match result {
            SendResult::Sent => None,
            SendResult::NotTried => self.fault,
            SendResult::Failed(fault, _) => Some(fault),
        };
    }
}

fn retry_pause(attempts: u32) -> Duration {
    let index = (attempts as usize)
        .saturating_sub(1)
        .min(RETRY_PAUSES.len() - 1);
    Duration::from_secs(RETRY_PAUSES[index])
}
