//! What pages and emails have in common about a request.

use std::time::Duration;

use serde_json::Value;

use super::hand_over::describe_place;
use super::plan::describe_needed;
use super::secrets::{Hidden, Secrets, Withheld};
use super::time::{Sentence, Zone};
use crate::domain::{
    Approval, Assurance, Decision, EarlierRejections, Execution, LateDecision, Revoker, State,
    Status, Verdict,
};
use crate::reveal::{self, Alarms};
use crate::values::Timestamp;

/// A request for display.
pub(super) struct RequestView {
    pub(super) agent: String,
    /// Whether the operator has bound the agent's name to its key.
    pub(super) is_known_agent: bool,
    pub(super) action: String,
    pub(super) parameters: Value,
    pub(super) secrets: Secrets,
    /// What is withheld.
    pub(super) hidden: Hidden,
    pub(super) alarms: Alarms,
}

impl RequestView {
    /// With values withheld, if `withheld` says where.
    pub(super) fn new(approval: &Approval, withheld: Option<Withheld>) -> Self {
        let request = &approval.request;
        let mut parameters = parameters(approval);
        let mut hidden = Hidden::default();
        if let Some(withheld) = withheld {
            parameters = withheld.withhold(parameters, &mut hidden);
        }
        let mut alarms = Alarms {
            withheld: !hidden.alarms.is_empty(),
            ..Alarms::default()
        };
        alarms.scan(request.id.agent());
        alarms.scan(&request.action);
        alarms.scan_value(&parameters);
        Self {
            agent: reveal::prose(request.id.agent()),
            is_known_agent: request.is_agent_known(),
            action: reveal::prose(&request.action),
            parameters,
            secrets: withheld.map_or(Secrets::Shown, |_| Secrets::Withheld),
            hidden,
            alarms,
        }
    }
}

/// The parameters as submitted.
pub(super) fn parameters(approval: &Approval) -> Value {
    serde_json::from_str(&approval.request.parameters.json).expect("canonical JSON parses")
}

/// The earlier rejections for display.
pub(super) struct EarlierView {
    pub(super) rejections: Vec<RejectionView>,
    pub(super) unreadable: bool,
}

pub(super) struct RejectionView {
    pub(super) what: Sentence,
    pub(super) comment: Option<String>,
    /// Whether anyone with the link of that approver can have rejected and written the comment.
    pub(super) by_link: bool,
}

impl EarlierView {
    pub(super) fn new(
        earlier: &EarlierRejections,
        zone: &Zone,
        mut show_comment: impl FnMut(&str) -> String,
    ) -> Self {
        let rejections = earlier.known.iter().map(|it| RejectionView {
            what: Sentence::new(format!("Rejected by {} on ", it.by))
                .time(zone.time(it.at))
                .words("."),
            comment: it.comment.as_deref().map(&mut show_comment),
            by_link: it.assurance == Assurance::LinkOnly,
        });
        Self {
            rejections: rejections.collect(),
            unreadable: earlier.unreadable,
        }
    }
}

/// The addresses of the other approvers whose links were locked by wrong codes.
pub(super) fn locked_addresses(approval: &Approval, index: usize) -> Vec<String> {
    let others = approval
        .approvers
        .iter()
        .enumerate()
        .filter(|(other, _)| *other != index);
    let locked = others.filter(|(_, approver)| approver.is_locked());
    locked
        .map(|(_, approver)| approver.address.to_string())
        .collect()
}

