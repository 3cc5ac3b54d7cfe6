//! The form that hands an approver's place over: what it says, and what a page says about its result.

use super::words::FormFields;
use crate::domain::{COMMENT_CHARS, DecisionResult, HandOver, HandOverWish};
use crate::http::error::Error;
use crate::render::Zone;
use crate::values::Address;

/// The receiver and the reason. What is no address is none of those offered. A reason that is a little too long comes
/// back on the page; one that is longer than any comment is refused.
pub(super) fn read_wish(fields: &FormFields<'_>) -> Result<HandOverWish, Error> {
    let to = fields.first("hand_over").unwrap_or_default();
    let to = Address::parse(to.trim()).ok();
    let reason = fields.words("reason").unwrap_or_default();
    if reason.chars().count() > COMMENT_CHARS {
        let most = HandOver::REASON_CHARS;
        let limit = format!("The reason may have at most {most} characters.");
        return Err(Error::BadRequest(limit));
    }
    Ok(HandOverWish { to, reason })
}

/// What a page says about a result that only hand-overs have.
pub(super) fn message(result: DecisionResult, zone: &Zone) -> Option<String> {
    let most = HandOver::REASON_CHARS;
    let why = match result {
        DecisionResult::SeatGone => {
            let message = "You have handed this over before, so it is not yours to decide or to hand over again. Nothing was recorded.";
            return Some(message.to_owned());
        }
        DecisionResult::ReceiverMissing => "choose the person who decides in your place.".to_owned(),
        DecisionResult::ReceiverRefused => {
            "this person cannot have your place, since they were asked already, the agent acts for them, or they are not among those offered."
                .to_owned()
        }
        DecisionResult::ReceiverAbsent { until } => {
            format!("this person is absent until {}.", zone.in_words(until))
        }
        DecisionResult::TooManyPeople { most } => format!(
            "a request can have at most {most} people, those who gave their place away included."
        ),
        DecisionResult::HandOverReasonMissing => format!("say why, in at most {most} characters."),
        DecisionResult::HandOverReasonTooLong { most } => {
            format!("the reason may have at most {most} characters.")
        }
        _ => return None,
    };
    Some(format!("Nothing was handed over: {why}"))
}
