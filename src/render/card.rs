//! Cards of Microsoft Teams (Adaptive Cards 1.4): what is asked, by whom, until when, and how far it is. They have no
//! parameters but those that the policy names in `summary`, and no secret: the button leads to the page, which asks to
//! sign in or to open the email.

use serde_json::{Value, json};

use super::brand::Brand;
use super::parameters::describe_absence;
use super::plan::{describe_needed, escalated_to};
use super::quotes::{label, quoted};
use super::request::parameters;
use super::secrets::{Hidden, Secrets, Withheld};
use super::subject::short_id;
use super::text::{Text, truncate};
use crate::domain::{Approval, ChannelEvent, Decider, EventKind};
use crate::reveal;

/// The most characters of the agent's name and the action, of a parameter's name or value, and of the progress: with
/// the longest of all, a card stays below the 16 kB that a card may have here.
const NAME_CHARS: usize = 200;
const VALUE_CHARS: usize = 120;
const PROGRESS_CHARS: usize = 500;

/// The message with the card for an event. `with_parameters`, it has those of the summary.
pub fn render_card(
    approval: &Approval,
    kind: ChannelEvent,
    what: EventKind,
    with_parameters: bool,
    base_url: &str,
    brand: &Brand,
) -> String {
    let request = &approval.request;
    let is_open = matches!(kind, ChannelEvent::Created | ChannelEvent::Progress);
    let doubt = if request.is_agent_known() {
        ""
    } else {
        " (not verified)"
    };
    let agent = line(request.id.agent(), NAME_CHARS) + doubt;
    let mut facts = vec![
        ("Agent".to_owned(), agent),
        ("Action".to_owned(), line(&request.action, NAME_CHARS)),
    ];
    if with_parameters {
        facts.extend(summary(approval));
    }
    if is_open {
        let needed = truncate(&describe_needed(approval), PROGRESS_CHARS);
        facts.push(("Progress".to_owned(), needed));
        let rejections = approval.plan.rejections.get();
        if rejections > 1 {
            let given = format!("{} of {rejections}", approval.rejections());
            facts.push(("Rejections".to_owned(), given));
        }
        if let Some(groups) = escalated_to(approval) {
            let groups = truncate(&groups, PROGRESS_CHARS);
            facts.push(("Escalated to".to_owned(), groups));
        }
        let deadline = brand.zone.in_words(request.expires_at);
        facts.push(("Decide until".to_owned(), deadline));
    }
    facts.push(("Request".to_owned(), format!("#{}", short_id(&request.id))));
    let mut body = vec![block(heading(approval, kind, what), true)];
    body.extend(facts.iter().map(|(name, value)| fact(name, value)));
    let button = if is_open { "Open to decide" } else { "Open" };
    let url = format!("{base_url}/api/decision/{}", request.id);
    message(&card(body, Some((button, &url))))
}

/// The message with the card that tries a channel.
pub fn render_test_card(channel: &str) -> String {
    let text = format!(
        "A test of the channel {channel} by human-oversight check. There is nothing to do."
    );
    message(&card(vec![block(&text, false)], None))
}

/// A card, perhaps with a button that opens a page.
pub(super) fn card(body: Vec<Value>, button: Option<(&str, &str)>) -> Value {
    let mut card = json!({
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": body,
    });
    if let Some((title, url)) = button {
        card["actions"] = json!([{"type": "Action.OpenUrl", "title": title, "url": url}]);
    }
    card
}

/// A name and its value, which Teams does not interpret.
pub(super) fn fact(name: &str, value: &str) -> Value {
    json!({
        "type": "RichTextBlock",
        "inlines": [
            {"type": "TextRun", "text": format!("{name}: "), "weight": "Bolder"},
            {"type": "TextRun", "text": value},
        ],
    })
}

pub(super) fn message(card: &Value) -> String {
    let attachment = json!({
        "contentType": "application/vnd.microsoft.card.adaptive",
        "contentUrl": null,
        "content": card,
    });
    json!({"type": "message", "attachments": [attachment]}).to_string()
}

/// Runs of text have no Markdown, unlike text blocks.
pub(super) fn block(text: &str, is_heading: bool) -> Value {
    let (size, weight) = if is_heading {
        ("Large", "Bolder")
    } else {
        ("Default", "Default")
    };
    json!({
        "type": "RichTextBlock",
        "inlines": [{"type": "TextRun", "text": text, "size": size, "weight": weight}],
    })
}

fn heading(approval: &Approval, kind: ChannelEvent, what: EventKind) -> &'static str {
    match kind {
        ChannelEvent::Created | ChannelEvent::Progress => "Waiting for approval",
        ChannelEvent::Decided => {
            let by = approval.decision().map(|it| &it.by);
            match (what == EventKind::Approved, by) {
                (true, Some(Decider::Policy { .. })) => "Approved by the policy",
                (true, Some(Decider::Grant(_))) => "Approved by a standing grant",
                (true, _) => "Approved",
                (false, Some(Decider::Policy { .. })) => "Rejected by the policy",
                (false, _) => "Rejected",
            }
        }
        ChannelEvent::Withdrawn => "Withdrawn by the agent",
        ChannelEvent::Expired => "Expired without a decision",
        ChannelEvent::Undeliverable => "Not decided: too few approvers could be reached",
        ChannelEvent::Claimed => "Running",
        ChannelEvent::Lapsed => "Approval expired unused",
        ChannelEvent::Revoked => "Approval revoked",
        ChannelEvent::Executed => "Done",
        ChannelEvent::Failed => "Approved, then failed",
        ChannelEvent::Unknown => "Approved, outcome unknown: it may have run",
    }
}

/// The parameters that the policy names in `summary`, each in one line.
fn summary(approval: &Approval) -> Vec<(String, String)> {
    let parameters = Withheld::InEmail.withhold(parameters(approval), &mut Hidden::default());
    let named = approval.plan.summary.iter();
    let named = named.map(|pointer| {
        let name = pointer.tokens().last().map_or("", String::as_str);
        let value = match pointer.find(&parameters) {
            Some(Value::String(mark)) if Secrets::Withheld.are_withheld(name) => mark.clone(),
            None => label(describe_absence(pointer, &parameters)),
            Some(Value::String(text)) if text.is_empty() => label("empty text"),
            Some(Value::String(text)) => {
                quoted(text, line(&reveal::mark_spaces(text), VALUE_CHARS))
            }
            Some(value) => line(&Secrets::Withheld.json(value), VALUE_CHARS),
        };
        let name = pointer.tokens().join(" › ");
        (line(&name, VALUE_CHARS), value)
    });
    named.collect()
}

/// A text in one line, in which Teams finds no link and no expression, and in which what does not show is marked. A
/// mention takes an entity beside the text, which no card has.
pub(super) fn line(text: &str, chars: usize) -> String {
    let text = reveal::defang(&reveal::line(text, chars));
    let mut text = Text::of_prose(&text).in_plain_text();
    while text.contains("{{") {
        text = text.replace("{{", "{ {");
    }
    text
}
