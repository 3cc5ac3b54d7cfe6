//! What people read: the decision page, the mails, the local inbox.
//!
//! Nothing from an agent is shown as it came: see [`crate::reveal`]. Templates escape by themselves.

mod mails;

use std::time::Duration;

use askama::Template;
use serde_json::Value;

use crate::approval::{Approval, Execution, State, Status, Verdict};
use crate::brand::Brand;
use crate::config::Config;
use crate::mailer::MailChoice;
use crate::reveal::{self, Warnings};
use crate::timestamp::Timestamp;

pub use mails::{Secrets, email};

/// The style of all pages; their policy allows it by its hash.
pub const STYLE: &str = include_str!("../templates/pages.css");

/// A page that shows one request to one of its approvers.
#[derive(Template)]
#[template(path = "decision.html")]
pub struct DecisionPage<'a> {
    local: bool,
    brand: &'a Brand,
    /// What to say before anything else.
    pub notice: Option<String>,
    /// What to fill in; nothing when there is nothing to decide any more.
    pub form: Option<Form>,
    heading: &'static str,
    ending: Option<Ending>,
    approver: &'a str,
    agent: String,
    action: String,
    on_behalf_of: Option<String>,
    asked: String,
    deadline: String,
    correlation: &'a str,
    parameters: String,
    warnings: Warnings,
    digest: String,
    reason: Option<String>,
    locked: Vec<String>,
}

/// The form of a decision.
pub struct Form {
    /// Where it goes.
    pub action: String,
    /// The token of the form.
    pub token: String,
    /// What was in the comment field.
    pub comment: String,
    /// How the person is known.
    pub proof: Proof,
    /// What was wrong with the answer before.
    pub problem: Option<String>,
}

/// How the person at the page is known.
pub enum Proof {
    /// By a personal link, and to approve by the code beside it.
    Link {
        /// The token of the link.
        link: String,
        /// Whether approving by this link is locked.
        locked: bool,
    },
    /// By signing in.
    SignedIn,
}

/// How a request ended.
struct Ending {
    what: String,
    comment: Option<String>,
    execution: Option<String>,
}

impl<'a> DecisionPage<'a> {
    /// The request as the approver at `index` sees it at `now`.
    pub fn of(approval: &'a Approval, index: usize, now: Timestamp, config: &'a Config) -> Self {
        let request = &approval.request;
        let approver = approval.approvers[index].address.as_str();
        let shown = Shown::of(approval);
        Self {
            local: is_local(config),
            brand: &config.brand,
            notice: None,
            form: None,
            heading: match approval.status(now) {
                Status::Pending => "Your decision is needed",
                _ => "This request is closed",
            },
            ending: ending(approval, now).map(|what| Ending {
                what,
                comment: approval
                    .decision()
                    .and_then(|decision| decision.comment.as_deref())
                    .map(reveal::prose),
                execution: approval
                    .execution(now)
                    .map(|execution| execution_words(&execution)),
            }),
            approver,
            agent: shown.agent,
            action: shown.action,
            on_behalf_of: request.on_behalf_of.as_ref().map(ToString::to_string),
            asked: request.requested_at.in_words(),
            deadline: deadline(approval, now),
            correlation: request.id.correlation(),
            parameters: reveal::json(&shown.parameters),
            warnings: shown.warnings,
            digest: request.parameters.digest.to_string(),
            reason: request.reason.as_deref().map(reveal::prose),
            locked: locked(approval, index),
        }
    }

    /// The page.
    pub fn html(&self) -> String {
        render(self)
    }
}

/// A page that says one thing.
#[derive(Template)]
#[template(path = "message.html")]
struct MessagePage<'a> {
    local: bool,
    brand: &'a Brand,
    heading: &'a str,
    text: &'a str,
    link: Option<(&'a str, String)>,
}

/// A page that says one thing, perhaps with a link and its label.
pub fn message_page(
    heading: &str,
    text: &str,
    link: Option<(&str, String)>,
    config: &Config,
) -> String {
    render(&MessagePage {
        local: is_local(config),
        brand: &config.brand,
        heading,
        text,
        link,
    })
}

/// Whether mails lie in an inbox that anybody on the machine can read.
fn is_local(config: &Config) -> bool {
    matches!(config.mail, MailChoice::File(_))
}

/// A mail in the local inbox.
pub struct InboxMail {
    /// What its file is called, without the ending.
    pub name: String,
    /// The subject.
    pub subject: String,
    /// The sender.
    pub from: String,
    /// The recipient.
    pub to: String,
    /// When it was written.
    pub date: String,
}

#[derive(Template)]
#[template(path = "inbox.html")]
struct InboxPage<'a> {
    local: bool,
    brand: Brand,
    mails: &'a [InboxMail],
}

