//! What of a gate's settings its policy depends on.

use crate::values::AllowList;

#[derive(Clone, Debug)]
pub struct Surroundings {
    /// The operator's list of approvers.
    pub allowed: AllowList,
    /// Whether sign-in is set up.
    pub sign_in_configured: bool,
    /// Whether an agent can ask only under its own name.
    pub names_bound: bool,
    /// Whether the gate is for local development.
    pub development: bool,
}
