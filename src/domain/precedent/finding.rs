//! What differs from the requests that people approved.

use super::past::PastDecision;
use crate::values::Decimal;

/// A parameter that differs from those of the requests that people approved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    pub pointer: String,
    /// The number of approvals whose parameters it was compared with.
    pub compared: usize,
    pub what: Deviation,
}

/// How a parameter differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Deviation {
    /// No earlier request had such a parameter.
    NewParameter,
    /// No earlier request had this value.
    NewValue {
        /// Whether each earlier request had one of its own, as with the number of an invoice.
        is_usual: bool,
    },
    /// A number beyond all earlier ones, and the largest of them, if the reader may see it.
    Larger(Decimal, Option<Decimal>),
    /// The same below all earlier ones.
    Smaller(Decimal, Option<Decimal>),
    /// Each earlier request had this parameter, and this one has not.
    MissingParameter,
    /// Each earlier request had a value there that this one has not, as in a longer list.
    MissingValue,
}

impl Finding {
    pub(super) fn new(pointer: &str, past: &[&PastDecision], what: Deviation) -> Self {
        Self {
            pointer: pointer.to_owned(),
            compared: past.len(),
            what,
        }
    }
}

impl Deviation {
    /// Whether it is nothing out of the ordinary.
    pub fn is_usual(&self) -> bool {
        matches!(self, Self::NewValue { is_usual: true })
    }
}
