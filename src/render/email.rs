//! The emails: the request with its reminders, and the notices after it has ended.

use std::time::Duration;

use askama::Template;
use serde_json::Value;
use uuid::Uuid;

use super::brand::Brand;
use super::changes::{Changed, ChangesView};
use super::fold::{SHARES, fold, is_small};
use super::hand_over::HandOverView;
use super::parameters::ParametersView;
use super::plan::{PlanView, describe_escalation};
use super::request::{
    EarlierView, RequestView, describe_ending, describe_execution, describe_others, error_text,
    format_duration, locked_addresses, parameters,
};
use super::secrets::{Secrets, Withheld};
use super::subject::{correlation_in_email, short_id, subject};
use super::template::render;
use super::text::Text;
use super::time::{Sentence, Time};
use super::unproven::describe_agents_part;
use crate::domain::{Approval, Decision, Earlier, Notice, SendAttempt};
use crate::mailer::Email;
use crate::policy::Pointer;
use crate::reveal::{self, Alarms};
use crate::values::Timestamp;

/// How many of the other approvers an email names.
const OTHERS_IN_EMAIL: usize = 5;

const ADVICE: &str =
    "The action may have taken effect, wholly or in part. Check before you approve it again.";

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
    /// The id by which delivery reports name it.
    pub message_id: Uuid,
    /// The link to the decision page; with the link token unless the approver signs in.
    pub link: String,
    /// The one-time code, unless the approver signs in.
    pub code: Option<String>,
    /// The address of the approver's list, if the approver signs in.
    pub list: Option<String>,
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
    is_known_agent: bool,
    action: String,
    on_behalf_of: Option<String>,
    deadline: Time,
    /// The time between this email and the deadline.
    time_left: String,
    others: Option<String>,
    plan: Option<PlanView>,
    hand_overs: Vec<HandOverView>,
    /// The id that the agent chose.
    correlation: Option<String>,
    short_id: String,
    parameters: Option<ParametersView>,
    omission: Option<String>,
    alarms: Alarms,
    earlier: EarlierView,
    /// What changed since the request that this one supersedes.
    changes: Option<ChangesView>,
    reason: Option<String>,
    locked: Vec<String>,
    is_defanged: bool,
    link: &'a str,
    code: Option<&'a str>,
    /// Whether approving by this link is locked.
    is_locked: bool,
    list: Option<&'a str>,
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
    what: Sentence,
    /// What happened before that.
    before: Option<Sentence>,
    agent: String,
    action: String,
    /// The id that the agent chose.
    correlation: Option<String>,
    short_id: String,
    comment: Option<String>,
    /// What the approver asks for a changed request.
    question: Option<String>,
    /// What the agent got, where anyone with the link can have written these.
    unproven: Option<String>,
    /// What the agent says about a failure.
    error: Option<String>,
    /// What is left for the approver to do.
    advice: Option<&'static str>,
    is_defanged: bool,
    link: &'a str,
}

/// What an email tells that asks for nothing new.
struct News {
    what: Sentence,
    /// What happened before that.
    before: Option<Sentence>,
    comment: Option<String>,
    question: Option<String>,
    unproven: Option<String>,
    error: Option<String>,
    advice: Option<&'static str>,
}

