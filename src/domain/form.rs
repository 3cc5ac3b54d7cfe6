//! A form that an approver submits, and its result.

use super::approver::MAX_WRONG_CODES;
use super::assurance::{Assurance, SignInFault};
use crate::values::Timestamp;

/// A submitted form, once the approver is identified and the secrets in it are checked.
#[derive(Clone, Debug)]
pub struct CheckedForm {
    /// The index of the approver.
    pub approver: usize,
    /// The other approvers who are known to be the same person.
    pub aliases: Vec<usize>,
    /// How they were identified.
    pub assurance: Assurance,
    /// Whether a sign-in is enough for a decision.
    pub sign_in: Result<(), SignInFault>,
    /// Whether its CSRF token is that of this request and approver.
    pub has_valid_token: bool,
    pub code: CodeCheck,
}

/// The result of checking a one-time code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CodeCheck {
    Missing,
    Wrong,
    Right,
}

impl CheckedForm {
    /// Checks the code, of which `wrong_codes` are counted. A signed-in person needs no code.
    pub(super) fn verify_code(&self, wrong_codes: &mut u32) -> Result<(), DecisionResult> {
        if let Assurance::Entra(_) = self.assurance {
            return Ok(());
        }
        if *wrong_codes >= MAX_WRONG_CODES {
            return Err(DecisionResult::Locked);
        }
        match self.code {
            CodeCheck::Right => Ok(()),
            CodeCheck::Missing => Err(DecisionResult::CodeMissing),
            CodeCheck::Wrong => {
                *wrong_codes += 1;
                let left = MAX_WRONG_CODES - *wrong_codes;
                Err(DecisionResult::CodeWrong { left })
            }
        }
    }
}

/// The result of a form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecisionResult {
    /// The request has this approver's decision, from this form or an earlier one.
    Recorded,
    /// As [`Self::Recorded`], for a rejection with a code, while no code of this person counts until this time.
    RejectedWithoutCode {
        until: Timestamp,
    },
    /// The request was closed by something else.
    AlreadyClosed,
    /// The hidden values may be shown, this once.
    Revealed,
    /// This approver's approval is revoked, by this form or an earlier one.
    Revoked,
    /// The approval was claimed or has lapsed, so it can no longer be revoked.
    AlreadyUsed,
    /// The deadline had passed.
    Late,
    /// The form is not of this request and approver, or approves after votes that its page did not show.
    InvalidForm,
    /// Approving by this approver's link is locked.
    Locked,
    /// No code of this person counts before this time, after too many wrong ones.
    CodesHeld {
        until: Timestamp,
    },
    /// An approval by link needs the one-time code.
    CodeMissing,
    /// This person has voted otherwise before.
    AlreadyVoted,
    /// Nothing of the open stage needs this person's vote.
    NotNeeded,
    /// The plan needs a signed-in person.
    SignInNeeded,
    /// The sign-in is not enough.
    SignInRefused(SignInFault),
    /// The reason is not on the list.
    UnknownReason,
    /// An approval with a reason for a rejection, chosen or typed: Enter approves from any field of the form.
    Contradictory,
    /// The plan needs a comment, chosen from the list or with the code.
    CommentMissing,
    /// The comment has more characters than this.
    CommentTooLong {
        most: usize,
    },
    /// The plan allows no such standing grant.
    GrantRefused,
    /// The approval counts, and the standing grant that was to be given with it does not stand.
    GrantNotGiven,
    /// The standing grant has ended, by this form or before.
    GrantEnded,
    /// The standing grant was not in force, so the form has ended nothing.
    GrantGone,
    /// This approver has handed their seat over, by this form or before.
    HandedOver,
    /// This approver has handed their seat over before, and does not vote any more.
    SeatGone,
    /// The form that hands a seat over names no receiver.
    ReceiverMissing,
    /// The receiver may not have the seat: they were asked, are acted for, or are not among those offered.
    ReceiverRefused,
    /// The receiver is absent until this time.
    ReceiverAbsent {
        until: Timestamp,
    },
    /// The request has as many people as a request may have.
    TooManyPeople,
    HandOverReasonMissing,
    HandOverReasonTooLong,
    /// No approval counts before this time.
    TooEarly {
        until: Timestamp,
    },
    /// The code was wrong; after `left` more wrong codes the link is locked.
    CodeWrong {
        left: u32,
    },
}

impl DecisionResult {
    /// Whether a code was wrong.
    pub fn is_wrong_code(self) -> bool {
        matches!(self, Self::CodeWrong { .. })
    }
}
