//! What a pointer names in the parameters of a request.

use std::cell::OnceCell;

use serde_json::{Number, Value};

use super::text::Text;
use crate::values::Decimal;

/// A value of a request, as conditions look at it.
#[derive(Debug)]
pub(super) enum Subject<'a> {
    Missing,
    Null,
    Boolean(bool),
    Number(Decimal),
    /// A text, and the number that it is, if it is one.
    Text(Text<'a>, OnceCell<Option<Decimal>>),
    List,
    Object,
}

impl<'a> Subject<'a> {
    pub(super) fn new(value: Option<&'a Value>) -> Self {
        match value {
            None => Self::Missing,
            Some(Value::Null) => Self::Null,
            Some(Value::Bool(value)) => Self::Boolean(*value),
            Some(Value::Number(number)) => exact(number).map_or(Self::List, Self::Number),
            Some(Value::String(text)) => Self::Text(Text::new(text), OnceCell::new()),
            Some(Value::Array(_)) => Self::List,
            Some(Value::Object(_)) => Self::Object,
        }
    }

    /// The number that it is, also in a text.
    pub(super) fn number(&self) -> Option<&Decimal> {
        match self {
            Self::Number(number) => Some(number),
            Self::Text(text, number) => number.get_or_init(|| Decimal::parse(text.sent)).as_ref(),
            _ => None,
        }
    }
}

/// A number of strict JSON is the shortest that is the same double, so its text is exact.
fn exact(number: &Number) -> Option<Decimal> {
    Decimal::parse(&number.to_string())
}