/// What people who can still vote do with the news of an escalation.
const STILL_OPEN: &str = "You can still decide, as the email that asked you says.";

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
    earlier: &Earlier,
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
        let name = approval.approvers[attempt.approver].email_name(notice, now);
        format!("{id}.{}.{}", attempt.approver, name.to_ascii_lowercase())
    };
    let (text, html) = match attempt.notice {
        Notice::Escalation => render_escalation(approval, attempt, secrets, brand, now),
        Notice::AskedAgain => render_later(approval, ASKED_AGAIN, secrets, brand, now),
        Notice::GrantEnd => render_later(approval, GRANT_ENDED, secrets, brand, now),
        Notice::Outcome | Notice::Revocation | Notice::Failure => {
            render_outcome(approval, attempt, secrets, brand, now)
        }
        Notice::Request | Notice::Reminder | Notice::FinalReminder => {
            let render = |share| {
                render_request(
                    approval,
                    attempt,
                    earlier,
                    secrets,
                    (disclosure, share),
                    brand,
                    now,
                )
            };
            let mut rendered = SHARES.iter().map(|share| render(*share));
            let small = rendered.find(|(text, html)| is_small(text, html));
            small.unwrap_or_else(|| render(SHARES[SHARES.len() - 1]))
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
        message_id: secrets.message_id,
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
    earlier: &Earlier,
    secrets: &EmailSecrets,
    (disclosure, share): (ParameterDisclosure, usize),
    brand: &Brand,
    now: Timestamp,
) -> (String, String) {
    let request = &approval.request;
    let withheld = match disclosure {
        ParameterDisclosure::Full => None,
        ParameterDisclosure::Redacted => Some(Withheld::InEmail),
        ParameterDisclosure::None => Some(Withheld::All),
    };
    let RequestView {
        agent,
        is_known_agent,
        action,
        parameters,
        secrets: withholding,
        hidden,
        mut alarms,
    } = RequestView::new(approval, withheld);
    let mut defanger = Defanger::default();
    for alarm in &mut alarms.named {
        alarm.excerpt = defanger.defang(&alarm.excerpt);
    }
    let (parameters, omission) = match disclosure {
        ParameterDisclosure::None => (None, None),
        ParameterDisclosure::Full | ParameterDisclosure::Redacted => shorten(
            (&parameters, withholding),
            &approval.plan.summary,
            (hidden.count, share),
            &mut defanger,
        ),
    };
    let lead = match attempt.notice {
        Notice::Reminder => "Reminder: an agent is waiting for your approval",
        Notice::FinalReminder => "Final reminder: an agent is waiting for your approval",
        _ => "An agent asks for your approval",
    };
    let email = RequestEmail {
        brand,
        lead: lead.to_owned(),
        agent: defanger.defang(&agent),
        is_known_agent,
        action: defanger.defang(&action),
        on_behalf_of: request
            .on_behalf_of
            .as_ref()
            .map(|person| defanger.defang(person.as_str())),
        deadline: brand.zone.time(request.expires_at),
        time_left: time_left(request.expires_at, now),
        plan: PlanView::new(
            approval,
            disclosure != ParameterDisclosure::None,
            &brand.zone,
            now,
            |text| defanger.defang(text),
        ),
        hand_overs: HandOverView::of(approval, attempt.approver, &brand.zone, |reason| {
            defanger.defang(reason)
        }),
        others: describe_others(approval, attempt.approver, OTHERS_IN_EMAIL, now),
        correlation: correlation_in_email(&request.id).map(|it| defanger.defang(it)),
        short_id: short_id(&request.id),
        parameters,
        omission,
        alarms,
        // A rejection takes the link alone, which others than the approver may have.
        earlier: EarlierView::new(&earlier.rejections, &brand.zone, |comment| {
            defanger.defang(&reveal::prose(comment))
        }),
        changes: earlier.superseded.as_ref().map(|superseded| {
            let write = |text: &str| defanger.defang(text);
            ChangesView::new(approval, superseded, Withheld::InEmail, &brand.zone, write)
                .for_mail(disclosure != ParameterDisclosure::None, share)
        }),
        reason: request
            .reason
            .as_deref()
            .map(|reason| defanger.defang(&reveal::prose(reason))),
        locked: locked_addresses(approval, attempt.approver),
        is_defanged: defanger.changed,
        link: &secrets.link,
        code: secrets.code.as_deref(),
        is_locked: approval.approvers[attempt.approver].is_locked(),
        list: secrets.list.as_deref(),
    };
    (
        render(&RequestText { mail: &email }),
        render(&RequestHtml { mail: &email }),
    )
}

/// The time until the deadline. An email is sent a moment after its request, whose hour is not yet 59 minutes then.
fn time_left(expires_at: Timestamp, now: Timestamp) -> String {
    const MOMENT: Duration = Duration::from_secs(5);
    let left = expires_at.since(now);
    let is_in_seconds = left < Duration::from_secs(120);
    format_duration(if is_in_seconds { left } else { left + MOMENT })
}

fn render_outcome(
    approval: &Approval,
    attempt: SendAttempt,
    secrets: &EmailSecrets,
    brand: &Brand,
    now: Timestamp,
) -> (String, String) {
    let ending = describe_ending(approval, Some(attempt.approver), &brand.zone, now)
        .unwrap_or_else(|| Sentence::new("The request is open."));
    let follows = describe_execution(approval, &brand.zone, now)
        .filter(|_| matches!(attempt.notice, Notice::Revocation | Notice::Failure));
    let (what, before) = match follows {
        Some(what) => (what, Some(ending)),
        None => (ending, None),
    };
    let news = News {
        what,
        before,
        comment: approval.decision().and_then(Decision::words),
        question: approval.decision().and_then(|it| it.question.clone()),
        unproven: approval
            .decision()
            .filter(|it| it.has_unproven_words())
            .map(|it| describe_agents_part(it.preset.as_deref())),
        error: error_text(approval, now).filter(|_| attempt.notice == Notice::Failure),
        advice: (attempt.notice == Notice::Failure).then_some(ADVICE),
    };
    render_news(approval, news, secrets, brand)
}

fn render_news(
    approval: &Approval,
    news: News,
    secrets: &EmailSecrets,
    brand: &Brand,
) -> (String, String) {
    let RequestView { agent, action, .. } = RequestView::new(approval, None);
    let mut defanger = Defanger::default();
    let email = OutcomeEmail {
        brand,
        what: news.what,
        before: news.before,
        agent: defanger.defang(&agent),
        action: defanger.defang(&action),
        correlation: correlation_in_email(&approval.request.id).map(|it| defanger.defang(it)),
        short_id: short_id(&approval.request.id),
        // A comment takes the link alone, which others than the approver may have.
        comment: news
            .comment
            .map(|words| defanger.defang(&reveal::prose(&words))),
        question: news
            .question
            .map(|words| defanger.defang(&reveal::prose(&words))),
        unproven: news.unproven,
        error: news.error.map(|error| defanger.defang(&error)),
        advice: news.advice,
        is_defanged: defanger.changed,
        link: &secrets.link,
    };
    (
        render(&OutcomeText { mail: &email }),
        render(&OutcomeHtml { mail: &email }),
    )
}

/// What the person who rejected a request reads when others are asked the same, and the one who gave a standing grant
/// when it ends.
const ASKED_AGAIN: &str =
    "An agent asks others for what you rejected. They see your rejection and your words.";
const GRANT_ENDED: &str =
    "The standing grant that you gave with this approval has ended: it approves nothing more.";

fn render_later(
    approval: &Approval,
    what: &str,
    secrets: &EmailSecrets,
    brand: &Brand,
    now: Timestamp,
) -> (String, String) {
    let news = News {
        what: Sentence::new(what),
        before: describe_ending(approval, None, &brand.zone, now),
        comment: None,
        question: None,
        unproven: None,
        error: None,
        advice: None,
    };
    render_news(approval, news, secrets, brand)
}

fn render_escalation(
    approval: &Approval,
    attempt: SendAttempt,
    secrets: &EmailSecrets,
    brand: &Brand,
    now: Timestamp,
) -> (String, String) {
    let can_vote = approval.can_vote(attempt.approver, now);
    let news = News {
        what: describe_escalation(approval, &brand.zone)
            .unwrap_or_else(|| Sentence::new("More people were asked.")),
        before: None,
        comment: None,
        question: None,
        unproven: None,
        error: None,
        advice: can_vote.then_some(STILL_OPEN),
    };
    render_news(approval, news, secrets, brand)
}

/// The parameters as an email shows them; with a sentence about what is missing.
fn shorten(
    (parameters, secrets): (&Value, Secrets),
    summary: &[Pointer],
    (hidden, share): (usize, usize),
    defanger: &mut Defanger,
) -> (Option<ParametersView>, Option<String>) {
    let whole = ParametersView::new(parameters, secrets, summary, &mut |text| {
        defanger.defang(text)
    });
    let shown = fold(whole.clone(), share);
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
