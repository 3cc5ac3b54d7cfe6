//! The decision page, and pages with a message.

use askama::Template;

use super::block::Block;
use super::brand::Brand;
use super::request::{
    EarlierView, Heading, RequestView, describe_deadline, describe_ending, describe_execution,
    heading, locked_addresses,
};
use super::secrets::Withheld;
use super::subject::short_id;
use super::template::render;
use super::text::Text;
use crate::domain::{Approval, Assurance, EarlierRejections, Execution};
use crate::reveal::{self, Alarms};
use crate::values::Timestamp;

/// The style sheet of all pages; their content security policy allows it by its hash.
pub const STYLE: &str = include_str!("../../templates/pages.css");

/// What determines the look of every page.
#[derive(Clone, Copy)]
pub struct PageStyle<'a> {
    pub brand: &'a Brand,
    /// Whether emails go to the inbox of local development, which anyone on the machine can read.
    pub development: bool,
}

/// A page that shows one request to one of its approvers.
#[derive(Template)]
#[template(path = "decision.html")]
pub struct DecisionPage<'a> {
    local: bool,
    brand: &'a Brand,
    /// A message above the request.
    pub notice: Option<String>,
    /// Since when the operator has paused what this request waits for.
    pub paused: Option<String>,
    /// The form, while the request is pending.
    pub form: Option<Form>,
    /// The form that revokes this approver's approval, until it is claimed.
    pub revocation: Option<Form>,
    /// The form that shows the withheld values.
    pub reveal: Option<Form>,
    /// How many values are withheld.
    pub hidden: usize,
    heading: Heading,
    /// Whether the page will soon have news, which it fetches itself.
    is_running: bool,
    ending: Option<Ending>,
    approver: &'a str,
    agent: String,
    action: String,
    on_behalf_of: Option<String>,
    asked: String,
    deadline: String,
    correlation: &'a str,
    short_id: String,
    parameters: Block,
    json: String,
    alarms: Alarms,
    earlier: EarlierView,
    digest: String,
    reason: Option<String>,
    locked: Vec<String>,
}

/// A form of the page.
pub struct Form {
    /// The URL to post it to.
    pub action: String,
    /// The CSRF token.
    pub token: String,
    /// The content of the comment field.
    pub comment: String,
    pub identification: Identification,
    /// Why the last submission was not accepted.
    pub problem: Option<String>,
}

/// How the approver is identified.
pub enum Identification {
    /// By their link; an approval also requires the one-time code.
    Link {
        /// The link token.
        link: String,
        /// Whether approving by this link is locked.
        locked: bool,
    },
    SignedIn,
}

/// How a request ended.
struct Ending {
    what: String,
    /// Whether anyone with the link can have written the comment.
    unproven: bool,
    comment: Option<String>,
    execution: Option<String>,
}

impl<'a> DecisionPage<'a> {
    /// The page for the approver at `index`, for the state at `now`; if `withheld`, without the values of secrets.
    pub fn new(
        approval: &'a Approval,
        earlier: &EarlierRejections,
        index: usize,
        withheld: bool,
        now: Timestamp,
        style: PageStyle<'a>,
    ) -> Self {
        let request = &approval.request;
        let approver = approval.approvers[index].address.as_str();
        let view = RequestView::new(approval, withheld.then_some(Withheld::OnPage));
        Self {
            local: style.development,
            brand: style.brand,
            notice: None,
            paused: None,
            form: None,
            revocation: None,
            reveal: None,
            hidden: view.hidden,
            heading: heading(approval, index, now),
            is_running: matches!(approval.execution(now), Some(Execution::Executing { .. })),
            ending: describe_ending(approval, now).map(|what| Ending {
                what,
                unproven: approval
                    .decision()
                    .is_some_and(|decision| decision.assurance == Assurance::LinkOnly),
                comment: approval
                    .decision()
                    .and_then(|decision| decision.comment.as_deref())
                    .map(reveal::prose),
                execution: approval
                    .execution(now)
                    .map(|execution| describe_execution(&execution)),
            }),
            approver,
            agent: view.agent,
            action: view.action,
            on_behalf_of: request.on_behalf_of.as_ref().map(ToString::to_string),
            asked: request.requested_at.in_words(),
            deadline: describe_deadline(approval, now),
            correlation: request.id.correlation(),
            short_id: short_id(&request.id),
            parameters: Block::of_parameters(&view.parameters, &mut str::to_owned),
            json: reveal::json(&view.parameters),
            alarms: view.alarms,
            earlier: EarlierView::new(earlier, reveal::prose),
            digest: request.parameters.digest.to_string(),
            reason: request.reason.as_deref().map(reveal::prose),
            locked: locked_addresses(approval, index),
        }
    }

    pub fn render_html(&self) -> String {
        render(self)
    }
}

/// A page with a message.
#[derive(Template)]
#[template(path = "message.html")]
struct MessagePage<'a> {
    local: bool,
    brand: &'a Brand,
    heading: &'a str,
    text: &'a str,
    link: Option<(&'a str, String)>,
}

/// Renders a page with a message and optionally a link, given as its label and URL.
pub fn render_message(
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
