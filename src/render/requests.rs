//! The list of a person who has signed in.

use askama::Template;
use serde_json::Value;

use super::block::SUMMARY;
use super::brand::Brand;
use super::grant::GrantView;
use super::page::PageStyle;
use super::quotes::quoted;
use super::request::{format_duration, parameters};
use super::secrets::{Hidden, Secrets, Withheld};
use super::subject::{short_id, sum_of_money};
use super::template::render;
use super::text::{Text, truncate};
use super::time::{Sentence, Time};
use crate::domain::{Approval, Choice, Execution, Status, Verdict};
use crate::reveal::{self, Alarms};
use crate::values::Timestamp;

/// The most characters of an action, and of a value of its summary.
const ACTION_CHARS: usize = 200;
const VALUE_CHARS: usize = 120;

/// The most parameters of a standing grant that has no summary.
const FIRST_PARAMETERS: usize = 3;

/// The page of the list.
#[derive(Template)]
#[template(path = "requests.html")]
pub struct RequestsPage<'a> {
    local: bool,
    brand: &'a Brand,
    /// The name of the person in the directory.
    name: String,
    open: Vec<OpenRequest>,
    decided: Vec<DecidedRequest>,
    /// Whether there may be more open ones.
    pub is_cut: bool,
    /// The standing grants that this person gave.
    pub grants: Vec<OwnGrant>,
    /// How many requests are left out, since they cannot be read or trusted.
    pub unreadable: usize,
    /// Whether requests are left out that name this person by an address which is no longer on the list of approvers.
    pub is_unlisted: bool,
}

/// A request that waits for this person.
struct OpenRequest {
    what: What,
    deadline: Time,
    time_left: String,
    missing: usize,
}

/// A request that this person decided or voted on.
struct DecidedRequest {
    what: What,
    chose: Sentence,
    /// How it stands, or ended.
    state: &'static str,
}

/// What a request is about, in the agent's words.
struct What {
    id: String,
    /// The id that its pages and emails have.
    short_id: String,
    agent: String,
    is_known_agent: bool,
    action: String,
    summary: Vec<Parameter>,
    /// Whether its page says what to check carefully.
    has_alarms: bool,
}

/// A parameter that says what a request is about.
struct Parameter {
    /// Its name, unless it speaks for itself.
    name: Option<String>,
    value: String,
}

/// A standing grant with the form that ends it.
pub struct OwnGrant {
    what: What,
    view: GrantView,
    /// The CSRF token of the form.
    token: String,
}

impl<'a> RequestsPage<'a> {
    /// An empty list of the person with this name.
    pub fn new(name: &str, style: PageStyle<'a>) -> Self {
        Self {
            local: style.development,
            brand: style.brand,
            name: reveal::line(name, 254),
            open: Vec::new(),
            decided: Vec::new(),
            is_cut: false,
            grants: Vec::new(),
            unreadable: 0,
            is_unlisted: false,
        }
    }

    /// Adds a request that waits for this person.
    pub fn add_open(&mut self, approval: &Approval, now: Timestamp) {
        let expires_at = approval.request.expires_at;
        self.open.push(OpenRequest {
            what: What::new(approval),
            deadline: self.brand.zone.time(expires_at),
            time_left: format_duration(expires_at.since(now)),
            missing: approval.missing_votes(),
        });
    }

    /// Adds a request that this person decided or voted on.
    pub fn add_decided(&mut self, approval: &Approval, choice: Choice, now: Timestamp) {
        let verdict = match choice.verdict {
            Verdict::Approve => "You approved on ",
            Verdict::Reject => "You rejected on ",
        };
        self.decided.push(DecidedRequest {
            what: What::new(approval),
            chose: Sentence::new(verdict)
                .time(self.brand.zone.time(choice.at))
                .words("."),
            state: describe_state(approval, now),
        });
    }

    pub fn render_html(&self) -> String {
        render(self)
    }
}

