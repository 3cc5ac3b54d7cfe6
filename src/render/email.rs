//! The emails: the request with its reminders, and the outcome notice.

use askama::Template;

use super::brand::Brand;
use super::request::{
    EarlierView, RequestView, describe_deadline, describe_ending, describe_execution,
    locked_addresses,
};
use super::secrets::Withheld;
use super::template::render;
use crate::domain::{Approval, EarlierRejections, Execution, Notice, SendAttempt};
use crate::mailer::Email;
use crate::reveal::{self, Warnings};
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

/// How much of the parameters an email shows at most, in lines and in characters.
const SHOWN_LINES: usize = 120;
const SHOWN_CHARS: usize = 8_000;

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
    parameters: Option<String>,
    omission: Option<String>,
    warnings: Warnings,
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
    let prefix = brand.subject_prefix.as_deref();
    let subject = format!(
        "{}Approval needed: {} ({})",
        prefix
            .map(|prefix| format!("{prefix} "))
            .unwrap_or_default(),
        reveal::defang(&reveal::line(&request.action, 80)),
        reveal::defang(&reveal::line(request.id.agent(), 40))
    );
    let is_first = attempt.notice == Notice::Request;
    Email {
        to: approval.approvers[attempt.approver].address.clone(),
        queue: match &request.owner {
            Some(owner) => owner.to_string(),
            None => request.id.agent().to_owned(),
        },
        subject: if is_first {
            subject
        } else {
            format!("Re: {subject}")
        },
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
        mut warnings,
    } = RequestView::new(approval, withheld);
    let mut defanger = Defanger::default();
    for word in &mut warnings.mixed {
        word.word = defanger.defang(&word.word);
    }
    let (parameters, omission) = match disclosure {
        ParameterDisclosure::None => (None, None),
        ParameterDisclosure::Full | ParameterDisclosure::Redacted => {
            shorten(&reveal::json(&parameters), hidden)
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
        parameters: parameters.map(|parameters| defanger.defang(&parameters)),
        omission,
        warnings,
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

/// Shortens JSON to what an email shows; with a sentence about what is missing.
fn shorten(json: &str, hidden: usize) -> (Option<String>, Option<String>) {
    let lines: Vec<&str> = json.lines().collect();
    let mut shown: String = lines[..lines.len().min(SHOWN_LINES)].join("\n");
    if let Some((end, _)) = shown.char_indices().nth(SHOWN_CHARS) {
        shown.truncate(end);
    }
    let cut = json.chars().count() - shown.chars().count();
    let omission = match (cut, hidden) {
        (0, 0) => None,
        (0, _) => Some(format!(
            "{hidden} value(s) with the name of a secret are not shown here; the page shows them."
        )),
        (cut, 0) => Some(format!(
            "{cut} more characters are not shown here; the page shows all."
        )),
        (cut, _) => Some(format!(
            "{cut} more characters and {hidden} value(s) with the name of a secret are not shown \
             here; the page shows all."
        )),
    };
    (Some(shown), omission)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_value_is_shortened_with_a_note() {
        let (shown, omission) = shorten(&"x".repeat(9_000), 1);
        assert_eq!(shown.unwrap().len(), 8_000);
        assert!(
            omission
                .unwrap()
                .starts_with("1000 more characters and 1 value(s)")
        );
        let lines = vec!["1"; 200].join("\n");
        let (shown, omission) = shorten(&lines, 0);
        assert_eq!(shown.unwrap().lines().count(), 120);
        assert!(omission.unwrap().starts_with("160 more characters"));
    }
}
