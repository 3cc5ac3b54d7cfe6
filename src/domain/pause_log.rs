//! Which pauses stood at the last look, so that channels get each beginning and each end once.

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
    /// Adds an event for each of the pauses that stand now that was not seen before, and for each that no longer stands.
    pub fn observe(&mut self, pauses: &[Pause], now: Timestamp) {
        let pauses = pauses.iter().map(|pause| StandingPause {
            scope: pause.scope.clone(),
            since: pause.since,
        });
        let pauses: Vec<StandingPause> = pauses.collect();
        let before = std::mem::replace(&mut self.standing, pauses.clone());
        for pause in before.iter().filter(|it| !pauses.contains(it)) {
            let ended = StandingFact::PauseEnded(pause.clone());
            self.outbox.push(ended, false, &self.channels, now);
        }
        for pause in pauses.into_iter().filter(|it| !before.contains(it)) {
            let at = pause.since;
            let started = StandingFact::PauseStarted(pause);
            self.outbox.push(started, false, &self.channels, at);
        }
    }
}
