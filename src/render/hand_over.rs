//! Hand-overs: what pages and emails say about them, and the form of one.

use super::fault::{self, Field};
use super::identification::Identification;
use super::time::{Sentence, Zone};
use crate::domain::{Approval, HandOver};
use crate::reveal;

/// A hand-over, as one approver reads it.
pub(super) struct HandOverView {
    pub(super) what: Sentence,
    /// The words of the approver who handed their place over.
    pub(super) reason: String,
}

/// The form that hands an approver's place over.
pub struct HandOverForm {
    /// The URL to post it to.
    pub action: String,
    /// The CSRF token.
    pub token: String,
    /// Says to whom the page was shown.
    pub page_token: String,
    pub receivers: Vec<Receiver>,
    /// The content of the field for the reason.
    pub reason: String,
    pub identification: Identification,
    /// Why the last submission was not accepted.
    pub problem: Option<String>,
    /// The field that this is about.
    pub fault: Option<Field>,
}

/// A person to whom a place can be handed.
pub struct Receiver {
    pub address: String,
    pub is_chosen: bool,
}

impl HandOverView {
    /// All hand-overs of a request for the approver at `reader`. `show` makes the reasons harmless.
    pub(super) fn of(
        approval: &Approval,
        reader: usize,
        zone: &Zone,
        mut show: impl FnMut(&str) -> String,
    ) -> Vec<Self> {
        let address = |person: usize| approval.approvers[person].address.as_str();
        let views = approval.plan.hand_overs.iter().map(|it| {
            let (from, to) = (address(it.from), address(it.to));
            let (words, whose) = if it.from == reader {
                (format!("You handed this over to {to} on "), "your")
            } else if it.to == reader {
                (format!("{from} handed their place to you on "), "their")
            } else {
                (format!("{from} handed their place to {to} on "), "their")
            };
            Self {
                what: Sentence::new(words)
                    .time(zone.time(it.at))
                    .words(format!(". In {whose} words:")),
                reason: show(&reveal::prose(&it.reason)),
            }
        });
        views.collect()
    }
}

impl HandOverForm {
    /// The most characters of a reason.
    pub(super) const LONGEST_REASON: usize = HandOver::REASON_CHARS;

    /// Whether the form shows without another click.
    pub(super) fn is_open(&self) -> bool {
        self.problem.is_some() || !self.reason.is_empty()
    }

    /// The attributes of a field that say whether it is at fault.
    pub(super) fn mark(&self, field: Field) -> &'static str {
        fault::mark(field, self.fault)
    }
}

/// ` (in the place of alice@example.com)`, for a person who came to their place by hand-overs; otherwise nothing.
pub(super) fn describe_place(approval: &Approval, person: usize) -> String {
    let first = approval.plan.first_holder(person);
    if first == person {
        String::new()
    } else {
        let address = &approval.approvers[first].address;
        format!(" (in the place of {address})")
    }
}
