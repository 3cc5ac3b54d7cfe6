//! `POST /api/delivery`: the webhook to which Event Grid delivers what Communication Services report about emails.
//! <https://learn.microsoft.com/azure/event-grid/communication-services-email-events>

use std::sync::Arc;

use axum::extract::{FromRequest, Request, State};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::error::Error;
use super::forwarding;
use super::json::JsonList;
use super::wire;
use crate::app::{App, NonDelivery};

/// The most events of one call.
const MAX_EVENTS: usize = 50;

/// The longest code of a validation, in characters; those of Event Grid are UUIDs.
const CODE_CHARS: usize = 128;

/// The statuses of an email that did not arrive. `Delivered` and `Expanded`, which a list has, change nothing.
const NOT_DELIVERED: [&str; 5] = [
    "Bounced",
    "Failed",
    "FilteredSpam",
    "Quarantined",
    "Suppressed",
];

/// An event in the schema of Event Grid.
enum Event {
    /// Event Grid asks whether the address takes events; the answer is this code.
    Validation(String),
    NotDelivered(NonDelivery),
    /// It changes nothing: an email that was opened, a link that was clicked, an id that is none of the gate's, and what
    /// the gate does not know.
    Other,
}

/// Records every report that can be read before it refuses those that cannot: Event Grid makes no report again that
/// is answered with 400 or 413, and every one for up to 24 h that is answered with 503.
pub(super) async fn receive(
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<Response, Error> {
    if app.config.production {
        forwarding::check_reports(request.headers())?;
    }
    let JsonList(events) = JsonList::from_request(request, &()).await?;
    if events.len() > MAX_EVENTS {
        let detail = format!("A call may have at most {MAX_EVENTS} events.");
        return Err(Error::TooLarge(detail));
    }
    let (mut answer, mut failed, mut unreadable) = (json!({}), None, None);
    for (index, event) in events.iter().enumerate() {
        match parse(event) {
            Ok(Event::Validation(code)) => answer = json!({"validationResponse": code}),
            Ok(Event::NotDelivered(report)) => {
                let recorded = app.record_non_delivery(&report).await;
                failed = failed.or_else(|| recorded.err());
            }
            Ok(Event::Other) => {}
            Err(pointer) => unreadable = unreadable.or(Some((index, pointer))),
        }
    }
    if let Some(error) = failed {
        return Err(error.into());
    }
    if let Some((index, pointer)) = unreadable {
        let detail = format!("The body has no text of the expected form at /{index}{pointer}.");
        return Err(Error::BadRequest(detail));
    }
    Ok(wire::json(&answer).into_response())
}

/// Fails with the pointer to what is missing.
fn parse(event: &Value) -> Result<Event, &'static str> {
    let text = |pointer: &'static str| {
        let text = event.pointer(pointer).and_then(Value::as_str);
        text.ok_or(pointer)
    };
    match text("/eventType")? {
        "Microsoft.EventGrid.SubscriptionValidationEvent" => {
            let code = text("/data/validationCode")?;
            let is_code = |c: char| c.is_ascii_graphic();
            if code.len() > CODE_CHARS || !code.chars().all(is_code) {
                return Err("/data/validationCode");
            }
            Ok(Event::Validation(code.to_owned()))
        }
        "Microsoft.Communication.EmailDeliveryReportReceived" => {
            let status = text("/data/status")?;
            let message = text("/data/messageId")?;
            let recipient = text("/data/recipient")?;
            let status = NOT_DELIVERED.into_iter().find(|it| *it == status);
            Ok(match (message.parse(), status) {
                (Ok(message), Some(status)) => Event::NotDelivered(NonDelivery {
                    message,
                    recipient: recipient.to_owned(),
                    status,
                }),
                _ => Event::Other,
            })
        }
        _ => Ok(Event::Other),
    }
}
