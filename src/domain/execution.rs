//! The execution of an approved action, from the claim to the reported outcome.

use crate::values::Timestamp;

/// The execution of an approved action. `Executed` and `Failed` are what the agent reported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Execution {
    /// Not claimed yet.
    Awaited,
    /// Claimed; the action is running.
    Executing { at: Timestamp, nonce: String },
    /// Reported as successful.
    Executed { at: Timestamp, nonce: String },
    /// Reported as failed.
    Failed {
        at: Timestamp,
        nonce: String,
        error: Option<String>,
    },
    /// No outcome was reported in time.
    Unknown { at: Timestamp, nonce: String },
    /// Not claimed in time.
    Lapsed { at: Timestamp },
}

impl Execution {
    /// The word in rows and responses; `None` until the approval is claimed or lapses.
    pub fn word(&self) -> Option<&'static str> {
        match self {
            Self::Awaited => None,
            Self::Executing { .. } => Some("Executing"),
            Self::Executed { .. } => Some("Executed"),
            Self::Failed { .. } => Some("ExecutionFailed"),
            Self::Unknown { .. } => Some("ExecutionUnknown"),
            Self::Lapsed { .. } => Some("Lapsed"),
        }
    }
}
