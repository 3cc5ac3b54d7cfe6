//! The field of a form that its message is about.

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    Code,
    /// The comment on an approval, or the words of a rejection.
    Words,
    /// The reason from the list.
    Preset,
    /// The time or the uses of a standing grant.
    Grant,
    Receiver,
    HandOverReason,
}

/// The attributes of a field: those of an error if it is the one at fault.
pub(super) fn mark(field: Field, fault: Option<Field>) -> &'static str {
    if fault == Some(field) {
        " aria-invalid=\"true\" aria-describedby=\"problem\""
    } else {
        ""
    }
}