/// Who else was asked, in a page or an email that names at most `shown` of them, and what is needed while the
/// request is pending; `None` if no one else was asked.
pub(super) fn describe_others(
    approval: &Approval,
    index: usize,
    shown: usize,
    now: Timestamp,
) -> Option<String> {
    let approvers = approval.approvers.iter().enumerate();
    let others = approvers.filter(|(other, _)| *other != index);
    let seated = others.filter(|(other, _)| approval.plan.hand_over_by(*other).is_none());
    let asked = seated.filter(|(_, approver)| approver.is_asked());
    let mut others: Vec<String> = asked
        .map(|(_, approver)| approver.address.to_string())
        .collect();
    if others.is_empty() {
        return None;
    }
    if others.len() > shown {
        let more = others.len() - shown;
        others.truncate(shown);
        others.push(format!("{more} more"));
    }
    let needed = match approval.status(now) {
        Status::Pending => format!("; {}", describe_needed(approval)),
        _ => String::new(),
    };
    Some(format!("{}{needed}", others.join(", ")))
}

/// What a page says first: the state of the request, for the approver who reads it.
pub(super) struct Heading {
    pub(super) words: String,
    /// A sign that shows without colour.
    pub(super) sign: &'static str,
    /// The class of its colour.
    pub(super) class: &'static str,
}

/// The heading for the approver at `index`.
pub(super) fn heading(approval: &Approval, index: usize, now: Timestamp) -> Heading {
    let by = approval.decision().and_then(|it| it.by.person());
    let is_own = by == Some(&approval.approvers[index].address);
    let approved = if is_own {
        "You approved this"
    } else {
        "Approved"
    };
    let with_report = |report| format!("{approved}; {report}");
    let fixed = str::to_owned;
    let (words, sign, class) = match (approval.status(now), approval.execution(now)) {
        (Status::Pending, _) if approval.plan.hand_over_by(index).is_some() => {
            (fixed("You handed this over"), "", "")
        }
        (Status::Pending, _) if approval.can_vote(index, now) => {
            (fixed("Your decision is needed"), "", "")
        }
        (Status::Pending, _) if approval.is_revocable_by(index, now) => (
            fixed("You approved this; other approvals are missing"),
            "✓",
            "yes",
        ),
        (Status::Pending, _) if approval.has_rejected(index) => (
            fixed("You rejected this; others can still approve"),
            "✕",
            "no",
        ),
        (Status::Pending, _) => (fixed("Your decision is not needed now"), "", ""),
        (_, Some(Execution::Revoked { .. })) => (fixed("Revoked: it does not run"), "✕", "no"),
        (_, Some(Execution::Lapsed { .. })) => (fixed("Approved, and expired unused"), "✕", "no"),
        (_, Some(Execution::Executed { .. })) => {
            (with_report("the agent reports success"), "✓", "yes")
        }
        (_, Some(Execution::Failed { .. })) => {
            (with_report("the agent reports a failure"), "!", "no")
        }
        (_, Some(Execution::Unknown { .. })) => {
            (with_report("the outcome is unknown"), "?", "unknown")
        }
        (Status::Approved, _) => (approved.to_owned(), "✓", "yes"),
        (Status::Rejected, _) if is_own => (fixed("You rejected this"), "✕", "no"),
        (Status::Rejected, _) => (fixed("Rejected"), "✕", "no"),
        (Status::Timeout, _) => (fixed("Expired: it does not run"), "✕", "no"),
        (Status::Cancelled, _) => (fixed("Withdrawn by the agent"), "✕", "no"),
        (Status::Undeliverable, _) => (fixed("Too few approvers could be reached"), "✕", "no"),
    };
    Heading { words, sign, class }
}

