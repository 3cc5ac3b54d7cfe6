//! The words in a cookie for the result of a form.

use crate::domain::{DecisionResult, SignInFault};
use crate::keys::FormPurpose;
use crate::values::Timestamp;

/// A value with a word, and with a number where it has a field.
pub(super) trait Word: Sized {
    fn word(self) -> (&'static str, Option<i64>);

    /// `None` for what this version does not know.
    fn from_word(word: &str, number: Option<i64>) -> Option<Self>;
}

/// Reads and writes the words by one table, in which the compiler misses no value.
macro_rules! words {
    ($type:ident: $($word:literal => $variant:ident $(($inner:path))? $({ $field:ident })?,)*) => {
        impl Word for $type {
            fn word(self) -> (&'static str, Option<i64>) {
                match self {
                    $(Self::$variant $(($inner))? $({ $field })? => {
                        ($word, None$(.or($field.into_number()))?)
                    })*
                }
            }

            fn from_word(word: &str, number: Option<i64>) -> Option<Self> {
                // Few values have a field.
                let _ = number;
                Some(match word {
                    $($word => Self::$variant $(($inner))? $({
                        $field: Number::from_number(number?)?
                    })?,)*
                    _ => return None,
                })
            }
        }
    };
}

words! { FormPurpose:
    "d" => Decision,
    "r" => Revocation,
    "s" => Reveal,
    "g" => Grant,
    "h" => HandOver,
}

words! { DecisionResult:
    "recorded" => Recorded,
    "rejected-held" => RejectedWithoutCode { until },
    "closed" => AlreadyClosed,
    "revealed" => Revealed,
    "revoked" => Revoked,
    "used" => AlreadyUsed,
    "late" => Late,
    "form" => InvalidForm,
    "locked" => Locked,
    "held" => CodesHeld { until },
    "no-code" => CodeMissing,
    "code" => CodeWrong { left },
    "voted" => AlreadyVoted,
    "not-needed" => NotNeeded,
    "sign-in" => SignInNeeded,
    "old-sign-in" => SignInRefused(SignInFault::TooOld),
    "sign-in-ahead" => SignInRefused(SignInFault::Ahead),
    "no-time" => SignInRefused(SignInFault::TimeUnknown),
    "no-group" => SignInRefused(SignInFault::NotInGroup),
    "group-unknown" => SignInRefused(SignInFault::GroupUnknown),
    "no-link" => SignInRefused(SignInFault::LinkMissing),
    "no-link-no-time" => SignInRefused(SignInFault::LinkMissingAndTimeUnknown),
    "reason" => UnknownReason,
    "both" => Contradictory,
    "comment" => CommentMissing,
    "long" => CommentTooLong { most },
    "grant" => GrantRefused,
    "no-grant" => GrantNotGiven,
    "grant-ended" => GrantEnded,
    "grant-gone" => GrantGone,
    "handed-over" => HandedOver,
    "seat-gone" => SeatGone,
    "no-receiver" => ReceiverMissing,
    "receiver" => ReceiverRefused,
    "absent" => ReceiverAbsent { until },
    "people" => TooManyPeople,
    "no-why" => HandOverReasonMissing,
    "long-why" => HandOverReasonTooLong,
    "early" => TooEarly { until },
}

/// A field as a number.
trait Number: Sized {
    fn into_number(self) -> Option<i64>;
    fn from_number(number: i64) -> Option<Self>;
}

impl Number for usize {
    fn into_number(self) -> Option<i64> {
        self.try_into().ok()
    }

    fn from_number(number: i64) -> Option<Self> {
        number.try_into().ok()
    }
}

impl Number for u32 {
    fn into_number(self) -> Option<i64> {
        Some(self.into())
    }

    fn from_number(number: i64) -> Option<Self> {
        number.try_into().ok()
    }
}

impl Number for Timestamp {
    fn into_number(self) -> Option<i64> {
        Some(self.unix_millis())
    }

    fn from_number(number: i64) -> Option<Self> {
        Self::from_unix_millis(number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A browser may still have the draft of an earlier version.
    #[test]
    fn words_stay_and_are_read_as_they_are_written() {
        let until = Timestamp::from_unix_millis(1_795_000_000_000).unwrap();
        let fault = SignInFault::LinkMissing;
        for (result, word, number) in [
            (DecisionResult::Recorded, "recorded", None),
            (DecisionResult::CodeWrong { left: 4 }, "code", Some(4)),
            (
                DecisionResult::CommentTooLong { most: 900 },
                "long",
                Some(900),
            ),
            (
                DecisionResult::TooEarly { until },
                "early",
                Some(1_795_000_000_000),
            ),
            (DecisionResult::SignInRefused(fault), "no-link", None),
        ] {
            assert_eq!(result.word(), (word, number));
            assert_eq!(DecisionResult::from_word(word, number), Some(result));
        }
        // Earlier versions gave it a number.
        let people = DecisionResult::from_word("people", Some(40));
        assert_eq!(people, Some(DecisionResult::TooManyPeople));
        assert_eq!(FormPurpose::HandOver.word(), ("h", None));
        assert_eq!(DecisionResult::from_word("code", None), None);
        assert_eq!(DecisionResult::from_word("code", Some(-1)), None);
        assert_eq!(DecisionResult::from_word("unknown", None), None);
    }
}
