//! What sends to channels, and which of them are left alone for a time.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::channels::Sender;
use crate::values::Timestamp;

/// How long a channel that did not answer, or slowly, is left alone, so that it does not hold up the others: for more than
/// one sweep.
pub(super) const REST: Duration = Duration::from_secs(120);

/// The channels, and those that are left alone for a time.
pub struct Teller {
    /// `None` where there are no channels.
    pub(super) sender: Option<Sender>,
    /// Until when, by name.
    resting: Mutex<HashMap<String, Timestamp>>,
}

impl Teller {
    /// A teller for which no channel rests.
    pub fn new(sender: Option<Sender>) -> Self {
        Self {
            sender,
            resting: Mutex::default(),
        }
    }

    /// How long a channel is still left alone.
    pub(super) fn rest_of(&self, channel: &str, now: Timestamp) -> Option<Duration> {
        let resting = self.resting.lock().unwrap_or_else(PoisonError::into_inner);
        let left = resting.get(channel)?.since(now);
        Some(left).filter(|left| !left.is_zero())
    }

    pub(super) fn rest(&self, channel: &str, now: Timestamp) {
        let mut resting = self.resting.lock().unwrap_or_else(PoisonError::into_inner);
        resting.insert(channel.to_owned(), now + REST);
    }
}
