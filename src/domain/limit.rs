//! The limit of a rule that approves: how often it did so in a sliding period.

use std::time::Duration;

use crate::values::Timestamp;

/// When a rule approved, of the times that still count.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LimitUsage(Vec<Timestamp>);

impl LimitUsage {
    pub fn new(uses: Vec<Timestamp>) -> Self {
        Self(uses)
    }

    pub fn uses(&self) -> &[Timestamp] {
        &self.0
    }

    /// Counts a use at `now`, if fewer than `times` lie in the period before it. A use that another clock
    /// dated later than `now` counts too.
    pub fn charge(&mut self, times: usize, per: Duration, now: Timestamp) -> bool {
        self.0.retain(|at| *at + per > now);
        let has_room = self.0.len() < times;
        if has_room {
            self.0.push(now);
        }
        has_room
    }

    /// Takes back a use.
    pub fn refund(&mut self, at: Timestamp) {
        if let Some(index) = self.0.iter().position(|it| *it == at) {
            self.0.swap_remove(index);
        }
    }
}
