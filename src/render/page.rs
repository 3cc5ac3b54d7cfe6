//! The decision page, and pages with a message.

use askama::Template;

use super::brand::Brand;
use super::changes::{Changed, ChangesView};
use super::fault::Field;
use super::grant::{GrantOffer, GrantView};
use super::hand_over::{HandOverForm, HandOverView};
use super::identification::Identification;
use super::page_form::{Form, PageForms};
use super::parameters::ParametersView;
use super::plan::{PlanView, describe_hold, describe_rejections};
use super::precedent::PrecedentView;
use super::request::{
    EarlierView, Heading, RequestView, describe_ending, describe_execution, describe_others,
    error_text, format_duration, heading, locked_addresses,
};
use super::secrets::Withheld;
use super::subject::short_id;
use super::template::render;
use super::text::Text;
use super::time::{Sentence, Time, Zone};
use super::unproven::describe_agents_part;
use crate::domain::{Approval, Earlier, Execution, Pause, PauseScope, Status, Words};
use crate::reveal::{self, Alarms};
use crate::values::{Address, Timestamp};

/// The style sheet of all pages; their content security policy allows it by its hash.
pub const STYLE: &str = include_str!("../../templates/pages.css");

/// The lines of parameters above which the page has a link to its form.
const LONG: usize = 12;

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
    /// The label and address of the sign-in, where this one is not enough to decide.
    pub sign_in: Option<(&'static str, String)>,
    /// Whether the last form was not accepted.
    pub has_problem: bool,
    /// What the operator has paused, so that this request waits, and since when.
    paused: Option<(&'static str, Time)>,
    /// Who approved, and may no longer approve.
    disallowed_approvers: Option<String>,
    /// What earlier decisions say about the request.
    pub precedent: Option<PrecedentView>,
    /// How many rejections reject the request, where that of this approver does not.
    rejections_needed: Option<String>,
    /// Whether no other approval is missing than that of this approver.
    is_last_approval: bool,
    /// From when on an approval counts, while that is ahead.
    hold: Option<Sentence>,
    pub forms: PageForms,
    /// Whether this approver can revoke their approval.
    pub is_revocable: bool,
    /// The standing grant that this approver gave.
    pub grant: Option<GrantView>,
    /// Whether this approver can hand their place over.
    pub can_hand_over: bool,
    /// The places that were handed over.
    hand_overs: Vec<HandOverView>,
    /// Whether there is news to come.
    pub awaits_news: bool,
    /// The address of the page itself, where it tells the news and has no forms; and that of the page with its forms.
    refresh: Option<String>,
    forms_page: Option<String>,
    /// Whether this approver can have withheld values shown, by the form for that.
    pub can_reveal: bool,
    /// All parameters, behind a fold, for a person who has signed in.
    whole: Option<Whole>,
    /// How many values are withheld.
    pub hidden: usize,
    /// Whether this approver has a list of requests.
    pub has_list: bool,
    heading: Heading,
    ending: Option<Ending>,
    approver: &'a str,
    agent: String,
    action: String,
    is_known_agent: bool,
    on_behalf_of: Option<String>,
    asked: Time,
    deadline: Time,
    /// The time that was left when the page was opened.
    time_left: Option<String>,
    others: Option<String>,
    correlation: &'a str,
    short_id: String,
    parameters: ParametersView,
    /// Whether the decision is far below the beginning of the page.
    is_long: bool,
    json: String,
    alarms: Alarms,
    earlier: EarlierView,
    /// What changed since the request that this one supersedes.
    changes: Option<ChangesView>,
    digest: String,
    reason: Option<String>,
    locked: Vec<String>,
    plan: Option<PlanView>,
}

/// The parameters with the values of secrets.
struct Whole {
    parameters: ParametersView,
    json: String,
    /// The alarms about those values.
    alarms: Alarms,
}

/// How a request ended.
struct Ending {
    what: Sentence,
    /// Whether anyone with the link can have written the comment.
    unproven: Option<String>,
    comment: Option<String>,
    /// What the approver asks for a changed request.
    question: Option<String>,
    execution: Option<Sentence>,
    /// What the agent says about a failure.
    error: Option<String>,
}

impl Ending {
    /// `None` while the request waits for a decision.
    fn of(approval: &Approval, index: usize, zone: &Zone, now: Timestamp) -> Option<Self> {
        let what = describe_ending(approval, Some(index), zone, now)?;
        let decision = approval.decision();
        let words = decision.map(|it| &it.words);
        Some(Self {
            what,
            unproven: decision
                .filter(|it| it.words.are_unproven(it.by.assurance()))
                .map(|it| describe_agents_part(it.words.preset.as_deref())),
            comment: words
                .and_then(Words::shown)
                .map(|words| reveal::prose(&words)),
            question: words
                .and_then(|it| it.question.as_deref())
                .map(reveal::prose),
            execution: describe_execution(approval, zone, now),
            error: error_text(approval, now),
        })
    }
}

impl<'a> DecisionPage<'a> {
    /// The page for the approver at `index`, for the state at `now`; if `withheld`, without the values of secrets.
    pub fn new(
        approval: &'a Approval,
        earlier: &Earlier,
        index: usize,
        withheld: bool,
        now: Timestamp,
        style: PageStyle<'a>,
    ) -> Self {
        let request = &approval.request;
        let approver = approval.approvers[index].address.as_str();
        let view = RequestView::new(approval, withheld.then_some(Withheld::OnPage));
        let summary = &approval.plan.summary;
        let parameters =
            ParametersView::new(&view.parameters, view.secrets, summary, &mut str::to_owned);
        let zone = &style.brand.zone;
        let is_pending = approval.status(now) == Status::Pending;
        let changes = earlier.superseded.as_ref().map(|superseded| {
            ChangesView::new(approval, superseded, Withheld::OnPage, zone, str::to_owned)
        });
        let changed = changes.as_ref().map_or(0, ChangesView::height);
        Self {
            local: style.development,
            brand: style.brand,
            notice: None,
            sign_in: None,
            has_problem: false,
            paused: None,
            disallowed_approvers: None,
            precedent: None,
            rejections_needed: describe_rejections(approval, now)
                .filter(|_| !approval.is_rejected_by(index, now)),
            is_last_approval: approval.is_approved_by(index, now),
            hold: describe_hold(approval, zone, now),
            forms: PageForms::default(),
            is_revocable: false,
            grant: None,
            can_hand_over: false,
            hand_overs: HandOverView::of(approval, index, zone, str::to_owned),
            awaits_news: awaits_news(approval, index, now),
            refresh: None,
            forms_page: None,
            can_reveal: false,
            whole: None,
            hidden: view.hidden.count,
            has_list: false,
            heading: heading(approval, index, now),
            ending: Ending::of(approval, index, zone, now),
            approver,
            agent: view.agent,
            is_known_agent: view.is_known_agent,
            action: view.action,
            on_behalf_of: request.on_behalf_of.as_ref().map(ToString::to_string),
            asked: zone.time(request.requested_at),
            deadline: zone.time(request.expires_at),
            time_left: is_pending.then(|| format_duration(request.expires_at.since(now))),
            others: describe_others(approval, index, usize::MAX, now),
            correlation: request.id.correlation(),
            short_id: short_id(&request.id),
            is_long: parameters.height() + changed > LONG,
            parameters,
            json: view.secrets.json(&view.parameters),
            alarms: view.alarms,
            earlier: EarlierView::new(&earlier.rejections, zone, reveal::prose),
            changes,
            digest: request.parameters.digest.to_string(),
            reason: request.reason.as_deref().map(reveal::prose),
            locked: locked_addresses(approval, index),
            plan: PlanView::new(approval, true, zone, now, str::to_owned),
        }
    }

    /// The attributes of what approves: the headings of what to check before it, and whether the code is at fault.
    fn describe_approval(&self, form: &Form, is_code: bool) -> String {
        let is_at_fault = is_code && !form.is_rejecting && form.fault == Some(Field::Code);
        let ids = [
            ("problem", is_at_fault),
            ("alarms", !self.alarms.is_empty()),
            ("rejected-before", !self.earlier.rejections.is_empty()),
            (
                "granting",
                form.grants.as_ref().is_some_and(GrantOffer::is_chosen),
            ),
        ];
        let ids: Vec<&str> = ids.iter().filter(|it| it.1).map(|it| it.0).collect();
        let invalid = if is_at_fault {
            " aria-invalid=\"true\""
        } else {
            ""
        };
        let described = if ids.is_empty() {
            String::new()
        } else {
            format!(" aria-describedby=\"{}\"", ids.join(" "))
        };
        format!("{invalid}{described}")
    }

    /// Shows whose approval is missing now, of the people whom `is_listed` has.
    pub fn show_awaited(
        &mut self,
        approval: &Approval,
        is_listed: impl Fn(&Address) -> bool,
        now: Timestamp,
    ) {
        if let Some(plan) = &mut self.plan {
            plan.show_awaited(approval, is_listed, now);
        }
    }

    /// Shows who approved and may no longer approve.
    pub fn show_disallowed(&mut self, people: &[&Address]) {
        let addresses: Vec<&str> = people.iter().map(|it| it.as_str()).collect();
        self.disallowed_approvers = (!people.is_empty()).then(|| addresses.join(", "));
    }

    /// Shows the pause because of which this request waits.
    pub fn show_pause(&mut self, pause: &Pause) {
        let what = match pause.scope {
            PauseScope::All => "operations",
            PauseScope::Owner(_) | PauseScope::Agent(_) => "this agent",
        };
        self.paused = Some((what, self.brand.zone.time(pause.since)));
    }

    /// Leaves the forms to the page at `forms_page`; `refresh` is the address of this one.
    pub fn tell_news_alone(&mut self, refresh: String, forms_page: String) {
        self.refresh = Some(refresh);
        self.forms_page = Some(forms_page);
        self.forms = PageForms::default();
    }

    /// Adds the values that are withheld, behind a fold.
    pub fn fold_withheld_values(&mut self, approval: &Approval) {
        let view = RequestView::new(approval, None);
        let withheld = RequestView::new(approval, Some(Withheld::OnPage));
        self.whole = Some(Whole {
            parameters: ParametersView::new(
                &view.parameters,
                view.secrets,
                &[],
                &mut str::to_owned,
            ),
            json: view.secrets.json(&view.parameters),
            alarms: withheld.hidden.alarms,
        });
    }

    pub fn render_html(&self) -> String {
        render(self)
    }
}

/// Whether there is news to come about a request that the approver at `index` can no longer decide.
fn awaits_news(approval: &Approval, index: usize, now: Timestamp) -> bool {
    match approval.execution(now) {
        Some(execution) => matches!(execution, Execution::Awaited | Execution::Executing { .. }),
        None => approval.status(now) == Status::Pending && !approval.can_vote(index, now),
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
