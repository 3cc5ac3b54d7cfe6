//! What pages and emails have in common about a request.

use std::time::Duration;

use serde_json::Value;

use super::secrets::Withheld;
use crate::domain::{Approval, EarlierRejections, Execution, Revoker, State, Status, Verdict};
use crate::reveal::{self, Alarms};
use crate::values::Timestamp;

/// A request for display.
pub(super) struct RequestView {
    pub(super) agent: String,
    pub(super) action: String,
    pub(super) parameters: Value,
    /// How many values are withheld.
    pub(super) hidden: usize,
    pub(super) alarms: Alarms,
}

impl RequestView {
    /// With values withheld, if `withheld` says where.
    pub(super) fn new(approval: &Approval, withheld: Option<Withheld>) -> Self {
        let request = &approval.request;
        let mut parameters = parameters(approval);
        let mut hidden = 0;
        if let Some(withheld) = withheld {
            parameters = withheld.withhold(parameters, &mut hidden);
        }
        let mut alarms = Alarms::default();
        alarms.scan(request.id.agent());
        alarms.scan(&request.action);
        alarms.scan_value(&parameters);
        Self {
            agent: reveal::prose(request.id.agent()),
            action: reveal::prose(&request.action),
            parameters,
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
    pub(super) what: String,
    pub(super) comment: Option<String>,
    /// Whether anyone with the link of that approver can have rejected and written the comment.
    pub(super) by_link: bool,
}

impl EarlierView {
    pub(super) fn new(
        earlier: &EarlierRejections,
        mut show_comment: impl FnMut(&str) -> String,
    ) -> Self {
        let rejections = earlier.known.iter().map(|it| RejectionView {
            what: format!("Rejected by {} on {}.", it.by, it.at.in_words()),
            comment: it.comment.as_deref().map(&mut show_comment),
            by_link: !it.is_signed_in(),
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

/// What a page says first: the state of the request, for the approver who reads it.
pub(super) struct Heading {
    pub(super) words: &'static str,
    /// A sign that shows without colour.
    pub(super) sign: &'static str,
    /// The class of its colour.
    pub(super) class: &'static str,
}

/// The heading for the approver at `index`.
pub(super) fn heading(approval: &Approval, index: usize, now: Timestamp) -> Heading {
    let by = approval.decision().map(|decision| &decision.by);
    let is_own = by == Some(&approval.approvers[index].address);
    let (words, sign, class) = match (approval.status(now), approval.execution(now)) {
        (Status::Pending, _) => ("Your decision is needed", "", ""),
        (_, Some(Execution::Revoked { .. })) => ("Revoked: it does not run", "✕", "no"),
        (_, Some(Execution::Lapsed { .. })) => ("Approved, and expired unused", "✕", "no"),
        (Status::Approved, _) if is_own => ("You approved this", "✓", "yes"),
        (Status::Approved, _) => ("Approved", "✓", "yes"),
        (Status::Rejected, _) if is_own => ("You rejected this", "✕", "no"),
        (Status::Rejected, _) => ("Rejected", "✕", "no"),
        (Status::Timeout, _) => ("Expired: it does not run", "✕", "no"),
        (Status::Cancelled, _) => ("Withdrawn by the agent", "✕", "no"),
        (Status::Undeliverable, _) => ("No approver could be reached", "✕", "no"),
    };
    Heading { words, sign, class }
}

/// Describes how a request ended; `None` while it is pending.
pub(super) fn describe_ending(approval: &Approval, now: Timestamp) -> Option<String> {
    let at = |at: Timestamp| at.in_words();
    Some(match &approval.state {
        State::Approved { decision, .. } => {
            format!("Approved by {} on {}.", decision.by, at(decision.at))
        }
        State::Rejected(decision) => {
            format!(
                "Rejected by {} on {}. It does not run.",
                decision.by,
                at(decision.at)
            )
        }
        State::Cancelled { at: when } => {
            format!("Withdrawn by the agent on {}. It does not run.", at(*when))
        }
        State::Undeliverable { .. } => {
            "None of the approvers could be reached. It does not run.".to_owned()
        }
        State::Pending | State::Timeout { .. } => match approval.status(now) {
            Status::Pending => return None,
            _ => {
                let mut words = format!(
                    "Timed out: nobody decided before {}. It does not run.",
                    at(approval.request.expires_at)
                );
                if let Some(late) = &approval.late {
                    let verdict = match late.verdict {
                        Verdict::Approve => "approve",
                        Verdict::Reject => "reject",
                    };
                    words.push_str(&format!(
                        " {} wanted to {verdict} it on {}; that came too late and changed nothing.",
                        late.by,
                        at(late.at)
                    ));
                }
                words
            }
        },
    })
}

pub(super) fn describe_execution(execution: &Execution) -> String {
    match execution {
        Execution::Awaited => "The agent has not taken the approval yet.".to_owned(),
        Execution::Executing { at, .. } => {
            format!(
                "The agent took the approval on {} and is running the action.",
                at.in_words()
            )
        }
        Execution::Executed { at, .. } => {
            format!(
                "The agent reported on {} that the action ran.",
                at.in_words()
            )
        }
        Execution::Failed { at, .. } => {
            format!(
                "The agent reported on {} that the action failed.",
                at.in_words()
            )
        }
        Execution::Unknown { .. } => {
            "The agent took the approval and was not heard of again: the action may have run."
                .to_owned()
        }
        Execution::Lapsed { at } => format!(
            "The agent did not take the approval before {}: it has lapsed, and nothing ran.",
            at.in_words()
        ),
        Execution::Revoked { at, revocation } => {
            let by = match &revocation.by {
                Revoker::Approver(address) => address.as_str(),
                Revoker::Operator => "the operator",
            };
            format!(
                "Revoked by {by} on {}, before the agent took it. It does not run.",
                at.in_words()
            )
        }
    }
}

pub(super) fn describe_deadline(approval: &Approval, now: Timestamp) -> String {
    let expires_at = approval.request.expires_at;
    match approval.status(now) {
        Status::Pending => {
            format!(
                "{} ({} left)",
                expires_at.in_words(),
                format_duration(expires_at.since(now))
            )
        }
        _ => expires_at.in_words(),
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
