//! What the agent does with an approval.

use crate::values::Timestamp;

/// The execution of an approved action. Everything after `Executing` is reported by the agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Execution {
    /// Not claimed yet.
    Awaited,
    /// Claimed; the action is running.
    Executing {
        /// When it was claimed.
        at: Timestamp,
        /// The nonce of the claim.
        nonce: String,
    },
    /// Reported as successful.
    Executed {
        /// When it was reported.
        at: Timestamp,
        /// The nonce of the claim.
        nonce: String,
    },
    /// Reported as failed.
    Failed {
        /// When it was reported.
        at: Timestamp,
        /// The nonce of the claim.
        nonce: String,
        /// The agent's error text.
        error: Option<String>,
    },
    /// No outcome was reported in time.
    Unknown {
        /// When that was recorded.
        at: Timestamp,
        /// The nonce of the claim.
        nonce: String,
    },
    /// Not claimed in time.
    Lapsed {
        /// The end of the time to claim.
        at: Timestamp,
    },
}

impl Execution {
    /// The word in rows and answers; `None` until the approval is claimed or lapses.
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
