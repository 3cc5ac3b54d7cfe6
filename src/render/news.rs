//! The emails that ask nothing new: what became of a request, and what happened since.

use askama::Template;

use super::brand::Brand;
use super::defanger::Defanger;
use super::email_secrets::EmailSecrets;
use super::plan::{VoteView, describe_escalation};
use super::request::{RequestView, describe_ending, describe_execution, error_text};
use super::subject::{correlation_in_email, short_id};
use super::template::render;
use super::text::Text;
use super::time::Sentence;
use super::unproven::describe_decision;
use crate::domain::{Approval, Notice, SendAttempt};
use crate::reveal;
use crate::values::Timestamp;

const ADVICE: &str =
    "The action may have taken effect, wholly or in part. Check before you approve it again.";

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
    /// That anyone with the link can have rejected it and written these, where that is so.
    unproven: Option<String>,
    votes: Vec<VoteView>,
    /// What the agent says about a failure.
    error: Option<String>,
    /// What is left for the approver to do.
    advice: Option<&'static str>,
    /// Whether its link alone decides.
    is_personal: bool,
    /// Whether texts of people or of the agent are cut.
    is_cut: bool,
    is_defanged: bool,
    link: &'a str,
}

/// What an email tells that asks for nothing new.
#[derive(Default)]
struct News {
    what: Sentence,
    /// What happened before that.
    before: Option<Sentence>,
    comment: Option<String>,
    question: Option<String>,
    unproven: Option<String>,
    /// Whether it shows each vote.
    with_votes: bool,
    error: Option<String>,
    advice: Option<&'static str>,
    is_personal: bool,
}

/// What people who can still vote do with the news of an escalation.
const STILL_OPEN: &str = "You can still decide, as the email that asked you says.";

/// What the person who rejected a request reads when others are asked the same, and the one who gave a standing grant
/// when it ends.
const ASKED_AGAIN: &str =
    "An agent asks others for what you rejected. They see your rejection and your words.";
const GRANT_ENDED: &str =
    "The standing grant that you gave with this approval has ended: it approves nothing more.";

/// The two parts of the email of an attempt, with a `share`th of what people and the agent wrote.
pub(super) fn render_news(
    approval: &Approval,
    attempt: SendAttempt,
    secrets: &EmailSecrets,
    share: usize,
    brand: &Brand,
    now: Timestamp,
) -> (String, String) {
    let news = match attempt.notice {
        Notice::Escalation => escalation(approval, attempt, secrets, brand, now),
        Notice::AskedAgain => later(approval, ASKED_AGAIN, brand, now),
        Notice::GrantEnd => later(approval, GRANT_ENDED, brand, now),
        _ => outcome(approval, attempt, brand, now),
    };
    let RequestView { agent, action, .. } = RequestView::new(approval, None);
    let mut defanger = Defanger::new(share);
    let mut email = OutcomeEmail {
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
            .map(|words| defanger.words(&reveal::prose(&words))),
        question: news
            .question
            .map(|words| defanger.words(&reveal::prose(&words))),
        unproven: news.unproven,
        votes: if news.with_votes {
            VoteView::of(approval, &brand.zone, |words| defanger.words(words))
        } else {
            Vec::new()
        },
        error: news.error.map(|error| defanger.words(&error)),
        advice: news.advice,
        is_personal: news.is_personal,
        is_cut: false,
        is_defanged: false,
        link: &secrets.link,
    };
    email.is_cut = defanger.has_cut;
    let mut text = render(&OutcomeText { mail: &email });
    if defanger.shows_in(&text) {
        email.is_defanged = true;
        text = render(&OutcomeText { mail: &email });
    }
    (text, render(&OutcomeHtml { mail: &email }))
}

fn outcome(approval: &Approval, attempt: SendAttempt, brand: &Brand, now: Timestamp) -> News {
    let ending = describe_ending(approval, Some(attempt.approver), &brand.zone, now)
        .unwrap_or_else(|| Sentence::new("The request is open."));
    let follows = describe_execution(approval, &brand.zone, now)
        .filter(|_| matches!(attempt.notice, Notice::Revocation | Notice::Failure));
    let (what, before) = match follows {
        Some(what) => (what, Some(ending)),
        None => (ending, None),
    };
    let has_failed = attempt.notice == Notice::Failure;
    let news = News {
        what,
        before,
        error: error_text(approval, now).filter(|_| has_failed),
        advice: has_failed.then_some(ADVICE),
        ..News::default()
    };
    // One vote that decides is the decision, with its words.
    match approval.decision() {
        Some(decision) if approval.votes.len() < 2 => News {
            comment: decision.words.shown(),
            question: decision.words.question.clone(),
            unproven: describe_decision(decision, true),
            ..news
        },
        _ => News {
            with_votes: true,
            ..news
        },
    }
}

fn later(approval: &Approval, what: &str, brand: &Brand, now: Timestamp) -> News {
    let decision = approval.decision();
    News {
        what: Sentence::new(what),
        before: describe_ending(approval, None, &brand.zone, now),
        unproven: decision.and_then(|it| describe_decision(it, false)),
        ..News::default()
    }
}

fn escalation(
    approval: &Approval,
    attempt: SendAttempt,
    secrets: &EmailSecrets,
    brand: &Brand,
    now: Timestamp,
) -> News {
    News {
        what: describe_escalation(approval, &brand.zone)
            .unwrap_or_else(|| Sentence::new("More people were asked.")),
        advice: approval
            .can_vote(attempt.approver, now)
            .then_some(STILL_OPEN),
        // Who signs in has no code.
        is_personal: secrets.code.is_some(),
        ..News::default()
    }
}
