//! Which pauses stood at the last observation, so that channels get each beginning and each end once.

use std::collections::BTreeSet;

use super::pause::Pause;
use super::standing_outbox::{StandingFact, StandingOutbox, StandingPause};
use crate::values::Timestamp;

/// The pauses that were seen to stand, and the events of pauses for channels.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PauseLog {
    pub standing: Vec<StandingPause>,
    /// The channels that get the events.
    pub channels: Vec<String>,
    pub outbox: StandingOutbox,
}

impl PauseLog {
    /// The most pauses that are remembered, so that they fit into a column.
    pub const MOST: usize = 100;

    /// Adds an event for each of the pauses that stand now that was not seen before, and for each that no longer stands.
    /// What there is no room for, a later observation finds.
    pub fn observe(&mut self, pauses: &[Pause], now: Timestamp) {
        let keys: BTreeSet<_> = pauses.iter().map(|pause| pause.scope.key()).collect();
        let has_ended = |it: &StandingPause| !keys.contains(&it.scope.key());
        while self.outbox.has_room()
            && let Some(ended) = self.standing.iter().position(has_ended)
        {
            let ended = StandingFact::PauseEnded(self.standing.remove(ended));
            self.outbox.push(ended, false, &self.channels, now);
        }
        let seen: BTreeSet<_> = self.standing.iter().map(|it| it.scope.key()).collect();
        for pause in pauses.iter().filter(|it| !seen.contains(&it.scope.key())) {
            if !self.outbox.has_room() || self.is_full() {
                return;
            }
            let pause = StandingPause {
                scope: pause.scope.clone(),
                since: pause.since,
            };
            self.standing.push(pause.clone());
            let at = pause.since;
            let started = StandingFact::PauseStarted(pause);
            self.outbox.push(started, false, &self.channels, at);
        }
    }

    /// Whether no more pauses can be remembered: channels get no others until one of these has ended.
    pub fn is_full(&self) -> bool {
        self.standing.len() >= Self::MOST
    }
}