impl What {
    fn new(approval: &Approval) -> Self {
        let request = &approval.request;
        let summary = summary(approval);
        let mut alarms = Alarms::default();
        let values = summary.iter().map(|it| it.value.as_str());
        for text in [request.id.agent(), &request.action]
            .into_iter()
            .chain(values)
        {
            alarms.scan(text);
        }
        Self {
            id: request.id.to_string(),
            short_id: short_id(&request.id),
            agent: reveal::prose(request.id.agent()),
            is_known_agent: request.is_agent_known(),
            action: truncate(&reveal::prose(&request.action), ACTION_CHARS),
            summary,
            has_alarms: !alarms.is_empty(),
        }
    }
}

impl OwnGrant {
    /// `view` is the grant that was given with the approval of this request.
    pub fn new(view: GrantView, approval: &Approval, token: String) -> Self {
        let mut what = What::new(approval);
        // Other grants for the same action differ in their parameters alone.
        if what.summary.is_empty() {
            what.summary = first_parameters(approval);
        }
        Self { what, view, token }
    }
}

/// What came of a request, for a person who knows their own choice.
fn describe_state(approval: &Approval, now: Timestamp) -> &'static str {
    match (approval.status(now), approval.execution(now)) {
        (_, Some(Execution::Awaited)) => "The agent has not started.",
        (_, Some(Execution::Executing { .. })) => "The agent is running the action.",
        (_, Some(Execution::Executed { .. })) => "The agent reports success.",
        (_, Some(Execution::Failed { .. })) => "The agent reports a failure.",
        (_, Some(Execution::Unknown { .. })) => "The outcome is unknown.",
        (_, Some(Execution::Lapsed { .. })) => "The approval expired unused.",
        (_, Some(Execution::Revoked { .. })) => "The approval was revoked: it does not run.",
        (Status::Pending, _) => "Other votes are missing.",
        (Status::Approved, _) => "It is approved.",
        (Status::Rejected, _) => "It is rejected, and does not run.",
        (Status::Timeout, _) => "It expired, and does not run.",
        (Status::Cancelled, _) => "The agent withdrew it.",
        (Status::Undeliverable, _) => "It does not run: not enough people could be reached.",
    }
}

/// The first parameters of one line. Never a value that looks like a secret.
fn first_parameters(approval: &Approval) -> Vec<Parameter> {
    let parameters = Withheld::OnPage.withhold(parameters(approval), &mut Hidden::default());
    let members = parameters.as_object().into_iter().flatten();
    let shown = members.filter_map(|(name, value)| {
        let value = show_value(name, value)?;
        let name = Some(name.clone());
        Some(Parameter { name, value })
    });
    shown.take(FIRST_PARAMETERS).collect()
}

/// A value of one line, in quotes where it could be read as one of another kind.
fn show_value(name: &str, value: &Value) -> Option<String> {
    match value {
        Value::String(mark) if Secrets::Withheld.are_withheld(name) => Some(mark.clone()),
        Value::String(text) => Some(quoted(text, truncate(text, VALUE_CHARS))),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        _ => None,
    }
}

/// The parameters that say what it is about: those that the policy names first, else the agent's summary, else a sum
/// of money. Never a value that looks like a secret.
fn summary(approval: &Approval) -> Vec<Parameter> {
    let parameters = Withheld::OnPage.withhold(parameters(approval), &mut Hidden::default());
    let pointers = approval.plan.summary.iter();
    let named = pointers.filter_map(|pointer| {
        let name = pointer.tokens().last().map_or("", String::as_str);
        let value = show_value(name, pointer.find(&parameters)?)?;
        let name = Some(pointer.tokens().join(" › "));
        Some(Parameter { name, value })
    });
    let summary: Vec<Parameter> = named.collect();
    if !summary.is_empty() {
        return summary;
    }
    let Some(members) = parameters.as_object() else {
        return summary;
    };
    let of_agent = members.get(SUMMARY).and_then(Value::as_str);
    let value = of_agent.map(|text| truncate(text, VALUE_CHARS));
    let value = value.or_else(|| sum_of_money(members));
    let unnamed = value.map(|value| Parameter { name: None, value });
    unnamed.into_iter().collect()
}
