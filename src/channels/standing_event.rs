//! The events of standing grants and pauses that webhooks get. Like those of requests they have no parameters, no address
//! of a person, and no words of the operator.

use human_oversight_protocol::parameters::{hex, sha256};
use serde_json::{Value, json};

use super::sender::Message;
use crate::domain::{GrantSummary, PauseScope, StandingEvent, StandingFact, StandingPause};

/// The message with an event for a channel. Its id is the same in every attempt.
pub fn standing_event(event: &StandingEvent, channel: &str, base_url: &str) -> Message {
    let mut data = match &event.fact {
        StandingFact::GrantGiven(grant) => of_grant(grant, base_url),
        StandingFact::GrantEnded(grant, by) => {
            let mut data = of_grant(grant, base_url);
            data["used"] = grant.used.into();
            data["endedBy"] = by.word().into();
            data
        }
        StandingFact::PauseStarted(pause) | StandingFact::PauseEnded(pause) => of_pause(pause),
    };
    data["sequence"] = event.number.into();
    let kind = event.fact.word();
    let body = json!({"type": kind, "timestamp": event.at.to_string(), "data": data});
    Message {
        id: message_id(&event.fact, channel),
        body: body.to_string(),
    }
}

fn of_grant(grant: &GrantSummary, base_url: &str) -> Value {
    let request = &grant.given_with;
    json!({
        "grantId": grant.id,
        "agentName": grant.agent,
        "correlationId": request.correlation(),
        "actionDescription": grant.action,
        "uses": grant.uses,
        "until": grant.until.to_string(),
        "url": format!("{base_url}/api/decision/{request}"),
    })
}

fn of_pause(pause: &StandingPause) -> Value {
    let mut data = json!({"scope": pause.scope.word(), "since": pause.since.to_string()});
    if let Some(owner) = pause.owner() {
        data["owner"] = owner.into();
    }
    if let PauseScope::Agent(name) = &pause.scope {
        data["agentName"] = name.as_str().into();
    }
    data
}

/// Named by grant or pause, event and channel. A pause has no id: its scope and the time when it was set stand for it.
fn message_id(fact: &StandingFact, channel: &str) -> String {
    let named = match fact {
        StandingFact::GrantGiven(grant) | StandingFact::GrantEnded(grant, _) => grant.id.clone(),
        StandingFact::PauseStarted(pause) | StandingFact::PauseEnded(pause) => {
            format!("{}\n{}", pause.scope, pause.since)
        }
    };
    let named = format!("{}\n{named}\n{channel}", fact.word());
    format!("msg_{}", hex(&sha256(named.as_bytes())[..16]))
}
