//! Sends to channels, and knows which of them are cooling down.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::channels::Sender;
use crate::values::Timestamp;

/// How long a channel gets nothing after it did not answer, or answered slowly, so that it does not hold up the others:
/// longer than the pause between two sweeps.
pub(super) const COOL_DOWN: Duration = Duration::from_secs(120);

/// The sender to channels, and the channels that are cooling down.
pub struct ChannelSender {
    /// `None` where there are no channels.
    pub(super) sender: Option<Sender>,
    /// Until when, by name.
    cooling_down: Mutex<HashMap<String, Timestamp>>,
}

impl ChannelSender {
    pub fn new(sender: Option<Sender>) -> Self {
        Self {
            sender,
            cooling_down: Mutex::default(),
        }
    }

    /// How long a channel still gets nothing; `None` if it can be called now.
    pub(super) fn cool_down_left(&self, channel: &str, now: Timestamp) -> Option<Duration> {
        let cooling_down = self
            .cooling_down
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let left = cooling_down.get(channel)?.since(now);
        Some(left).filter(|left| !left.is_zero())
    }

    pub(super) fn cool_down(&self, channel: &str, now: Timestamp) {
        let mut cooling_down = self
            .cooling_down
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        cooling_down.insert(channel.to_owned(), now + COOL_DOWN);
    }
}
