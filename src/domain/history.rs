//! The history of a request.

use crate::values::word::words;
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
        /// One of several votes.
        VotedToApprove,
        VotedToReject,
        /// More people were asked, since a stage stayed open.
        Escalated,
        /// An approver handed their seat over.
        HandedOver,
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

impl EventKind {
    /// Whether it is a vote of a plan that keeps votes: the history has one event for each.
    pub(super) fn is_vote(self) -> bool {
        matches!(self, Self::VotedToApprove | Self::VotedToReject)
    }
}
