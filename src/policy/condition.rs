//! Comparisons of one value.

use std::cmp::Ordering;

use super::subject::Subject;
use super::text::{Expression, Phrase};
use super::truth::Truth;
use crate::values::Decimal;

/// What a rule demands of the value at a pointer.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Condition {
    /// `is` and `one_of`.
    OneOf(Vec<Scalar>),
    /// `is_not` and `none_of`.
    NoneOf(Vec<Scalar>),
    Number(Relation, Decimal),
    Exists(bool),
    StartsWith(Phrase),
    Matches(Expression),
}

/// How a number stands to that of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Relation {
    LessThan,
    AtMost,
    AtLeast,
    MoreThan,
}

/// A value of a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Scalar {
    Boolean(bool),
    Number(Decimal),
    Text(Phrase),
}

impl Condition {
    /// Whether a value meets the condition: unknown if there is none, or one of another type.
    pub(super) fn judge(&self, subject: &Subject<'_>) -> Truth {
        match self {
            Self::OneOf(values) => is_one_of(values, subject),
            Self::NoneOf(values) => is_one_of(values, subject).not(),
            Self::Number(relation, number) => subject.number().map_or(Truth::Unknown, |value| {
                relation.holds(value.cmp(number)).into()
            }),
            Self::Exists(exists) => (matches!(subject, Subject::Missing) != *exists).into(),
            Self::StartsWith(phrase) => judge_text(subject, |text| phrase.begins(text)),
            Self::Matches(expression) => judge_text(subject, |text| expression.matches(text)),
        }
    }
}

fn judge_text(subject: &Subject<'_>, judge: impl FnOnce(&super::text::Text<'_>) -> Truth) -> Truth {
    match subject {
        Subject::Text(text, _) => judge(text),
        _ => Truth::Unknown,
    }
}

fn is_one_of(values: &[Scalar], subject: &Subject<'_>) -> Truth {
    Truth::any(values.iter().map(|value| value.equals(subject)))
}

impl Scalar {
    fn equals(&self, subject: &Subject<'_>) -> Truth {
        match (self, subject) {
            (Self::Boolean(value), Subject::Boolean(sent)) => (value == sent).into(),
            (Self::Text(phrase), Subject::Text(text, _)) => phrase.equals(text),
            (Self::Number(number), subject) => subject.number().map_or(Truth::Unknown, |value| {
                (value.cmp(number) == Ordering::Equal).into()
            }),
            _ => Truth::Unknown,
        }
    }

    /// A request's value that equals it.
    pub(super) fn as_subject(&self) -> Subject<'_> {
        match self {
            Self::Boolean(value) => Subject::Boolean(*value),
            Self::Number(number) => Subject::Number(number.clone()),
            Self::Text(phrase) => Subject::Text(
                super::text::Text::new(&phrase.written),
                std::cell::OnceCell::new(),
            ),
        }
    }
}

impl Relation {
    pub(super) fn holds(self, order: Ordering) -> bool {
        match self {
            Self::LessThan => order.is_lt(),
            Self::AtMost => order.is_le(),
            Self::AtLeast => order.is_ge(),
            Self::MoreThan => order.is_gt(),
        }
    }
}
