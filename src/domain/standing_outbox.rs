//! The outbox of a standing row: the events of standing grants or of pauses, and their deliveries to channels.

use super::outbox::{
    self, ChannelAttempt, ChannelDelivery, ChannelReadiness, ChannelResult, Purpose,
};
use super::pause::PauseScope;
use crate::values::word::words;
use crate::values::{Address, ApprovalId, Owner, Timestamp};

/// `key:` and eight characters of the hash.
const KEY_CHARS: usize = 12;

/// The events of a standing row. Only the last ones are kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StandingOutbox {
    /// The number of the last event, from 1.
    pub last: usize,
    pub events: Vec<StandingEvent>,
    /// The deliveries to channels, in the order of the events.
    pub deliveries: Vec<ChannelDelivery>,
}

/// An event of a standing grant or of a pause.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StandingEvent {
    pub number: usize,
    pub at: Timestamp,
    pub fact: StandingFact,
    /// Whether the giver's notice of the end of the grant is still to be queued or dropped.
    pub concerns_giver: bool,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StandingFact {
    GrantGiven(GrantSummary),
    GrantEnded(GrantSummary, GrantEnding),
    PauseStarted(StandingPause),
    PauseEnded(StandingPause),
}

/// What events say about a standing grant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrantSummary {
    pub id: String,
    pub agent: String,
    pub action: String,
    /// The request with whose approval it was given.
    pub given_with: ApprovalId,
    /// The approver who gave it; no channel gets the address.
    pub giver: Address,
    pub uses: u16,
    /// The requests that it has approved.
    pub used: u16,
    pub until: Timestamp,
}

/// A pause as it was set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StandingPause {
    pub scope: PauseScope,
    pub since: Timestamp,
}

words! {
    /// What ended a standing grant.
    pub enum GrantEnding {
        /// Its giver revoked it.
        Giver = "giver",
        Operator = "operator",
        /// An approver rejected what reads the same, or revoked the approval of it.
        Rejection = "rejection",
        /// The operator paused what it covers.
        Pause = "pause",
        /// A newer grant for exactly the same took its place.
        Replacement = "replacement",
        /// It was used up.
        Uses = "uses",
        /// Its time was over.
        Time = "time",
    }
}

impl StandingFact {
    /// The type of the event, as webhooks name it.
    pub fn word(&self) -> &'static str {
        match self {
            Self::GrantGiven(_) => "grant.given",
            Self::GrantEnded(..) => "grant.ended",
            Self::PauseStarted(_) => "pause.started",
            Self::PauseEnded(_) => "pause.ended",
        }
    }
}

impl StandingPause {
    /// The owner for channels: of a function key the beginning of its hash.
    pub fn owner(&self) -> Option<String> {
        let PauseScope::Owner(owner) = &self.scope else {
            return None;
        };
        let text = owner.to_string();
        Some(match owner {
            Owner::Key(_) => text.chars().take(KEY_CHARS).collect(),
            _ => text,
        })
    }
}

impl StandingOutbox {
    /// The most events that are kept, so that they fit into a column.
    pub const MOST: usize = 12;

    /// Adds an event, and queues it for these channels.
    pub(super) fn push(
        &mut self,
        fact: StandingFact,
        concerns_giver: bool,
        channels: &[String],
        at: Timestamp,
    ) {
        if self.events.len() >= Self::MOST {
            let settled = self.events.iter().position(|event| self.is_settled(event));
            let removed = self.events.remove(settled.unwrap_or(0)).number;
            self.deliveries.retain(|it| it.event != removed);
        }
        self.last += 1;
        let number = self.last;
        self.events.push(StandingEvent {
            number,
            at,
            fact,
            concerns_giver,
        });
        let channels = channels.iter();
        let queued = channels.map(|it| ChannelDelivery::queued(it, Purpose::Tell, number, at));
        self.deliveries.extend(queued);
    }

    fn is_settled(&self, event: &StandingEvent) -> bool {
        let mut deliveries = self.deliveries.iter();
        let is_over = |it: &ChannelDelivery| it.state.due_at().is_none();
        !event.concerns_giver && deliveries.all(|it| it.event != event.number || is_over(it))
    }

    /// Whether an event can be added without dropping one that has yet to be sent.
    pub(super) fn has_room(&self) -> bool {
        self.events.len() < Self::MOST || self.events.iter().any(|event| self.is_settled(event))
    }

    /// The number of events that were dropped since `before` although they had yet to be sent.
    pub fn lost_since(&self, before: &Self) -> usize {
        let earlier = before.events.iter().filter(|it| !before.is_settled(it));
        let numbers = earlier.map(|event| event.number);
        let numbers = numbers.chain(before.last + 1..=self.last);
        numbers.filter(|&it| self.event(it).is_none()).count()
    }

    /// The event with this number, if it is still kept.
    pub fn event(&self, number: usize) -> Option<&StandingEvent> {
        self.events.iter().find(|event| event.number == number)
    }

    /// The events of which the giver has yet to learn.
    pub fn for_givers(&self) -> impl Iterator<Item = &StandingEvent> {
        self.events.iter().filter(|event| event.concerns_giver)
    }

    /// The giver's notice of these events is queued in the request's row, or dropped there.
    pub fn record_givers(&mut self, numbers: &[usize]) {
        let events = self.events.iter_mut();
        for event in events.filter(|event| numbers.contains(&event.number)) {
            event.concerns_giver = false;
        }
    }

    /// Whether something is due, to channels or to givers.
    pub fn is_due(&self, now: Timestamp) -> bool {
        self.for_givers().next().is_some() || self.deliveries.iter().any(|it| it.state.is_due(now))
    }

    /// Leases the deliveries that are due, so that no other instance sends them at the same time.
    pub fn lease(
        &mut self,
        readiness: impl Fn(&str) -> ChannelReadiness,
        now: Timestamp,
    ) -> Vec<ChannelAttempt> {
        outbox::lease(&mut self.deliveries, readiness, now)
    }

    /// Records the result of an attempt, unless a later attempt has started.
    pub fn record(&mut self, attempt: &ChannelAttempt, result: ChannelResult, now: Timestamp) {
        outbox::record(&mut self.deliveries, attempt, result, now);
    }

    /// Queues again what channels were not told. Returns how many are queued.
    pub fn queue_again(&mut self, now: Timestamp) -> usize {
        outbox::queue_again(&mut self.deliveries, now)
    }
}
