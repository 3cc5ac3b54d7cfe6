//! The history of a request.

use super::word::words;
use crate::values::{Address, Timestamp};

/// One entry of the history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// When it happened.
    pub at: Timestamp,
    /// What happened.
    pub what: EventKind,
    /// The approver who did it, if one did.
    pub by: Option<Address>,
}

words! {
    /// What can happen.
    #[expect(missing_docs, reason = "the names say it")]
    pub enum EventKind {
        Submitted,
        Approved,
        Rejected,
        TimedOut,
        Cancelled,
        Undeliverable,
        Locked,
        AnsweredLate,
        Claimed,
        Lapsed,
        Executed,
        ExecutionFailed,
        ExecutionUnknown,
        /// The outcome was reported after it had been recorded as unknown.
        ReportedLate,
    }
}
