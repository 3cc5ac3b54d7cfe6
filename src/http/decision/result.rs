//! What a page says about the result of the last form.

use axum::http::StatusCode;

use crate::app::App;
use crate::domain::{Approval, DecisionResult, GrantTerms, HandOver, SignInFault, State, Status};
use crate::keys::FormPurpose;
use crate::policy::{CommentRule, MAX_PEOPLE};
use crate::render::{Field, format_duration};

/// The status of a page with this result.
pub(super) fn status_code(result: DecisionResult) -> StatusCode {
    match result {
        DecisionResult::Recorded
        | DecisionResult::Revoked
        | DecisionResult::Revealed
        | DecisionResult::GrantEnded
        | DecisionResult::HandedOver
        | DecisionResult::RejectedWithoutCode { .. }
        | DecisionResult::GrantNotGiven => StatusCode::OK,
        DecisionResult::AlreadyClosed
        | DecisionResult::AlreadyUsed
        | DecisionResult::AlreadyVoted
        | DecisionResult::NotNeeded
        | DecisionResult::TooEarly { .. }
        | DecisionResult::SeatGone
        | DecisionResult::GrantGone
        | DecisionResult::InvalidForm => StatusCode::CONFLICT,
        DecisionResult::Late => StatusCode::GONE,
        DecisionResult::CommentMissing
        | DecisionResult::CommentTooLong { .. }
        | DecisionResult::UnknownReason
        | DecisionResult::Contradictory
        | DecisionResult::ReceiverMissing
        | DecisionResult::ReceiverRefused
        | DecisionResult::ReceiverAbsent { .. }
        | DecisionResult::TooManyPeople
        | DecisionResult::HandOverReasonMissing
        | DecisionResult::HandOverReasonTooLong
        | DecisionResult::GrantRefused => StatusCode::UNPROCESSABLE_ENTITY,
        DecisionResult::SignInNeeded
        | DecisionResult::SignInRefused(_)
        | DecisionResult::Locked
        | DecisionResult::CodesHeld { .. }
        | DecisionResult::CodeMissing
        | DecisionResult::CodeWrong { .. } => StatusCode::FORBIDDEN,
    }
}

