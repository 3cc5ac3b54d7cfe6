//! The emails: the request with its reminders. Those that ask nothing new are in [`super::news`].

use std::time::Duration;

use askama::Template;
use serde_json::Value;

use super::brand::Brand;
use super::changes::{Changed, ChangesView};
use super::defanger::Defanger;
use super::email_secrets::EmailSecrets;
use super::fold::{SHARES, fold, is_small};
use super::hand_over::HandOverView;
use super::news::render_news;
use super::parameters::ParametersView;
use super::plan::PlanView;
use super::request::{
    EarlierView, RequestView, describe_others, format_duration, locked_addresses, parameters,
};
use super::secrets::{Secrets, Withheld};
use super::subject::{correlation_in_email, short_id, subject};
use super::template::render;
use super::text::Text;
use super::time::Time;
use crate::domain::{Approval, Earlier, Notice, SendAttempt};
use crate::mailer::Email;
use crate::policy::Pointer;
use crate::reveal::{self, Alarms};
use crate::values::Timestamp;

/// How many of the other approvers an email names.
const OTHERS_IN_EMAIL: usize = 5;

/// How much of the parameters an email shows (`HO_MAIL_PARAMETERS`). The page always shows everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParameterDisclosure {
    Full,
    /// Everything except the values of members whose names suggest a secret.
    Redacted,
    None,
}

impl ParameterDisclosure {
    fn withheld(self) -> Option<Withheld> {
        match self {
            Self::Full => None,
            Self::Redacted => Some(Withheld::InEmail),
            Self::None => Some(Withheld::All),
        }
    }
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
    /// Whether texts of people or of the agent are cut.
    is_cut: bool,
    is_defanged: bool,
    link: &'a str,
    code: Option<&'a str>,
    /// Whether approving by this link is locked.
    is_locked: bool,
    list: Option<&'a str>,
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
    let render = |share| match attempt.notice {
        Notice::Request | Notice::Reminder | Notice::FinalReminder => render_request(
            approval,
            attempt,
            earlier,
            secrets,
            (disclosure, share),
            brand,
            now,
        ),
        _ => render_news(approval, attempt, secrets, share, brand, now),
    };
    let mut rendered = SHARES.iter().map(|share| render(*share));
    let small = rendered.find(|(text, html)| is_small(text, html));
    let (text, html) = small.unwrap_or_else(|| render(SHARES[SHARES.len() - 1]));
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
    let mut defanger = Defanger::new(share);
    let shown = (disclosure, share, &mut defanger);
    let mut email = RequestEmail::new(approval, attempt, earlier, secrets, shown, brand, now);
    email.is_cut = defanger.has_cut;
    let mut text = render(&RequestText { mail: &email });
    if defanger.shows_in(&text) {
        email.is_defanged = true;
        text = render(&RequestText { mail: &email });
    }
    (text, render(&RequestHtml { mail: &email }))
}

impl<'a> RequestEmail<'a> {
    /// Whether texts are cut or defanged is set later: `defanger` knows it once all are.
    fn new(
        approval: &Approval,
        attempt: SendAttempt,
        earlier: &Earlier,
        secrets: &'a EmailSecrets,
        (disclosure, share, defanger): (ParameterDisclosure, usize, &mut Defanger),
        brand: &'a Brand,
        now: Timestamp,
    ) -> Self {
        let (request, zone) = (&approval.request, &brand.zone);
        let approver = attempt.approver;
        let is_shown = disclosure != ParameterDisclosure::None;
        let mut view = RequestView::new(approval, disclosure.withheld());
        for alarm in &mut view.alarms.named {
            alarm.excerpt = defanger.defang(&alarm.excerpt);
        }
        let (parameters, omission) = if is_shown {
            shorten(
                (&view.parameters, view.secrets),
                &approval.plan.summary,
                (view.hidden.count, share),
                defanger,
            )
        } else {
            (None, None)
        };
        Self {
            brand,
            lead: lead(attempt.notice).to_owned(),
            agent: defanger.defang(&view.agent),
            is_known_agent: view.is_known_agent,
            action: defanger.defang(&view.action),
            on_behalf_of: request
                .on_behalf_of
                .as_ref()
                .map(|person| defanger.defang(person.as_str())),
            deadline: zone.time(request.expires_at),
            time_left: time_left(request.expires_at, now),
            plan: PlanView::new(approval, is_shown, zone, now, |text| defanger.words(text)),
            hand_overs: HandOverView::of(approval, approver, zone, |reason| defanger.words(reason)),
            others: describe_others(approval, approver, OTHERS_IN_EMAIL, now),
            correlation: correlation_in_email(&request.id).map(|it| defanger.defang(it)),
            short_id: short_id(&request.id),
            parameters,
            omission,
            alarms: view.alarms,
            // A rejection takes the link alone, which others than the approver may have.
            earlier: EarlierView::new(&earlier.rejections, zone, |comment| {
                defanger.words(&reveal::prose(comment))
            }),
            changes: earlier.superseded.as_ref().map(|superseded| {
                let write = |text: &str| defanger.defang(text);
                ChangesView::new(approval, superseded, Withheld::InEmail, zone, write).for_mail(
                    is_shown,
                    share,
                    |words| defanger.cut(words),
                )
            }),
            reason: request
                .reason
                .as_deref()
                .map(|reason| defanger.words(&reveal::prose(reason))),
            locked: locked_addresses(approval, approver),
            is_cut: false,
            is_defanged: false,
            link: &secrets.link,
            code: secrets.code.as_deref(),
            is_locked: approval.approvers[approver].is_locked(),
            list: secrets.list.as_deref(),
        }
    }
}

fn lead(notice: Notice) -> &'static str {
    match notice {
        Notice::Reminder => "Reminder: an agent is waiting for your approval",
        Notice::FinalReminder => "Final reminder: an agent is waiting for your approval",
        _ => "An agent asks for your approval",
    }
}

/// The time until the deadline. An email is sent a moment after its request, whose hour is not yet 59 minutes then.
fn time_left(expires_at: Timestamp, now: Timestamp) -> String {
    const MOMENT: Duration = Duration::from_secs(5);
    let left = expires_at.since(now);
    let is_in_seconds = left < Duration::from_secs(120);
    format_duration(if is_in_seconds { left } else { left + MOMENT })
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