/// Describes how a request ended, to the approver at `reader` if one reads it; `None` while it is pending.
pub(super) fn describe_ending(
    approval: &Approval,
    reader: Option<usize>,
    zone: &Zone,
    now: Timestamp,
) -> Option<Sentence> {
    let on = |words: String, at| Sentence::new(words).time(zone.time(at));
    let by = |decision: &Decision| {
        let mut approvers = approval.approvers.iter();
        let person = approvers.position(|it| decision.by.person() == Some(&it.address));
        let place = person.map(|person| describe_place(approval, person));
        format!("{}{}", decision.by, place.unwrap_or_default())
    };
    Some(match &approval.state {
        State::Approved { decision, .. } => {
            on(format!("Approved by {} on ", by(decision)), decision.at).words(".")
        }
        State::Rejected(decision) => {
            on(format!("Rejected by {} on ", by(decision)), decision.at).words(". It does not run.")
        }
        State::Cancelled { at } => {
            on("The agent withdrew this request on ".to_owned(), *at).words(". It does not run.")
        }
        State::Undeliverable { .. } => {
            Sentence::new("Too few people who may approve this could be reached. It does not run.")
        }
        State::Pending | State::Timeout { .. } => {
            if approval.status(now) == Status::Pending {
                return None;
            }
            let expired = "Expired: no decision was made before ".to_owned();
            let expired = on(expired, approval.request.expires_at).words(". It does not run.");
            match &approval.late {
                Some(late) => expired.and(describe_late(approval, late, reader, zone)),
                None => expired,
            }
        }
    })
}

fn describe_late(
    approval: &Approval,
    late: &LateDecision,
    reader: Option<usize>,
    zone: &Zone,
) -> Sentence {
    let is_reader = reader.is_some_and(|reader| approval.approvers[reader].address == late.by);
    let who = if is_reader {
        "You".to_owned()
    } else {
        late.by.to_string()
    };
    let verdict = match late.verdict {
        Verdict::Approve => "approve",
        Verdict::Reject => "reject",
    };
    Sentence::new(format!("{who} tried to {verdict} it on "))
        .time(zone.time(late.at))
        .words(", after the deadline. Nothing ran.")
}

/// Describes what became of an approval; `None` unless the request is approved.
pub(super) fn describe_execution(
    approval: &Approval,
    zone: &Zone,
    now: Timestamp,
) -> Option<Sentence> {
    let execution = approval.execution(now)?;
    let State::Approved { run_by, .. } = &approval.state else {
        return None;
    };
    let on = |words: &str, at| Sentence::new(words).time(zone.time(at));
    Some(match &execution {
        Execution::Awaited => {
            on("Waiting for the agent to start; it has until ", *run_by).words(".")
        }
        Execution::Executing { at, .. } => {
            on("The agent started on ", *at).words(" and is running the action.")
        }
        Execution::Executed { at, .. } => {
            on("Done: the agent reported on ", *at).words(" that the action ran.")
        }
        Execution::Failed { at, .. } => {
            on("Failed: the agent reported on ", *at).words(" that the action failed.")
        }
        Execution::Unknown { at, .. } => on(
            "Outcome unknown: the agent started the action, but had not reported an outcome by ",
            *at,
        )
        .words(". It may have run."),
        Execution::Lapsed { at } => on(
            "Expired unused: the agent did not start the action before ",
            *at,
        )
        .words(". Nothing ran."),
        Execution::Revoked { at, revocation } => {
            let by = match &revocation.by {
                Revoker::Approver(address) => address.as_str(),
                Revoker::Operator => "the operator",
            };
            on(&format!("Revoked by {by} on "), *at)
                .words(", before the agent started. It does not run.")
        }
    })
}

/// What the agent says about a failure.
pub(super) fn error_text(approval: &Approval, now: Timestamp) -> Option<String> {
    match approval.execution(now)? {
        Execution::Failed { error, .. } => error.as_deref().map(reveal::prose),
        _ => None,
    }
}

/// Formats a duration in one unit, rounded down.
pub fn format_duration(span: Duration) -> String {
    let seconds = span.as_secs();
    let (count, unit) = match seconds {
        0..=119 => (seconds, "second"),
        120..=7_199 => (seconds / 60, "minute"),
        7_200..=172_799 => (seconds / 3_600, "hour"),
        _ => (seconds / 86_400, "day"),
    };
    match count {
        1 => format!("1 {unit}"),
        _ => format!("{count} {unit}s"),
    }
}
