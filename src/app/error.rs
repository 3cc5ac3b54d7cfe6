//! Why a use case failed.

use crate::azure::NotSignedIn;
use crate::domain::{Approval, Exhausted, NotRevocable, NotSuperseded, Status};
use crate::keys::NoKeyInForce;
use crate::policy::PlanFault;
use crate::store::StoreError;
use crate::values::{ApprovalId, Timestamp};

/// A failed use case. No text repeats the caller's input.
#[derive(Clone, Debug)]
pub enum Error {
    /// The caller may not do this; the text is for the caller.
    Forbidden(&'static str),
    /// The caller must sign in first.
    SignIn(NotSignedIn),
    /// The request does not exist.
    NotFound,
    /// The request exists, and this caller may not know it. The cause, which is for the log, if its row cannot
    /// be used either.
    Hidden(Option<Box<Self>>),
    /// The caller is an approver of the request who is no longer on the operator's list.
    Unlisted,
    /// The operator has paused operations since then.
    Paused(Timestamp),
    /// The state of the request does not allow it.
    Conflict(ConflictReason),
    /// The request names no approvers, and the policy leaves the choice to the agent; and why people must decide, where
    /// that differs from one request to the next.
    ApproversMissing(Option<String>),
    /// The policy wants to know on whose behalf the agent acts.
    PrincipalMissing,
    /// The policy has no such channel that may call this agent back.
    NoCallback,
    /// The policy asks for more people than there are, or than a request can have.
    Plan(PlanFault),
    /// An approver rejected what the request asks again, and a rule of the policy refuses that.
    RejectedBefore {
        /// The request that was rejected.
        id: ApprovalId,
        at: Timestamp,
    },
    /// The earlier request that the request names cannot be superseded.
    NotSuperseded(NotSuperseded),
    /// The agent has reached this limit of open requests.
    TooManyOpen(usize),
    /// The caller has this many calls that wait, the maximum.
    TooManyWaits(usize),
    /// The owner has asked people too often.
    Exhausted(Exhausted),
    /// The stored row was changed outside the gate. The text is for the log.
    Integrity(String),
    /// A row of the standing table on which the call depends was changed outside the gate. The text is for the log.
    Untrusted(String),
    /// A failure of the store, transient or until the operator acts. The text is for the log.
    Unavailable(String),
    /// No receipt key is in force. The text is for the log.
    Unsigned(String),
    /// A bug in the gate.
    Bug,
}

/// Why the state of a request does not allow a call.
#[derive(Clone, Debug)]
pub enum ConflictReason {
    /// Its status, and its execution if it is approved.
    CurrentState(Status, Option<&'static str>),
    /// The same id was used by another owner, or for a request with other content.
    OtherContent,
    /// The approval was granted to another claim than the one whose outcome is reported.
    OtherClaim,
    /// A person whose approval counts may no longer approve.
    ApproverNotAllowed,
    /// The standing grant that approved was ended before its time.
    GrantEnded,
    /// The standing grant that approved is in no row that the gate's keys name.
    GrantGone,
    /// It has no approval to revoke.
    NotRevocable(NotRevocable),
    /// It belongs to the legacy Logic App.
    Legacy,
}

impl Error {
    /// A conflict with the state at the time of the attempt.
    pub(super) fn invalid_transition(approval: &Approval, now: Timestamp) -> Self {
        let execution = approval.execution(now).and_then(|it| it.word());
        Self::Conflict(ConflictReason::CurrentState(
            approval.status(now),
            execution,
        ))
    }

    /// An error of reading a part of the standing table on which the call depends.
    pub(super) fn without(part: &str, error: &StoreError) -> Self {
        let cause = format!("{part}: {error}");
        match error {
            StoreError::Damaged(_) | StoreError::GateIdDamaged(_) => Self::Untrusted(cause),
            _ => Self::Unavailable(cause),
        }
    }

    /// The cause, for the log.
    pub fn cause(&self) -> Option<&str> {
        match self {
            Self::Integrity(cause)
            | Self::Untrusted(cause)
            | Self::Unavailable(cause)
            | Self::Unsigned(cause) => Some(cause),
            Self::SignIn(why) => Some(why.word()),
            Self::Hidden(Some(cause)) => cause.cause(),
            _ => None,
        }
    }
}

impl From<NoKeyInForce> for Error {
    fn from(error: NoKeyInForce) -> Self {
        Self::Unsigned(error.to_string())
    }
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::NotFound => Self::NotFound,
            StoreError::Legacy => Self::Conflict(ConflictReason::Legacy),
            StoreError::Damaged(_) => Self::Integrity(error.to_string()),
            StoreError::GateIdDamaged(_) => Self::Untrusted(error.to_string()),
            StoreError::AlreadyExists
            | StoreError::OpenLimit
            | StoreError::Conflict
            | StoreError::TooLarge { .. }
            | StoreError::LaterVersion(_)
            | StoreError::NeedsVersion2
            | StoreError::OtherGate(_)
            | StoreError::GateId { .. }
            | StoreError::GateIdOfOtherKey(_)
            | StoreError::StandingLost
            | StoreError::Unavailable(_) => Self::Unavailable(error.to_string()),
        }
    }
}
