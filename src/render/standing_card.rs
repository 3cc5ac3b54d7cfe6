//! Cards of Microsoft Teams about standing grants and pauses. They have no parameters, no address of a person, and no words
//! of the operator.

use serde_json::Value;

use super::brand::Brand;
use super::card::{block, card, fact, line, message};
use super::subject::short_id;
use crate::domain::{
    GrantEnding, GrantSummary, PauseScope, StandingEvent, StandingFact, StandingPause,
};

/// The most characters of the name of an agent or an owner, and of the action.
const NAME_CHARS: usize = 200;

/// The message with the card for an event.
pub fn render_standing_card(event: &StandingEvent, base_url: &str, brand: &Brand) -> String {
    let (heading, facts, url) = match &event.fact {
        StandingFact::GrantGiven(grant) => {
            let mut facts = of_grant(grant);
            let times = format!("at most {}", times(grant.uses));
            facts.push(fact("Approves without asking", &times));
            facts.push(fact("Until", &brand.zone.in_words(grant.until)));
            ("Standing grant given", facts, page(grant, base_url))
        }
        StandingFact::GrantEnded(grant, by) => {
            let mut facts = of_grant(grant);
            facts.push(fact("Has approved", &times(grant.used)));
            facts.push(fact("Ended by", ended_by(*by)));
            ("Standing grant ended", facts, page(grant, base_url))
        }
        StandingFact::PauseStarted(pause) => ("Paused by the operator", of_pause(pause), None),
        StandingFact::PauseEnded(pause) => {
            let mut facts = of_pause(pause);
            facts.push(fact("Paused since", &brand.zone.in_words(pause.since)));
            ("Resumed by the operator", facts, None)
        }
    };
    let mut body = vec![block(heading, true)];
    body.extend(facts);
    message(&card(body, url.as_deref().map(|url| ("Open", url))))
}

fn of_grant(grant: &GrantSummary) -> Vec<Value> {
    vec![
        fact("Agent", &line(&grant.agent, NAME_CHARS)),
        fact("Action", &line(&grant.action, NAME_CHARS)),
        fact("Given with", &format!("#{}", short_id(&grant.given_with))),
    ]
}

fn of_pause(pause: &StandingPause) -> Vec<Value> {
    let scope = match (&pause.scope, pause.owner()) {
        (PauseScope::Agent(name), _) => fact("For the agent", &line(name, NAME_CHARS)),
        (_, Some(owner)) => fact("For the owner", &line(&owner, NAME_CHARS)),
        (_, None) => fact("For", "all agents"),
    };
    vec![scope]
}

fn page(grant: &GrantSummary, base_url: &str) -> Option<String> {
    Some(format!("{base_url}/api/decision/{}", grant.given_with))
}

fn times(number: u16) -> String {
    match number {
        1 => "1 request".to_owned(),
        _ => format!("{number} requests"),
    }
}

fn ended_by(by: GrantEnding) -> &'static str {
    match by {
        GrantEnding::Giver => "the approver who gave it",
        GrantEnding::Operator => "the operator",
        GrantEnding::Rejection => {
            "a rejection of such a request, or the revocation of its approval"
        }
        GrantEnding::Pause => "a pause by the operator",
        GrantEnding::Replacement => "a newer one in its place",
        GrantEnding::Uses => "its last use",
        GrantEnding::Time => "its time",
    }
}
