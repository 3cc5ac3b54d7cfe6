//! The columns `Callback` and `Outbox`: the events of a request for channels.

use serde::{Deserialize, Serialize};

use super::columns::Columns;
use crate::domain::{
    Approval, Callback, ChannelDelivery, ChannelEvent, DeliveryFault, DeliveryState, Event, Purpose,
};
use crate::store::text_json::{is_zero, json, optional_text, text};
use crate::values::Timestamp;

const CALLBACK: &str = "Callback";
pub(super) const OUTBOX: &str = "Outbox";

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct CallbackEntry {
    channel: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    state: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::store) struct DeliveryEntry {
    channel: String,
    #[serde(with = "text")]
    purpose: Purpose,
    event: usize,
    attempts: u32,
    #[serde(default, skip_serializing_if = "is_zero")]
    uncounted: u32,
    state: String,
    #[serde(with = "text")]
    at: Timestamp,
    #[serde(
        with = "optional_text",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    fault: Option<DeliveryFault>,
}

pub(super) fn encode(approval: &Approval, columns: &mut Columns) {
    if let Some(Callback { channel, state }) = approval.request.callback.clone() {
        columns.set(CALLBACK, &json(&CallbackEntry { channel, state }));
    }
    if approval.outbox.is_empty() {
        return;
    }
    columns.set(OUTBOX, &json(&delivery_entries(&approval.outbox)));
}

pub(in crate::store) fn delivery_entries(deliveries: &[ChannelDelivery]) -> Vec<DeliveryEntry> {
    let entries = deliveries.iter().map(|it| DeliveryEntry {
        channel: it.channel.clone(),
        purpose: it.purpose,
        event: it.event,
        attempts: it.attempts,
        uncounted: it.uncounted,
        state: it.state.word().to_owned(),
        at: it.state.at(),
        fault: it.fault,
    });
    entries.collect()
}

impl DeliveryEntry {
    pub(in crate::store) fn into_delivery(self) -> Option<ChannelDelivery> {
        Some(ChannelDelivery {
            channel: self.channel,
            purpose: self.purpose,
            event: self.event,
            attempts: self.attempts,
            uncounted: self.uncounted,
            state: DeliveryState::from_word(&self.state, self.at)?,
            fault: self.fault,
        })
    }
}

pub(super) fn decode_callback(columns: &mut Columns) -> Result<Option<Callback>, &'static str> {
    let Some(text) = columns.take_optional::<String>(CALLBACK)? else {
        return Ok(None);
    };
    let entry: CallbackEntry = serde_json::from_str(&text).map_err(|_| CALLBACK)?;
    let CallbackEntry { channel, state } = entry;
    Ok(Some(Callback { channel, state }))
}

pub(super) fn decode(
    columns: &mut Columns,
    history: &[Event],
) -> Result<Vec<ChannelDelivery>, &'static str> {
    let Some(text) = columns.take_optional::<String>(OUTBOX)? else {
        return Ok(Vec::new());
    };
    let entries: Vec<DeliveryEntry> = serde_json::from_str(&text).map_err(|_| OUTBOX)?;
    let deliveries = entries.into_iter().map(|it| {
        let event = history.get(it.event.checked_sub(1)?)?;
        ChannelEvent::of(event.what)?;
        it.into_delivery()
    });
    deliveries.collect::<Option<_>>().ok_or(OUTBOX)
}