#[derive(Template)]
#[template(path = "inbox_mail.html")]
struct InboxMailPage<'a> {
    local: bool,
    brand: Brand,
    mail: &'a InboxMail,
}

/// The list of mails in the local inbox.
pub fn inbox_page(mails: &[InboxMail]) -> String {
    let (local, brand) = (true, Brand::default());
    render(&InboxPage {
        local,
        brand,
        mails,
    })
}

/// One mail of the local inbox, in a frame that can run nothing.
pub fn inbox_mail_page(mail: &InboxMail) -> String {
    let (local, brand) = (true, Brand::default());
    render(&InboxMailPage { local, brand, mail })
}

/// What pages and mails show of a request alike.
struct Shown {
    agent: String,
    action: String,
    parameters: Value,
    warnings: Warnings,
}

impl Shown {
    fn of(approval: &Approval) -> Self {
        let request = &approval.request;
        let parameters =
            serde_json::from_str(&request.parameters.json).expect("canonical JSON parses");
        let mut warnings = Warnings::default();
        warnings.read(request.id.agent());
        warnings.read(&request.action);
        warnings.look_at(&parameters);
        Self {
            agent: reveal::prose(request.id.agent()),
            action: reveal::prose(&request.action),
            parameters,
            warnings,
        }
    }
}

/// Whose links others than the approver at `index` guessed codes with, until they were locked.
fn locked(approval: &Approval, index: usize) -> Vec<String> {
    let others = approval
        .approvers
        .iter()
        .enumerate()
        .filter(|(other, _)| *other != index);
    let locked = others.filter(|(_, approver)| approver.is_locked());
    locked
        .map(|(_, approver)| approver.address.to_string())
        .collect()
}

/// How a request ended, in one sentence; nothing while it is pending.
fn ending(approval: &Approval, now: Timestamp) -> Option<String> {
    let at = |at: Timestamp| at.in_words();
    Some(match &approval.state {
        State::Approved { decision, .. } => {
            format!("Approved by {} on {}.", decision.by, at(decision.at))
        }
        State::Rejected(decision) => {
            format!(
                "Rejected by {} on {}. It does not run.",
                decision.by,
                at(decision.at)
            )
        }
        State::Cancelled { at: when } => {
            format!("Withdrawn by the agent on {}. It does not run.", at(*when))
        }
        State::Undeliverable { .. } => {
            "None of the approvers could be reached. It does not run.".to_owned()
        }
        State::Pending | State::Timeout { .. } => match approval.status(now) {
            Status::Pending => return None,
            _ => {
                let mut words = format!(
                    "Timed out: nobody decided before {}. It does not run.",
                    at(approval.request.expires_at)
                );
                if let Some(late) = &approval.late {
                    let verdict = match late.verdict {
                        Verdict::Approve => "approve",
                        Verdict::Reject => "reject",
                    };
                    words.push_str(&format!(
                        " {} wanted to {verdict} it on {}; that came too late and changed nothing.",
                        late.by,
                        at(late.at)
                    ));
                }
                words
            }
        },
    })
}

fn execution_words(execution: &Execution) -> String {
    match execution {
        Execution::Awaited => "The agent has not taken the approval yet.".to_owned(),
        Execution::Executing { at, .. } => {
            format!(
                "The agent took the approval on {} and is running the action.",
                at.in_words()
            )
        }
        Execution::Executed { at, .. } => {
            format!(
                "The agent reported on {} that the action ran.",
                at.in_words()
            )
        }
        Execution::Failed { at, .. } => {
            format!(
                "The agent reported on {} that the action failed.",
                at.in_words()
            )
        }
        Execution::Unknown { .. } => {
            "The agent took the approval and was not heard of again: the action may have run."
                .to_owned()
        }
        Execution::Lapsed { at } => format!(
            "The agent did not take the approval before {}: it has lapsed, and nothing ran.",
            at.in_words()
        ),
    }
}

fn deadline(approval: &Approval, now: Timestamp) -> String {
    let expires_at = approval.request.expires_at;
    match approval.status(now) {
        Status::Pending => {
            format!(
                "{} ({} left)",
                expires_at.in_words(),
                duration(expires_at.since(now))
            )
        }
        _ => expires_at.in_words(),
    }
}

/// A span of time in words, rounded down to what people count in.
pub fn duration(span: Duration) -> String {
    let seconds = span.as_secs();
    let (count, unit) = match seconds {
        0..=119 => (seconds, "second"),
        120..=7_199 => (seconds / 60, "minute"),
        7_200..=172_799 => (seconds / 3_600, "hour"),
        _ => (seconds / 86_400, "day"),
    };
    match count {
        1 => format!("1 {unit}"),
        _ => format!("{count} {unit}s"),
    }
}

fn render(template: &impl Template) -> String {
    template
        .render()
        .expect("writing into a string does not fail")
}
