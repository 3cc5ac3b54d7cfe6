//! The stored state of a request.

use super::decision::Decision;
use super::execution::Execution;
use crate::values::Timestamp;
use crate::values::word::words;

words! {
    /// The names of the states.
    pub enum Status {
        Pending,
        Approved,
        Rejected,
        Timeout,
        Cancelled,
        Undeliverable,
    }
}

/// The state of a request, with the data that only that state has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// No decision yet.
    Pending,
    /// An approver approved it.
    Approved {
        decision: Decision,
        /// From this moment on the approval can no longer be claimed.
        run_by: Timestamp,
        execution: Execution,
    },
    /// An approver rejected it.
    Rejected(Decision),
    /// The deadline passed without a decision.
    Timeout { at: Timestamp },
    /// The agent withdrew it.
    Cancelled { at: Timestamp },
    /// Delivery to every approver failed permanently.
    Undeliverable { at: Timestamp },
}

impl State {
    /// The name of the stored state; ignores the time.
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