/// What a page says about the result of the last form.
pub(super) fn message(
    result: DecisionResult,
    approval: &Approval,
    approver: usize,
    form: FormPurpose,
    app: &App,
) -> Option<String> {
    let has_ended = form == FormPurpose::Decision && approval.status(app.now()) == Status::Timeout;
    let message = match result {
        // No code counts any more, so none is a try.
        DecisionResult::Locked
        | DecisionResult::CodesHeld { .. }
        | DecisionResult::CodeMissing
        | DecisionResult::CodeWrong { .. }
            if has_ended =>
        {
            "The deadline had passed. No decision was recorded, and nothing runs."
        }
        DecisionResult::Recorded | DecisionResult::Revoked | DecisionResult::HandedOver => {
            return None;
        }
        DecisionResult::Revealed => "The hidden values are shown below, this once.",
        // Without the key of the request, the page does not find the grant to say it.
        DecisionResult::GrantEnded if app.link_keys.link_token(approval, approver).is_none() => {
            "You ended the standing grant. It approves nothing more."
        }
        DecisionResult::GrantEnded => return None,
        DecisionResult::SeatGone => {
            "You have handed this over, so you can no longer decide it or hand it over again. Nothing was recorded."
        }
        DecisionResult::ReceiverMissing => {
            "Nothing was handed over: choose the person who decides in your place."
        }
        DecisionResult::ReceiverRefused => {
            "Nothing was handed over: this person cannot take your place. They were asked already, the agent acts for them, or they are not among those offered."
        }
        DecisionResult::ReceiverAbsent { until } => {
            return Some(format!(
                "Nothing was handed over: this person is absent until {}.",
                app.config.brand.zone.in_words(until)
            ));
        }
        DecisionResult::TooManyPeople => {
            return Some(format!(
                "Nothing was handed over: a request can have at most {MAX_PEOPLE} people, including those who gave their place away."
            ));
        }
        DecisionResult::HandOverReasonMissing => {
            return Some(format!(
                "Nothing was handed over: say why, in at most {} characters.",
                HandOver::REASON_CHARS
            ));
        }
        DecisionResult::HandOverReasonTooLong => {
            return Some(format!(
                "Nothing was handed over: the reason may have at most {} characters.",
                HandOver::REASON_CHARS
            ));
        }
        DecisionResult::GrantRefused => {
            return Some(format!(
                "Nothing was recorded: the policy allows no such standing grant. Choose one of the times, and 1 to {} uses, as a number without separators.",
                GrantTerms::MOST_USES
            ));
        }
        DecisionResult::GrantNotGiven => {
            "Your approval is recorded, for this once. The standing grant was not given, or not yet: if it is, this page shows it when you open it again."
        }
        DecisionResult::GrantGone => {
            "Nothing was ended: the standing grant that you gave is no longer in force. If a newer one for exactly the same took its place, this page says so below, and who can end that one."
        }
        DecisionResult::AlreadyClosed => {
            return Some(format!(
                "{} {}",
                what_came_first(approval, approver),
                if form == FormPurpose::HandOver {
                    "Nothing was handed over."
                } else {
                    "Your decision changed nothing."
                }
            ));
        }
        DecisionResult::AlreadyUsed => {
            "This approval can no longer be revoked: the agent has started, or the approval has expired."
        }
        DecisionResult::AlreadyVoted => {
            "You have already voted, and a vote cannot be changed. To take back an approval, revoke it."
        }
        DecisionResult::NotNeeded => {
            "Your vote is not needed now: others have given the approvals, or an earlier stage is open. Nothing was recorded."
        }
        DecisionResult::SignInNeeded => {
            "Nothing was recorded: only people who are signed in can decide this request, and you were not."
        }
        DecisionResult::SignInRefused(fault) => {
            return Some(format!(
                "Nothing was recorded: {}",
                explain_fault(fault, app)
            ));
        }
        DecisionResult::Contradictory => {
            "Nothing was recorded: you gave a reason to reject, and approved. To approve, choose “None of these”, and remove your own words and your question below “Reject…”."
        }
        DecisionResult::UnknownReason => {
            "Nothing was recorded: this reason is no longer on the list. Choose another."
        }
        DecisionResult::CommentMissing => {
            let mut message = "Nothing was recorded: the policy asks for your own words. They count with the code from the email, or when you are signed in.".to_owned();
            if !app.reject_reasons(approval).is_empty() {
                message.push_str(" To reject, a reason from the list is enough.");
            }
            return Some(message);
        }
        DecisionResult::CommentTooLong { most } => {
            return Some(format!(
                "Nothing was recorded: a comment on this request, with a question, may have at most {most} characters."
            ));
        }
        DecisionResult::TooEarly { until } => {
            return Some(format!(
                "Nothing was recorded: this request can be approved from {} on. Take the time to read it.",
                app.config.brand.zone.in_words(until.up_to_minute())
            ));
        }
        DecisionResult::CodesHeld { until } => {
            let until = app.config.brand.zone.in_words(until.up_to_minute());
            let without_code = match approval.plan.comment {
                CommentRule::Never => {
                    "Rejecting without the code works now, and so does signing in"
                }
                _ if app.reject_reasons(approval).is_empty() => "Signing in works now",
                _ => "Rejecting with a reason from the list works now, and so does signing in",
            };
            return Some(format!(
                "Nothing was recorded: too many wrong codes were entered with links to your address. From {until} on, \
                 codes count again. {without_code}, where this gate offers it."
            ));
        }
        DecisionResult::RejectedWithoutCode { until } => {
            let until = app.config.brand.zone.in_words(until.up_to_minute());
            return Some(format!(
                "Your rejection is recorded. The code beside it did not count, right or wrong: too many wrong codes \
                 were entered with links to your address. From {until} on, codes count again."
            ));
        }
        DecisionResult::Late => {
            "You decided after the deadline. Your decision does not count, and nothing runs."
        }
        DecisionResult::InvalidForm => {
            "That page was out of date. Nothing was recorded. Read the request again and decide here."
        }
        DecisionResult::Locked => {
            "This form is locked after five wrong codes. No decision was recorded."
        }
        DecisionResult::CodeMissing => {
            "Type the code from the email, six digits. No decision was recorded."
        }
        DecisionResult::CodeWrong { left: 0 } => {
            "Wrong code. That was the fifth: this form now takes no code. No decision was recorded."
        }
        DecisionResult::CodeWrong { left: 1 } => {
            "Wrong code. You have 1 try left. No decision was recorded."
        }
        DecisionResult::CodeWrong { left } => {
            return Some(format!(
                "Wrong code. You have {left} tries left. No decision was recorded."
            ));
        }
    };
    Some(message.to_owned())
}

