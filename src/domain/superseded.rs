//! The earlier request whose place a request takes.

use super::approval::Approval;
use super::rejection::EarlierRejections;
use super::state::Status;
use crate::values::{ApprovalId, MAX_CLOCK_SKEW, Timestamp};

/// The earlier request, as far as it could be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Superseded {
    Known(Box<Approval>),
    /// Its row is no longer stored.
    Gone(ApprovalId),
    /// Its row could not be read, or cannot be trusted.
    Unreadable(ApprovalId),
}

/// What is known about the requests before one: those that its approvers should know.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Earlier {
    pub rejections: EarlierRejections,
    /// The request that it supersedes, if it names one.
    pub superseded: Option<Superseded>,
}

/// Why a request cannot be superseded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotSuperseded {
    /// There is none of this id, or it is another owner's.
    #[error("names no earlier request of this caller")]
    Unknown,
    #[error(
        "names a request that is {status}: only one that was rejected or withdrawn, has expired or could not be \
         delivered can be superseded",
        status = .0.word()
    )]
    NotOver(Status),
}

impl Approval {
    /// Checks that another request may take the place of this one: it ended without an approval.
    ///
    /// # Errors
    /// When it is pending, or was approved.
    pub fn check_superseded(&self, now: Timestamp) -> Result<(), NotSuperseded> {
        match self.status(now) {
            Status::Rejected | Status::Timeout | Status::Cancelled | Status::Undeliverable => {
                Ok(())
            }
            status @ (Status::Pending | Status::Approved) => Err(NotSuperseded::NotOver(status)),
        }
    }

    /// Whether this is the request that `later` was checked against. After a purge, its id may have been used again.
    pub fn is_before(&self, later: &Self) -> bool {
        self.request.requested_at <= later.request.requested_at + MAX_CLOCK_SKEW
    }
}
