//! The mails: the question and its reminders, and the note about the outcome.

use askama::Template;
use serde_json::{Map, Value};

use super::brand::Brand;
use super::request::{Shown, deadline, ending, locked};
use super::template::render;
use crate::domain::{Approval, Notice, SendAttempt};
use crate::mailer::Email;
use crate::reveal::{self, Warnings};
use crate::values::Timestamp;

/// How much of the parameters an email shows (`HO_MAIL_PARAMETERS`). The page always shows everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MailParameters {
    /// Everything.
    Full,
    /// Everything but the values of members with the name of a secret.
    Redacted,
    /// Nothing.
    None,
}

/// What only this approver's mail holds.
pub struct Secrets {
    /// Their link.
    pub link: String,
    /// The code they approve with; nothing where they sign in, and the link is no secret either.
    pub code: Option<String>,
}

/// More of the parameters than this is left to the page.
const SHOWN_LINES: usize = 120;
const SHOWN_CHARS: usize = 8_000;

#[derive(Template)]
#[template(path = "question.html")]
struct QuestionHtml<'a> {
    mail: &'a Question<'a>,
}

#[derive(Template)]
#[template(path = "question.txt", escape = "none")]
struct QuestionText<'a> {
    mail: &'a Question<'a>,
}

struct Question<'a> {
    brand: &'a Brand,
    lead: String,
    agent: String,
    action: String,
    on_behalf_of: Option<String>,
    deadline: String,
    correlation: &'a str,
    parameters: Option<String>,
    omission: Option<String>,
    warnings: Warnings,
    reason: Option<String>,
    locked: Vec<String>,
    link: &'a str,
    code: Option<&'a str>,
}

#[derive(Template)]
#[template(path = "outcome.html")]
struct OutcomeHtml<'a> {
    mail: &'a Outcome<'a>,
}

#[derive(Template)]
#[template(path = "outcome.txt", escape = "none")]
struct OutcomeText<'a> {
    mail: &'a Outcome<'a>,
}

struct Outcome<'a> {
    brand: &'a Brand,
    what: String,
    agent: String,
    action: String,
    correlation: &'a str,
    comment: Option<String>,
    link: &'a str,
}

