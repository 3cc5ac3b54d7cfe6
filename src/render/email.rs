//! The emails: the request with its reminders, and the outcome notice.

use askama::Template;
use serde_json::Value;

use super::block::Block;
use super::brand::Brand;
use super::fold::fold;
use super::request::{
    EarlierView, RequestView, describe_deadline, describe_ending, describe_execution,
    locked_addresses, parameters,
};
use super::secrets::Withheld;
use super::subject::{short_id, subject};
use super::template::render;
use super::text::Text;
use crate::domain::{Approval, EarlierRejections, Execution, Notice, SendAttempt};
use crate::mailer::Email;
use crate::reveal::{self, Alarms};
use crate::values::Timestamp;

/// How much of the parameters an email shows (`HO_MAIL_PARAMETERS`). The page always shows everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParameterDisclosure {
    Full,
    /// Everything except the values of members whose names suggest a secret.
    Redacted,
    None,
}

/// The parts of an email that are different for each approver.
pub struct EmailSecrets {
    /// The link to the decision page; with the link token unless the approver signs in.
    pub link: String,
    /// The one-time code, unless the approver signs in.
    pub code: Option<String>,
}

#[derive(Template)]
#[template(path = "question.html")]
struct RequestHtml<'a> {
    mail: &'a RequestEmail<'a>,
}

#[derive(Template)]
#[template(path = "question.txt", escape = "none")]
struct RequestText<'a> {
    mail: &'a RequestEmail<'a>,
}

struct RequestEmail<'a> {
    brand: &'a Brand,
    lead: String,
    agent: String,
    action: String,
    on_behalf_of: Option<String>,
    deadline: String,
    correlation: String,
    short_id: String,
    parameters: Option<Block>,
    omission: Option<String>,
    alarms: Alarms,
    earlier: EarlierView,
    reason: Option<String>,
    locked: Vec<String>,
    is_defanged: bool,
    link: &'a str,
    code: Option<&'a str>,
}

#[derive(Template)]
#[template(path = "outcome.html")]
struct OutcomeHtml<'a> {
    mail: &'a OutcomeEmail<'a>,
}

#[derive(Template)]
#[template(path = "outcome.txt", escape = "none")]
struct OutcomeText<'a> {
    mail: &'a OutcomeEmail<'a>,
}

struct OutcomeEmail<'a> {
    brand: &'a Brand,
    what: String,
    agent: String,
    action: String,
    correlation: String,
    short_id: String,
    comment: Option<String>,
    is_defanged: bool,
    link: &'a str,
}

/// Defangs the texts of an email, and notes whether that changed one.
#[derive(Default)]
struct Defanger {
    changed: bool,
}

impl Defanger {
    fn defang(&mut self, text: &str) -> String {
        let defanged = reveal::defang(text);
        self.changed |= defanged != text;
        defanged
    }
}

/// Renders the email of an attempt for the state at `now`.
pub fn render_email(
    approval: &Approval,
    attempt: SendAttempt,
    earlier: &EarlierRejections,
    secrets: &EmailSecrets,
    disclosure: ParameterDisclosure,
    brand: &Brand,
    now: Timestamp,
) -> Email {
    let request = &approval.request;
    let name = |notice: Notice| {
        // A digest, since the id is too long for a name. The time distinguishes requests that have the same
        // id at different gates.
        let id = format!("{} {}", request.id, request.requested_at);
        let id = human_oversight_protocol::parameters::sha256(id.as_bytes());
        let id = human_oversight_protocol::parameters::hex(&id[..16]);
        format!(
            "{id}.{}.{}",
            attempt.approver,
            notice.word().to_ascii_lowercase()
        )
    };
    let (text, html) = match attempt.notice {
        Notice::Outcome | Notice::Revocation => render_outcome(approval, secrets, brand, now),
        Notice::Request | Notice::Reminder | Notice::FinalReminder => {
            render_request(approval, attempt, earlier, secrets, disclosure, brand, now)
        }
    };
    let shown = disclosure != ParameterDisclosure::None;
    let parameters = shown.then(|| parameters(approval));
    let is_first = attempt.notice == Notice::Request;
    Email {
        to: approval.approvers[attempt.approver].address.clone(),
        queue: match &request.owner {
            Some(owner) => owner.to_string(),
            None => request.id.agent().to_owned(),
        },
        subject: subject(approval, attempt.notice, parameters.as_ref(), brand, now),
        name: name(attempt.notice),
        in_reply_to: (!is_first).then(|| name(Notice::Request)),
        urgent: attempt.notice == Notice::FinalReminder,
        date: now,
        text,
        html,
    }
}

