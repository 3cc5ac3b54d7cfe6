//! The stored state of a request.

use super::decision::Decision;
use super::execution::Execution;
use super::word::words;
use crate::values::Timestamp;

words! {
    /// The names of the states.
    #[expect(missing_docs, reason = "they are the states")]
    pub enum Status {
        Pending,
        Approved,
        Rejected,
        Timeout,
        Cancelled,
        Undeliverable,
    }
}

/// The state of a request, with the facts that exist only in that state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// No decision yet.
    Pending,
    /// An approver approved it.
    Approved {
        /// The decision.
        decision: Decision,
        /// From this moment the approval can no longer be claimed.
        run_by: Timestamp,
        /// What the agent did with it.
        execution: Execution,
    },
    /// An approver rejected it.
    Rejected(Decision),
    /// The deadline passed without a decision.
    Timeout {
        /// The deadline.
        at: Timestamp,
    },
    /// The agent withdrew it.
    Cancelled {
        /// When.
        at: Timestamp,
    },
    /// Delivery to every approver failed permanently.
    Undeliverable {
        /// When that was found.
        at: Timestamp,
    },
}

impl State {
    /// Its name, without regard to the clock.
    pub fn status(&self) -> Status {
        match self {
            Self::Pending => Status::Pending,
            Self::Approved { .. } => Status::Approved,
            Self::Rejected(_) => Status::Rejected,
            Self::Timeout { .. } => Status::Timeout,
            Self::Cancelled { .. } => Status::Cancelled,
            Self::Undeliverable { .. } => Status::Undeliverable,
        }
    }
}
