//! What differs from the requests that people approved.

use super::past::PastDecision;
use crate::values::Decimal;

/// A part of a request that differs from that of the requests that people approved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    pub part: Part,
    /// The number of approvals that it was compared with.
    pub compared: usize,
    pub what: Deviation,
}

/// A part of a request that is compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// The parameter at a pointer.
    Parameter(String),
    /// How many items the list at a pointer has.
    Length(String),
    /// Which values under names that suggest a secret there are.
    Secrets,
    /// The person on whose behalf the agent acts, if there is one.
    OnBehalfOf(Option<String>),
}

/// How a part differs.
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
    /// A number below all earlier ones, and the smallest of them, if the reader may see it.
    Smaller(Decimal, Option<Decimal>),
    /// Each earlier request had this parameter, and this one has not.
    MissingParameter,
    /// Each earlier request had a value there that this one has not, as in a longer list.
    MissingValue,
}

impl Finding {
    /// Of the parameter at a pointer.
    pub(super) fn new(pointer: &str, past: &[&PastDecision], what: Deviation) -> Self {
        Self {
            part: Part::Parameter(pointer.to_owned()),
            compared: past.len(),
            what,
        }
    }

    /// The pointer of the parameter that it is about.
    pub(super) fn pointer(&self) -> Option<&str> {
        match &self.part {
            Part::Parameter(pointer) => Some(pointer),
            Part::Length(_) | Part::Secrets | Part::OnBehalfOf(_) => None,
        }
    }
}

impl Deviation {
    /// Whether it is nothing out of the ordinary.
    pub fn is_usual(&self) -> bool {
        matches!(self, Self::NewValue { is_usual: true })
    }
}
