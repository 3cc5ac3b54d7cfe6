//! Tells channels what happened, such as to a request: at once after the write that stores it, and again by the sweep.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::Instant;
use tracing::Instrument;

use super::channel_sender::COOL_DOWN;
use super::error::Error;
use super::notify::Leased;
use super::state::App;
use crate::channels::{Channel, ChannelError, Message, Receiver, event};
use crate::domain::{
    Approval, ChannelAttempt, ChannelEvent, ChannelReadiness, ChannelResult, DeliveryFault,
    EventKind,
};
use crate::render::{ParameterDisclosure, render_card};
use crate::store::Versioned;
use crate::values::Timestamp;

/// The timeout for a channel while an agent waits for the response of submit.
const SUBMIT_TIMEOUT: Duration = Duration::from_secs(5);

/// The timeout at every other time: shorter than a send lease.
const TIMEOUT: Duration = Duration::from_secs(20);

/// An answer that takes longer is slow.
const SLOW: Duration = Duration::from_secs(5);

/// A message that is to be sent.
pub(super) struct Outgoing {
    pub(super) attempt: ChannelAttempt,
    /// What it is about, for the log.
    pub(super) id: String,
    /// `None` where the policy no longer has the channel.
    pub(super) message: Option<(Channel, Message)>,
}

impl App {
    /// Leases what channels are to be told.
    pub(super) fn lease_for_channels(&self, approval: &mut Approval, now: Timestamp) -> Leased {
        let readiness = |name: &str| self.readiness_of(name, now);
        Leased {
            channels: approval.lease_channel_deliveries(readiness, now),
            ..Leased::default()
        }
    }

    pub(super) fn readiness_of(&self, name: &str, now: Timestamp) -> ChannelReadiness {
        let channel = self.channel(name);
        ChannelReadiness {
            shows_state: channel.is_some_and(|it| matches!(it.receiver, Receiver::Teams)),
            cool_down: self.channel_sender.cool_down_left(name, now),
        }
    }

    /// [`App::update`] for a transition of which channels are notified at once.
    pub(super) async fn update_and_tell<T>(
        self: &Arc<Self>,
        row: Versioned,
        mut transition: impl FnMut(&mut Approval, Timestamp) -> Result<T, Error>,
    ) -> Result<(Approval, T), Error> {
        let updating = self.update(row, |approval, now| {
            let result = transition(approval, now)?;
            Ok((result, self.lease_for_channels(approval, now)))
        });
        let (row, (result, leased)) = updating.await?;
        Ok((self.notify_in_background(row, leased), result))
    }

    /// What tells the channels what happened to a request.
    pub(super) fn messages(
        &self,
        approval: &Approval,
        attempts: Vec<ChannelAttempt>,
    ) -> Vec<Outgoing> {
        let id = approval.request.id.to_string();
        let messages = attempts.into_iter().map(|attempt| Outgoing {
            id: id.clone(),
            message: self.message(approval, &attempt),
            attempt,
        });
        messages.collect()
    }

    /// Sends messages to channels, side by side.
    pub(super) async fn tell(
        self: &Arc<Self>,
        messages: Vec<Outgoing>,
    ) -> Vec<(ChannelAttempt, ChannelResult)> {
        let mut telling = JoinSet::new();
        let mut results = Vec::with_capacity(messages.len());
        for outgoing in messages {
            let Outgoing {
                attempt,
                id,
                message,
            } = outgoing;
            let Some((channel, message)) = message else {
                // An instance with another policy may have it.
                let name = attempt.channel.as_str();
                let cause = "the policy has no such channel";
                tracing::warn!(
                    id,
                    channel = name,
                    sequence = attempt.event,
                    cause,
                    "channel not told"
                );
                let failed = ChannelResult::Failed(DeliveryFault::Misconfigured, None);
                results.push((attempt, failed));
                continue;
            };
            let app = self.clone();
            let sending = async move {
                let result = app.send_to(&channel, &message, &attempt, &id).await;
                (attempt, result)
            };
            telling.spawn(sending.in_current_span());
        }
        while let Some(told) = telling.join_next().await {
            // After a panic the lease expires, and the sweep tries again.
            results.extend(told);
        }
        results
    }

    async fn send_to(
        &self,
        channel: &Channel,
        message: &Message,
        attempt: &ChannelAttempt,
        id: &str,
    ) -> ChannelResult {
        let name = channel.name.as_str();
        let now = self.now();
        match self.is_off(name).await {
            Ok(true) => return ChannelResult::Off,
            Ok(false) => {}
            Err(error) => {
                let cause = error.cause();
                tracing::warn!(
                    channel = name,
                    cause,
                    "whether a channel is off cannot be read"
                );
                return ChannelResult::Postponed(COOL_DOWN);
            }
        }
        if let Some(left) = self.channel_sender.cool_down_left(name, now) {
            return ChannelResult::Postponed(left);
        }
        let Some(sender) = &self.channel_sender.sender else {
            return ChannelResult::Off;
        };
        let is_awaited = attempt.event == 1 && attempt.number == 1;
        let timeout = if is_awaited { SUBMIT_TIMEOUT } else { TIMEOUT };
        let began_at = Instant::now();
        let sent = sender.send(channel, message, now, timeout).await;
        let is_slow = began_at.elapsed() > SLOW;
        if is_slow || matches!(sent, Err(ChannelError::Unreachable(_))) {
            self.channel_sender.cool_down(name, self.now());
        }
        if is_slow {
            tracing::warn!(
                channel = name,
                "a channel is slow: it gets nothing for two minutes"
            );
        }
        match sent {
            Ok(()) => {
                tracing::info!(id, channel = name, sequence = attempt.event, "channel told");
                ChannelResult::Sent
            }
            Err(error) if error.is_gone() => {
                self.switch_off(name, now).await;
                ChannelResult::Off
            }
            Err(error) => {
                tracing::warn!(id, channel = name, sequence = attempt.event, cause = %error, "channel not told");
                ChannelResult::Failed(DeliveryFault::Unavailable, error.retry_after())
            }
        }
    }

    /// The channel of an attempt and the message; `None` where the policy no longer has the channel.
    fn message(&self, approval: &Approval, attempt: &ChannelAttempt) -> Option<(Channel, Message)> {
        let channel = self.channel(&attempt.channel)?.clone();
        let told = approval.told_event(attempt.event)?;
        let mut message = event(approval, attempt, told, &self.base_url);
        if matches!(channel.receiver, Receiver::Teams) {
            message.body = self.card(approval, told.1, told.0.what);
        }
        Some((channel, message))
    }

    fn card(&self, approval: &Approval, kind: ChannelEvent, what: EventKind) -> String {
        let with_parameters = self.config.parameter_disclosure != ParameterDisclosure::None;
        let brand = &self.config.brand;
        render_card(approval, kind, what, with_parameters, &self.base_url, brand)
    }

    pub(super) fn channel(&self, name: &str) -> Option<&Channel> {
        let mut channels = self.config.channels.iter();
        channels.find(|channel| channel.name == name)
    }
}
