//! The forms of the decision page.

use super::fault::{self, Field};
use super::grant::GrantOffer;
use super::hand_over::HandOverForm;
use super::identification::Identification;
use crate::keys::FormPurpose;

/// The forms of the page.
#[derive(Default)]
pub struct PageForms {
    /// Decides, while the request is pending.
    pub decision: Option<Form>,
    /// Revokes this approver's approval, until it is claimed.
    pub revocation: Option<Form>,
    /// Ends the standing grant that this approver gave.
    pub grant_end: Option<Form>,
    /// Shows the withheld values.
    pub reveal: Option<Form>,
    /// Hands this approver's place over.
    pub hand_over: Option<HandOverForm>,
}

impl PageForms {
    /// Whether there is one for this purpose.
    pub fn has(&self, purpose: FormPurpose) -> bool {
        match purpose {
            FormPurpose::Decision => self.decision.is_some(),
            FormPurpose::Revocation => self.revocation.is_some(),
            FormPurpose::Grant => self.grant_end.is_some(),
            FormPurpose::Reveal => self.reveal.is_some(),
            FormPurpose::HandOver => self.hand_over.is_some(),
        }
    }
}

/// A form of the page.
pub struct Form {
    /// The URL to post it to.
    pub action: String,
    /// The CSRF token.
    pub token: String,
    /// Says to whom the page was shown.
    pub page_token: String,
    /// How many votes the page shows.
    pub votes: usize,
    /// The content of the comment field.
    pub comment: String,
    /// The content of the field beside the button that rejects.
    pub words: String,
    /// The content of the field of the question for a changed request.
    pub question: String,
    /// The most characters of a comment.
    pub longest_comment: usize,
    /// The reasons for a rejection to choose from.
    pub reasons: Vec<String>,
    /// The one that is chosen.
    pub preset: String,
    /// How many rejections end the request.
    pub rejections: u8,
    /// Whether an approval needs a comment too.
    pub needs_comment: bool,
    /// Whether a rejection needs words that the agent gets.
    pub needs_reason: bool,
    /// The standing grant that may be given with an approval.
    pub grants: Option<GrantOffer>,
    pub identification: Identification,
    /// Why the last submission was not accepted.
    pub problem: Option<String>,
    /// The field that this is about.
    pub fault: Option<Field>,
    /// Whether it was a rejection, whose form shows without another click.
    pub is_rejecting: bool,
}

impl Form {
    /// Whether a rejection needs the person's own words: there is no list of reasons.
    pub(super) fn needs_own_words(&self) -> bool {
        self.needs_reason && self.reasons.is_empty()
    }

    /// The attributes of a field that say whether it is at fault.
    pub(super) fn mark(&self, field: Field) -> &'static str {
        fault::mark(field, self.fault)
    }
}