/// The mail of an attempt, as it reads at `now`.
pub fn email(
    approval: &Approval,
    attempt: SendAttempt,
    secrets: &Secrets,
    parameters: MailParameters,
    brand: &Brand,
    now: Timestamp,
) -> Email {
    let request = &approval.request;
    let name = |kind: Notice| {
        // The id itself is too long for a name; a digest is as good. With the time it is another one
        // for a request of the same id at another gate.
        let id = format!("{} {}", request.id, request.requested_at);
        let id = human_oversight_protocol::parameters::sha256(id.as_bytes());
        let id = human_oversight_protocol::parameters::hex(&id[..16]);
        format!(
            "{id}.{}.{}",
            attempt.approver,
            kind.word().to_ascii_lowercase()
        )
    };
    let (text, html) = match attempt.notice {
        Notice::Outcome => outcome(approval, secrets, brand, now),
        _ => question(approval, attempt, secrets, parameters, brand, now),
    };
    let prefix = brand.subject_prefix.as_deref();
    let subject = format!(
        "{}Approval needed: {} ({})",
        prefix
            .map(|prefix| format!("{prefix} "))
            .unwrap_or_default(),
        reveal::line(&request.action, 80),
        reveal::line(request.id.agent(), 40)
    );
    let is_first = attempt.notice == Notice::Request;
    Email {
        to: approval.approvers[attempt.approver].address.clone(),
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

fn question(
    approval: &Approval,
    attempt: SendAttempt,
    secrets: &Secrets,
    disclosure: MailParameters,
    brand: &Brand,
    now: Timestamp,
) -> (String, String) {
    let request = &approval.request;
    let Shown {
        agent,
        action,
        parameters,
        warnings,
    } = Shown::new(approval);
    let (parameters, omission) = match disclosure {
        MailParameters::None => (None, None),
        MailParameters::Full => shortened(&reveal::json(&parameters), 0),
        MailParameters::Redacted => {
            let mut hidden = 0;
            let parameters = redacted(parameters, &mut hidden);
            shortened(&reveal::json(&parameters), hidden)
        }
    };
    let lead = match attempt.notice {
        Notice::Reminder => "A reminder: an agent still asks for your approval",
        Notice::FinalReminder => "The last reminder: an agent still asks for your approval",
        _ => "An agent asks for your approval",
    };
    let question = Question {
        brand,
        lead: lead.to_owned(),
        agent,
        action,
        on_behalf_of: request.on_behalf_of.as_ref().map(ToString::to_string),
        deadline: deadline(approval, now),
        correlation: request.id.correlation(),
        parameters,
        omission,
        warnings,
        // Mail clients make links of what looks like one, and these words are the agent's.
        reason: request
            .reason
            .as_deref()
            .map(|reason| reveal::prose(reason).replace("://", "[:]//")),
        locked: locked(approval, attempt.approver),
        link: &secrets.link,
        code: secrets.code.as_deref(),
    };
    (
        render(&QuestionText { mail: &question }),
        render(&QuestionHtml { mail: &question }),
    )
}

fn outcome(
    approval: &Approval,
    secrets: &Secrets,
    brand: &Brand,
    now: Timestamp,
) -> (String, String) {
    let Shown { agent, action, .. } = Shown::new(approval);
    let outcome = Outcome {
        brand,
        what: ending(approval, now).unwrap_or_else(|| "The request is open.".to_owned()),
        agent,
        action,
        correlation: approval.request.id.correlation(),
        comment: approval
            .decision()
            .and_then(|decision| decision.comment.as_deref())
            .map(reveal::prose),
        link: &secrets.link,
    };
    (
        render(&OutcomeText { mail: &outcome }),
        render(&OutcomeHtml { mail: &outcome }),
    )
}

/// As much as a mail shows, and a sentence about what it does not.
fn shortened(json: &str, hidden: usize) -> (Option<String>, Option<String>) {
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

/// The same with the values of members that are named like a secret left out.
fn redacted(value: Value, hidden: &mut usize) -> Value {
    match value {
        Value::Object(members) => Value::Object(
            members
                .into_iter()
                .map(
                    |(name, member)| match is_secret_name(&name) && !member.is_null() {
                        true => {
                            *hidden += 1;
                            (name, Value::String("«not shown in mail»".to_owned()))
                        }
                        false => {
                            let member = redacted(member, hidden);
                            (name, member)
                        }
                    },
                )
                .collect::<Map<_, _>>(),
        ),
        Value::Array(items) => Value::Array(
            items
                .into_iter()
                .map(|item| redacted(item, hidden))
                .collect(),
        ),
        plain => plain,
    }
}

fn is_secret_name(name: &str) -> bool {
    let name: String = name.chars().filter(|c| c.is_alphanumeric()).collect();
    let name = name.to_lowercase();
    let parts = [
        "password",
        "passwd",
        "secret",
        "token",
        "apikey",
        "privatekey",
        "accesskey",
        "authorization",
        "credential",
        "connectionstring",
    ];
    name == "key" || name == "pin" || parts.iter().any(|part| name.contains(part))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn secrets_stay_out_of_mail() {
        let mut hidden = 0;
        let shown = redacted(
            json!({"user": "1", "Password": "x", "nested": [{"api-key": "y", "monkey": "z"}],
                   "connection_string": {"deep": 1}, "token": null}),
            &mut hidden,
        );
        assert_eq!(hidden, 3);
        let dots = "«not shown in mail»";
        assert_eq!(
            shown,
            json!({"user": "1", "Password": dots, "nested": [{"api-key": dots, "monkey": "z"}],
                   "connection_string": dots, "token": null})
        );
    }

    #[test]
    fn a_long_value_is_cut_and_said_to_be() {
        let (shown, omission) = shortened(&"x".repeat(9_000), 1);
        assert_eq!(shown.unwrap().len(), 8_000);
        assert!(
            omission
                .unwrap()
                .starts_with("1000 more characters and 1 value(s)")
        );
        let lines = vec!["1"; 200].join("\n");
        let (shown, omission) = shortened(&lines, 0);
        assert_eq!(shown.unwrap().lines().count(), 120);
        assert!(omission.unwrap().starts_with("160 more characters"));
    }
}