fn render_request(
    approval: &Approval,
    attempt: SendAttempt,
    earlier: &EarlierRejections,
    secrets: &EmailSecrets,
    disclosure: ParameterDisclosure,
    brand: &Brand,
    now: Timestamp,
) -> (String, String) {
    let request = &approval.request;
    let withheld = (disclosure == ParameterDisclosure::Redacted).then_some(Withheld::InEmail);
    let RequestView {
        agent,
        action,
        parameters,
        hidden,
        mut alarms,
    } = RequestView::new(approval, withheld);
    let mut defanger = Defanger::default();
    for alarm in &mut alarms.named {
        alarm.excerpt = defanger.defang(&alarm.excerpt);
    }
    let (parameters, omission) = match disclosure {
        ParameterDisclosure::None => (None, None),
        ParameterDisclosure::Full | ParameterDisclosure::Redacted => {
            shorten(&parameters, hidden, &mut defanger)
        }
    };
    let lead = match attempt.notice {
        Notice::Reminder => "A reminder: an agent still asks for your approval",
        Notice::FinalReminder => "The last reminder: an agent still asks for your approval",
        _ => "An agent asks for your approval",
    };
    let email = RequestEmail {
        brand,
        lead: lead.to_owned(),
        agent: defanger.defang(&agent),
        action: defanger.defang(&action),
        on_behalf_of: request
            .on_behalf_of
            .as_ref()
            .map(|person| defanger.defang(person.as_str())),
        deadline: describe_deadline(approval, now),
        correlation: defanger.defang(request.id.correlation()),
        short_id: short_id(&request.id),
        parameters,
        omission,
        alarms,
        // A rejection takes the link alone, which others than the approver may have.
        earlier: EarlierView::new(earlier, |comment| defanger.defang(&reveal::prose(comment))),
        reason: request
            .reason
            .as_deref()
            .map(|reason| defanger.defang(&reveal::prose(reason))),
        locked: locked_addresses(approval, attempt.approver),
        is_defanged: defanger.changed,
        link: &secrets.link,
        code: secrets.code.as_deref(),
    };
    (
        render(&RequestText { mail: &email }),
        render(&RequestHtml { mail: &email }),
    )
}

fn render_outcome(
    approval: &Approval,
    secrets: &EmailSecrets,
    brand: &Brand,
    now: Timestamp,
) -> (String, String) {
    let RequestView { agent, action, .. } = RequestView::new(approval, None);
    let mut defanger = Defanger::default();
    let email = OutcomeEmail {
        brand,
        what: match approval.execution(now) {
            Some(revoked @ Execution::Revoked { .. }) => describe_execution(&revoked),
            _ => {
                describe_ending(approval, now).unwrap_or_else(|| "The request is open.".to_owned())
            }
        },
        agent: defanger.defang(&agent),
        action: defanger.defang(&action),
        correlation: defanger.defang(approval.request.id.correlation()),
        short_id: short_id(&approval.request.id),
        // A comment takes the link alone, which others than the approver may have.
        comment: approval
            .decision()
            .and_then(|decision| decision.comment.as_deref())
            .map(|comment| defanger.defang(&reveal::prose(comment))),
        is_defanged: defanger.changed,
        link: &secrets.link,
    };
    (
        render(&OutcomeText { mail: &email }),
        render(&OutcomeHtml { mail: &email }),
    )
}

/// The parameters as an email shows them; with a sentence about what is missing.
fn shorten(
    parameters: &Value,
    hidden: usize,
    defanger: &mut Defanger,
) -> (Option<Block>, Option<String>) {
    let whole = Block::of_parameters(parameters, &mut |text| defanger.defang(text));
    let shown = fold(whole.clone());
    let omission = match (shown == whole, hidden) {
        (true, 0) => None,
        (true, 1) => {
            Some("1 value that looks like a secret is hidden here. Open the page to see it.")
        }
        (true, _) => Some(
            "{hidden} values that look like secrets are hidden here. Open the page to see them.",
        ),
        (false, 0) => Some("Not everything is shown here. Open the page to see it all."),
        (false, _) => Some(
            "Not everything is shown here, and {hidden} values that look like secrets are hidden. Open the page to see it all.",
        ),
    };
    let omission = omission.map(|words| words.replace("{hidden}", &hidden.to_string()));
    (Some(shown), omission)
}
