//! What is said of an id that nothing has, on the store and through the gate.

pub(super) const NO_REQUEST: &str = "no request has this id";
pub(super) const NO_REJECTION: &str =
    "no rejection of this request is kept: it takes the id that the refusal names";
pub(super) const NO_GRANT: &str = "no standing grant has this id";
