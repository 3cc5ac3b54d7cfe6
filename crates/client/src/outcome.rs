use std::fmt;

use human_oversight_protocol::parameters::ParametersError;
use human_oversight_protocol::types::{Approval, Deliverable, ExecutionStatus, Status};

use crate::error::Error;

/// The outcome of an action behind the gate.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum Outcome<T> {
    /// A person approved, and the action ran: its return value.
    Executed(T),
    /// The action did not run.
    Refused(Refusal),
}

impl<T> Outcome<T> {
    /// The action's return value, or `refusal_value` if it did not run.
    pub fn executed_or(self, refusal_value: T) -> T {
        match self {
            Self::Executed(value) => value,
            Self::Refused(_) => refusal_value,
        }
    }

    /// Maps the action's return value.
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Outcome<U> {
        match self {
            Self::Executed(value) => Outcome::Executed(change(value)),
            Self::Refused(refusal) => Outcome::Refused(refusal),
        }
    }

    /// The action's return value, or why it did not run.
    ///
    /// # Errors
    /// The refusal.
    pub fn into_result(self) -> Result<T, Refusal> {
        match self {
            Self::Executed(value) => Ok(value),
            Self::Refused(refusal) => Err(refusal),
        }
    }
}

/// Why an action did not run. Its text is suitable for a model.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Refusal {
    /// The kind of refusal.
    pub reason: Reason,
    /// The comment of the person who rejected.
    pub comment: Option<String>,
    /// The address of the person who rejected.
    pub by: Option<String>,
    /// For developers and logs: what happened, where it was not a rejection.
    pub detail: Option<String>,
}

/// The kinds of refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// A person rejected.
    Rejected,
    /// No decision in time, or the approval was not claimed in time.
    Timeout,
    /// No approver can be reached by mail.
    Undeliverable,
    /// The request was withdrawn.
    Cancelled,
    /// The approval was claimed before, by this process or another: the action may have run.
    Used,
    /// The operator has paused operations. This is not final: after the operator resumes, the same request can
    /// be claimed with its stored handle, until its approval lapses.
    Paused,
    /// The gate could not be reached, or its response is unknown to this version.
    Unavailable,
    /// The request is invalid: the gate or this client does not accept it.
    Invalid,
    /// The gate responded, but without proof of an approval of exactly this.
    Unverified,
}

impl Refusal {
    fn new(reason: Reason, detail: Option<String>) -> Self {
        Self {
            reason,
            comment: None,
            by: None,
            detail,
        }
    }

    pub(crate) fn invalid(error: impl fmt::Display) -> Self {
        Self::new(Reason::Invalid, Some(error.to_string()))
    }

    pub(crate) fn unverified(what: impl fmt::Display) -> Self {
        Self::new(Reason::Unverified, Some(what.to_string()))
    }

    pub(crate) fn lapsed() -> Self {
        Self::new(
            Reason::Timeout,
            Some("the approval lapsed before it was claimed".to_owned()),
        )
    }

    pub(crate) fn from_status(approval: &Approval) -> Self {
        let status = format!("the gate's status is {:?}", approval.status);
        match approval.status {
            Status::Rejected => Self {
                comment: approval.comment.clone(),
                by: approval.approver.clone(),
                ..Self::new(Reason::Rejected, None)
            },
            // No decision, because no approver had been notified.
            Status::Timeout if approval.deliverable == Deliverable::None => {
                let detail = "no mail could be sent before the deadline".to_owned();
                Self::new(Reason::Undeliverable, Some(detail))
            }
            Status::Timeout => Self::new(Reason::Timeout, None),
            Status::Undeliverable => Self::new(Reason::Undeliverable, None),
            Status::Cancelled => Self::new(Reason::Cancelled, None),
            Status::Approved => match approval
                .execution
                .as_ref()
                .map(|execution| execution.status)
            {
                Some(ExecutionStatus::Lapsed) => Self::lapsed(),
                execution => Self::new(Reason::Used, Some(format!("its execution: {execution:?}"))),
            },
            // Pending, or a status that this version does not know.
            _ => Self::new(Reason::Unavailable, Some(status)),
        }
    }
}

impl From<ParametersError> for Refusal {
    fn from(error: ParametersError) -> Self {
        Self::invalid(error)
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        let reason = match &error {
            Error::Problem(problem) if matches!(problem.status, 400 | 409 | 413 | 415 | 422) => {
                Reason::Invalid
            }
            Error::Problem(problem) if problem.kind.ends_with(":paused") => Reason::Paused,
            _ => Reason::Unavailable,
        };
        let mut detail = error.to_string();
        let mut source = std::error::Error::source(&error);
        while let Some(cause) = source {
            detail.push_str(&format!(": {cause}"));
            source = cause.source();
        }
        if let Error::Problem(problem) = &error {
            for field in &problem.errors {
                detail.push_str(&format!("; {} {}", field.pointer, field.detail));
            }
        }
        Self::new(reason, Some(detail))
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.reason {
            Reason::Rejected => {
                let by = self.by.as_deref().unwrap_or("an approver");
                write!(f, "Not run: rejected by {by}.")?;
                match &self.comment {
                    Some(comment) => write!(f, " Their reason: {comment}"),
                    None => Ok(()),
                }
            }
            Reason::Timeout => f.write_str("Not run: not approved, or not used, in time."),
            Reason::Undeliverable => f.write_str("Not run: no approver could be reached by mail."),
            Reason::Cancelled => f.write_str("Not run: the request was withdrawn."),
            Reason::Used => f.write_str(
                "Not run again: the approval was used before, and the action may have run.",
            ),
            Reason::Paused => f.write_str("Not run: the operator has paused operations."),
            Reason::Unavailable => f.write_str("Not run: no approval could be obtained."),
            Reason::Invalid => f.write_str("Not run: the gate did not take the request."),
            Reason::Unverified => f.write_str("Not run: the approval could not be verified."),
        }
    }
}

impl std::error::Error for Refusal {}
