//! The inbox of local development.

use std::collections::HashSet;

use askama::Template;

use super::brand::Brand;
use super::request::{describe_ending, describe_execution};
use super::template::render;
use super::time::{Sentence, Time, Zone};
use crate::domain::Approval;
use crate::reveal;
use crate::values::Timestamp;

/// An email in the inbox.
pub struct InboxEmail {
    /// The name of its file, without the extension.
    pub name: String,
    pub subject: String,
    pub from: String,
    pub to: String,
    pub date: String,
    /// The id of the request that it is about.
    pub request: Option<String>,
}

#[derive(Template)]
#[template(path = "inbox.html")]
struct InboxPage<'a> {
    local: bool,
    brand: Brand,
    requests: Vec<InboxRequest<'a>>,
    /// The emails about requests that are not shown.
    others: Vec<&'a InboxEmail>,
}

/// A request with its emails.
struct InboxRequest<'a> {
    action: String,
    agent: String,
    asked: Time,
    state: Sentence,
    execution: Option<Sentence>,
    emails: Vec<&'a InboxEmail>,
}

impl<'a> InboxRequest<'a> {
    fn new(approval: &Approval, emails: &'a [InboxEmail], zone: &Zone, now: Timestamp) -> Self {
        let request = &approval.request;
        let id = request.id.to_string();
        Self {
            action: reveal::prose(&request.action),
            agent: reveal::prose(request.id.agent()),
            asked: zone.time(request.requested_at),
            state: describe_ending(approval, None, zone, now)
                .unwrap_or_else(|| describe_open(approval, zone)),
            execution: describe_execution(approval, zone, now),
            emails: emails
                .iter()
                .filter(|email| email.request.as_deref() == Some(&id))
                .collect(),
        }
    }
}

fn describe_open(approval: &Approval, zone: &Zone) -> Sentence {
    let approvers: Vec<&str> = approval
        .approvers
        .iter()
        .map(|approver| approver.address.as_str())
        .collect();
    Sentence::new(format!(
        "Open: {} can decide until ",
        approvers.join(" or ")
    ))
    .time(zone.time(approval.request.expires_at))
    .words(".")
}

#[derive(Template)]
#[template(path = "inbox_mail.html")]
struct InboxEmailPage<'a> {
    local: bool,
    brand: Brand,
    mail: &'a InboxEmail,
}

/// Renders the requests with their emails.
pub fn render_inbox(
    approvals: &[Approval],
    emails: &[InboxEmail],
    zone: &Zone,
    now: Timestamp,
) -> String {
    let (local, brand) = (true, Brand::default());
    let ids: HashSet<String> = approvals
        .iter()
        .map(|approval| approval.request.id.to_string())
        .collect();
    let is_shown = |email: &&InboxEmail| email.request.as_ref().is_some_and(|id| ids.contains(id));
    let requests = approvals
        .iter()
        .map(|approval| InboxRequest::new(approval, emails, zone, now));
    render(&InboxPage {
        local,
        brand,
        requests: requests.collect(),
        others: emails.iter().filter(|email| !is_shown(email)).collect(),
    })
}

/// Renders one email, in a frame that cannot run scripts.
pub fn render_inbox_email(mail: &InboxEmail) -> String {
    let (local, brand) = (true, Brand::default());
    render(&InboxEmailPage { local, brand, mail })
}
