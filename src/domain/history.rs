//! The history of a request.

use super::word::words;
use crate::values::{Address, Timestamp};

/// One entry of the history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    pub at: Timestamp,
    pub what: EventKind,
    /// The approver who caused it, if one did.
    pub by: Option<Address>,
}

words! {
    /// The kinds of events.
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
        Revoked,
        Executed,
        ExecutionFailed,
        ExecutionUnknown,
        /// The outcome was reported after it had been recorded as unknown.
        ReportedLate,
    }
}
