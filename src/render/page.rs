//! The decision page, and pages with a message.

use askama::Template;

use super::brand::Brand;
use super::request::{Shown, deadline, ending, execution_words, locked};
use super::template::render;
use crate::domain::{Approval, Status};
use crate::reveal::{self, Warnings};
use crate::values::Timestamp;

/// The style of all pages; their policy allows it by its hash.
pub const STYLE: &str = include_str!("../../templates/pages.css");

/// How every page looks.
#[derive(Clone, Copy)]
pub struct PageStyle<'a> {
    /// The operator's name, colour and words.
    pub brand: &'a Brand,
    /// Whether emails are files in the inbox of local development, which anyone on the machine can read.
    pub development: bool,
}

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
    pub fn new(approval: &'a Approval, index: usize, now: Timestamp, style: PageStyle<'a>) -> Self {
        let request = &approval.request;
        let approver = approval.approvers[index].address.as_str();
        let shown = Shown::new(approval);
        Self {
            local: style.development,
            brand: style.brand,
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
    style: PageStyle<'_>,
) -> String {
    render(&MessagePage {
        local: style.development,
        brand: style.brand,
        heading,
        text,
        link,
    })
}