/// Why a sign-in is not enough, and what helps.
pub(super) fn explain_fault(fault: SignInFault, app: &App) -> String {
    const CLAIM: &str = "the operator of this gate must add the optional claim auth_time to the ID token of the app \
                         registration, and prompt=login to the loginParameters of the platform's sign-in.";
    let max_age = app.config.sign_in.as_ref().and_then(|it| it.max_age);
    let within = format_duration(max_age.unwrap_or_default());
    match fault {
        SignInFault::TooOld => format!(
            "this gate takes a decision only within {within} of the sign-in, and yours is not from this time. Sign in again."
        ),
        SignInFault::Ahead => {
            "the time of your sign-in is 5 minutes or more ahead of this gate's clock, so one of the two clocks is wrong. \
             Nothing is lost: tell the operator of this gate, and open this page again later."
                .to_owned()
        }
        SignInFault::TimeUnknown => format!(
            "this gate takes a decision only within {within} of the sign-in, and yours does not say when it was: {CLAIM}"
        ),
        SignInFault::NotInGroup => {
            "only members of a group of your directory, or people with a role in it, decide this, and your sign-in says \
             that you are not one of them. If you have become one since, sign in again."
                .to_owned()
        }
        SignInFault::GroupUnknown => {
            "only members of a group of your directory, or people with a role in it, decide this, and your sign-in does \
             not say whether you are one of them. The operator of this gate must assign the group to the app registration \
             and add the optional claim groups, for assigned groups, to its ID token, or assign you the role."
                .to_owned()
        }
        SignInFault::LinkMissing => {
            "you came without the link in your email, and your sign-in is not from the last 5 minutes. Open that link, or \
             sign in again."
                .to_owned()
        }
        SignInFault::LinkMissingAndTimeUnknown => format!(
            "you came without the link in your email, and your sign-in does not say when it was. Open that link. To \
             decide without it, {CLAIM}"
        ),
    }
}

/// The field of the form that a result is about.
pub(super) fn field_at_fault(result: DecisionResult) -> Option<Field> {
    match result {
        DecisionResult::CodeMissing | DecisionResult::CodeWrong { .. } => Some(Field::Code),
        DecisionResult::CommentMissing
        | DecisionResult::CommentTooLong { .. }
        | DecisionResult::Contradictory => Some(Field::Words),
        DecisionResult::UnknownReason => Some(Field::Preset),
        DecisionResult::GrantRefused => Some(Field::Grant),
        DecisionResult::ReceiverMissing
        | DecisionResult::ReceiverRefused
        | DecisionResult::ReceiverAbsent { .. } => Some(Field::Receiver),
        DecisionResult::HandOverReasonMissing | DecisionResult::HandOverReasonTooLong => {
            Some(Field::HandOverReason)
        }
        _ => None,
    }
}

/// What ended a request before this approver's form came.
fn what_came_first(approval: &Approval, approver: usize) -> String {
    let address = &approval.approvers[approver].address;
    let decision = approval.decision();
    let has_voted = approval.votes.iter().any(|it| it.ballot.person == approver);
    let by = decision.and_then(|it| it.by.person());
    match (&approval.state, by) {
        (State::Cancelled { .. }, _) => {
            "The agent withdrew this request before you decided.".to_owned()
        }
        _ if has_voted || by == Some(address) => "You had decided before.".to_owned(),
        (_, Some(other)) => format!("{other} decided before you."),
        _ => "The request had ended before you decided.".to_owned(),
    }
}
