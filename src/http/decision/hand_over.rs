//! The form that hands an approver's place over.

use super::words::FormFields;
use crate::domain::{COMMENT_CHARS, HandOver, HandOverWish};
use crate::http::error::Error;
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
