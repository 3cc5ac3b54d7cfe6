//! The outbox of a standing row as JSON, and the row of what channels get of pauses.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::from_str;

use super::error::StoreError;
use super::row::{DeliveryEntry, delivery_entries};
use super::text_json::{json, optional_text, text};
use crate::domain::{
    GrantEnding, GrantSummary, PauseLog, PauseScope, StandingEvent, StandingFact, StandingOutbox,
    StandingPause,
};
use crate::values::{Address, ApprovalId, Timestamp};

pub(super) const OUTBOX: &str = "Outbox";
/// The pauses that were seen to stand, and the channels that get their events.
const PAUSES: &str = "Pauses";
const CHANNELS: &str = "Channels";

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct OutboxEntry {
    last: usize,
    events: Vec<EventEntry>,
    deliveries: Vec<DeliveryEntry>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct EventEntry {
    number: usize,
    #[serde(with = "text")]
    at: Timestamp,
    #[serde(rename = "type")]
    word: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    grant: Option<SummaryEntry>,
    #[serde(
        with = "optional_text",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    ended_by: Option<GrantEnding>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pause: Option<PauseEntry>,
    concerns_giver: bool,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct SummaryEntry {
    id: String,
    agent: String,
    action: String,
    #[serde(with = "text")]
    given_with: ApprovalId,
    #[serde(with = "text")]
    by: Address,
    uses: u16,
    used: u16,
    #[serde(with = "text")]
    until: Timestamp,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct PauseEntry {
    scope: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(with = "text")]
    since: Timestamp,
}

/// The columns of the row of what channels get of pauses.
pub fn encode_pause_log(log: &PauseLog) -> BTreeMap<String, String> {
    let pauses: Vec<PauseEntry> = log.standing.iter().map(PauseEntry::of).collect();
    let columns = [
        (PAUSES, json(&pauses)),
        (CHANNELS, json(&log.channels)),
        (OUTBOX, encode(&log.outbox)),
    ];
    columns.map(|(name, text)| (name.to_owned(), text)).into()
}

/// What channels get of pauses, in the columns of its row.
///
/// # Errors
/// [`StoreError::Damaged`] if it has not the form of such a row.
pub fn decode_pause_log(columns: &BTreeMap<String, String>) -> Result<PauseLog, StoreError> {
    let text = |column: &'static str| {
        columns
            .get(column)
            .ok_or_else(|| StoreError::damaged(column))
    };
    let pauses: Vec<PauseEntry> =
        from_str(text(PAUSES)?).map_err(|_| StoreError::damaged(PAUSES))?;
    let pauses = pauses.into_iter().map(PauseEntry::into_pause);
    let pauses: Option<_> = pauses.collect();
    Ok(PauseLog {
        standing: pauses.ok_or_else(|| StoreError::damaged(PAUSES))?,
        channels: from_str(text(CHANNELS)?).map_err(|_| StoreError::damaged(CHANNELS))?,
        outbox: decode(text(OUTBOX)?)?,
    })
}

pub(super) fn encode(outbox: &StandingOutbox) -> String {
    json(&OutboxEntry {
        last: outbox.last,
        events: outbox.events.iter().map(EventEntry::of).collect(),
        deliveries: delivery_entries(&outbox.deliveries),
    })
}

/// # Errors
/// [`StoreError::Damaged`] if it has not the form of an outbox.
pub(super) fn decode(text: &str) -> Result<StandingOutbox, StoreError> {
    let read = || {
        let entry: OutboxEntry = from_str(text).ok()?;
        let events = entry.events.into_iter().map(EventEntry::into_event);
        let deliveries = entry.deliveries.into_iter();
        let deliveries = deliveries.map(DeliveryEntry::into_delivery);
        let outbox = StandingOutbox {
            last: entry.last,
            events: events.collect::<Option<_>>()?,
            deliveries: deliveries.collect::<Option<_>>()?,
        };
        let mut told = outbox.deliveries.iter();
        told.all(|it| outbox.event(it.event).is_some())
            .then_some(outbox)
    };
    read().ok_or_else(|| StoreError::damaged(OUTBOX))
}

impl EventEntry {
    fn of(event: &StandingEvent) -> Self {
        let (grant, ended_by, pause) = match &event.fact {
            StandingFact::GrantGiven(grant) => (Some(grant), None, None),
            StandingFact::GrantEnded(grant, by) => (Some(grant), Some(*by), None),
            StandingFact::PauseStarted(pause) | StandingFact::PauseEnded(pause) => {
                (None, None, Some(pause))
            }
        };
        Self {
            number: event.number,
            at: event.at,
            word: event.fact.word().to_owned(),
            grant: grant.map(SummaryEntry::of),
            ended_by,
            pause: pause.map(PauseEntry::of),
            concerns_giver: event.concerns_giver,
        }
    }

    fn into_event(self) -> Option<StandingEvent> {
        let grant = self.grant.map(SummaryEntry::into_summary);
        let pause = self.pause.map(PauseEntry::into_pause);
        let fact = match (grant, self.ended_by, pause) {
            (Some(grant), None, None) => StandingFact::GrantGiven(grant),
            (Some(grant), Some(by), None) => StandingFact::GrantEnded(grant, by),
            (None, None, Some(pause)) => {
                let pause = pause?;
                let started = StandingFact::PauseStarted(pause.clone());
                if started.word() == self.word {
                    started
                } else {
                    StandingFact::PauseEnded(pause)
                }
            }
            _ => return None,
        };
        Some(StandingEvent {
            number: self.number,
            at: self.at,
            fact: Some(fact).filter(|fact| fact.word() == self.word)?,
            concerns_giver: self.concerns_giver,
        })
    }
}

impl SummaryEntry {
    fn of(grant: &GrantSummary) -> Self {
        Self {
            id: grant.id.clone(),
            agent: grant.agent.clone(),
            action: grant.action.clone(),
            given_with: grant.given_with.clone(),
            by: grant.giver.clone(),
            uses: grant.uses,
            used: grant.used,
            until: grant.until,
        }
    }

    fn into_summary(self) -> GrantSummary {
        GrantSummary {
            id: self.id,
            agent: self.agent,
            action: self.action,
            given_with: self.given_with,
            giver: self.by,
            uses: self.uses,
            used: self.used,
            until: self.until,
        }
    }
}

impl PauseEntry {
    fn of(pause: &StandingPause) -> Self {
        Self {
            scope: pause.scope.word().to_owned(),
            name: pause.scope.name(),
            since: pause.since,
        }
    }

    fn into_pause(self) -> Option<StandingPause> {
        Some(StandingPause {
            scope: PauseScope::from_word(&self.scope, self.name.as_deref())?,
            since: self.since,
        })
    }
}
