//! Why a call was refused, in words for the log, which repeat nothing that the caller sent.

use std::borrow::Cow;

use axum::response::Response;
use human_oversight_protocol::types::FieldError;

use super::error::Error;
use crate::domain::DecisionResult;

/// The cause, in the extensions of a response that is no error of its own, such as a page.
#[derive(Clone)]
pub(super) struct Cause(pub(super) Cow<'static, str>);

/// The members of bodies whose names may be logged.
const MEMBERS: [&str; 22] = [
    "actionDescription",
    "agent",
    "agentName",
    "approverEmails",
    "because",
    "callback",
    "claimant",
    "command",
    "correlationId",
    "error",
    "from",
    "id",
    "nonce",
    "onBehalfOf",
    "owner",
    "parameters",
    "reason",
    "secret",
    "status",
    "supersedes",
    "timeoutSeconds",
    "what",
];

/// How many invalid members are logged.
const NAMED: usize = 5;

impl Cause {
    /// Adds a cause to a response.
    pub(super) fn add(response: &mut Response, cause: impl Into<Cow<'static, str>>) {
        response.extensions_mut().insert(Self(cause.into()));
    }
}

/// The cause of an error.
pub(super) fn cause_of(error: &Error) -> Cow<'_, str> {
    match error {
        Error::Integrity(cause) | Error::Untrusted(cause) | Error::Unavailable(cause) => {
            cause.into()
        }
        Error::SignIn(why) => why.word().into(),
        Error::NotAnAgent(why) => why.text().into(),
        Error::Hidden(error) => cause_of(error),
        Error::NotFound(why) => (*why).into(),
        Error::Forbidden(detail) | Error::MediaType(detail) => (*detail).into(),
        Error::BadRequest(detail) | Error::TooLarge(detail) => detail.into(),
        Error::Conflict(_) | Error::Unlisted => error.detail().into(),
        Error::Invalid(errors) => invalid_members(errors).into(),
        error => error.title().into(),
    }
}

/// The cause of a form that was not accepted.
pub(super) fn cause_of_form(result: DecisionResult) -> Option<&'static str> {
    Some(match result {
        DecisionResult::Recorded
        | DecisionResult::RejectedWithoutCode { .. }
        | DecisionResult::Revealed
        | DecisionResult::Revoked => return None,
        DecisionResult::AlreadyClosed => "the request was closed before",
        DecisionResult::AlreadyUsed => "the approval was claimed or has lapsed",
        DecisionResult::Late => "the deadline had passed",
        DecisionResult::InvalidForm => {
            "the form is not of this request and approver, or of a page that is out of date"
        }
        DecisionResult::Locked => "the link is locked",
        DecisionResult::CodesHeld { .. } => "codes are held back after too many wrong ones",
        DecisionResult::CodeMissing => "the code is missing",
        DecisionResult::CodeWrong { .. } => "the code is wrong",
        DecisionResult::AlreadyVoted => "this person has voted otherwise before",
        DecisionResult::NotNeeded => "the open stage does not need this person",
        DecisionResult::SignInNeeded => "the policy wants a signed-in person",
        DecisionResult::SignInRefused(_) => "the sign-in is not enough",
        DecisionResult::UnknownReason => "the reason is not on the list",
        DecisionResult::Contradictory => "an approval with a reason for a rejection",
        DecisionResult::GrantRefused => "the plan allows no such standing grant",
        DecisionResult::GrantNotGiven => "the standing grant could not be given",
        DecisionResult::GrantGone => "the standing grant is not in force",
        DecisionResult::GrantEnded | DecisionResult::HandedOver => return None,
        DecisionResult::SeatGone => "this person has handed their place over",
        DecisionResult::ReceiverMissing => "a hand-over without a receiver",
        DecisionResult::ReceiverRefused => "the receiver may not have the place",
        DecisionResult::ReceiverAbsent { .. } => "the receiver is absent",
        DecisionResult::TooManyPeople => "the request has too many people for a hand-over",
        DecisionResult::HandOverReasonMissing => "a hand-over without a reason",
        DecisionResult::HandOverReasonTooLong => "the reason of the hand-over is too long",
        DecisionResult::CommentTooLong { .. } => "the comment is too long",
        DecisionResult::CommentMissing => "the comment is missing",
        DecisionResult::TooEarly { .. } => "no approval counts yet",
    })
}

/// The names of invalid members, and what is wrong with each. What the caller named is left out.
fn invalid_members(errors: &[FieldError]) -> String {
    let name = |error: &FieldError| {
        let member = error.pointer.split('/').nth(1).unwrap_or_default();
        match MEMBERS.into_iter().find(|known| *known == member) {
            // A detail may have an example of an address.
            Some(member) if error.detail.contains('@') => format!("{member} is invalid"),
            Some(member) => format!("{member} {}", error.detail),
            None if member.is_empty() => format!("the body {}", error.detail),
            None => "an unknown member".to_owned(),
        }
    };
    let named: Vec<String> = errors.iter().take(NAMED).map(name).collect();
    let more = errors.len().saturating_sub(NAMED);
    let rest = if more > 0 {
        format!("; and {more} more")
    } else {
        String::new()
    };
    format!("{}{rest}", named.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cause_of_an_invalid_body_names_members_of_ours_alone() {
        let error = |pointer: &str, detail: &str| FieldError {
            pointer: pointer.to_owned(),
            detail: detail.to_owned(),
        };
        let cause = invalid_members(&[
            error(
                "/timeoutSeconds",
                "must be a whole number from 10 to 2592000",
            ),
            error(
                "/approverEmails/0",
                "must be an address such as a@example.com",
            ),
            error("/parameters/topsecret", "is too large"),
            error("/topsecret", "is unknown here"),
            error("", "is incomplete"),
            error("/reason", "must be a string"),
        ]);
        assert_eq!(
            cause,
            "timeoutSeconds must be a whole number from 10 to 2592000; approverEmails is invalid; \
             parameters is too large; an unknown member; the body is incomplete; and 1 more"
        );
    }
}
