use std::fmt;

use human_oversight_protocol::parameters::ParametersError;
use human_oversight_protocol::types::{
    Approval, Decider, Deliverable, ExecutionStatus, Problem, Status,
};

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

/// Why an action did not run. Its text is for a model, and says whether to try again; the
/// [front page](crate#what-a-model-reads) lists the texts.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Refusal {
    /// The kind of refusal.
    pub reason: Reason,
    /// The comment of the person who rejected, or the reason of the policy that denies.
    pub comment: Option<String>,
    /// The address of the person who rejected.
    pub by: Option<String>,
    /// For developers and logs: what happened, where it was not a rejection. Part of the text only for
    /// [`Reason::Invalid`].
    pub detail: Option<String>,
    /// The rules of the operator's policy that applied, if any did.
    pub rules: Vec<String>,
    /// For [`Reason::Used`]: what became of the action, as far as the gate knows.
    pub execution: Option<ExecutionStatus>,
    request: Option<Box<RefusedRequest>>,
    /// The gate was not trusted, before anyone was asked.
    is_untrusted: bool,
}

/// The request that ended in a refusal.
#[derive(Clone, Debug, PartialEq, Eq)]
struct RefusedRequest {
    id: String,
    question: Option<String>,
}

/// The kinds of refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// A person rejected.
    Rejected,
    /// The operator's policy denies the action. No person was asked.
    Denied,
    /// An approver rejected the same before, and the operator's policy refuses what was rejected. No person
    /// was asked.
    RejectedBefore,
    /// No decision in time, or the approval was not claimed in time.
    Timeout,
    /// No approver can be reached by mail.
    Undeliverable,
    /// The request was withdrawn.
    Cancelled,
    /// The approval was claimed before, by this process or another.
    Used,
    /// The approval was revoked before it was claimed.
    Revoked,
    /// The operator has paused operations. This is not final: after the operator resumes, the same request can
    /// be claimed with its stored handle, until its approval lapses.
    Paused,
    /// No one was asked: the gate did not respond, for 30 seconds, or was not available.
    Unreachable,
    /// No one was asked: the settings of client or gate are wrong (the address, the key, the certificate).
    Misconfigured,
    /// The gate became unavailable, takes no more requests now, or its response is unknown to this version.
    /// People may have been asked.
    Unavailable,
    /// The request is invalid: the gate or this client does not accept it.
    Invalid,
    /// The gate responded, but without proof of an approval of exactly this.
    Unverified,
}

impl Refusal {
    /// A refusal of this kind, without more: for the tests of an agent.
    pub fn new(reason: Reason) -> Self {
        Self {
            reason,
            comment: None,
            by: None,
            detail: None,
            rules: Vec::new(),
            execution: None,
            request: None,
            is_untrusted: false,
        }
    }

    /// The id of the request that ended so, if there is one.
    pub fn id(&self) -> Option<&str> {
        self.request.as_ref().map(|request| request.id.as_str())
    }

    /// What the person who rejected asks for: a request that is changed so may be approved. Submit it with
    /// [`Action::supersedes`](crate::Action::supersedes) and [`Refusal::id`].
    pub fn question(&self) -> Option<&str> {
        self.request.as_ref()?.question.as_deref()
    }

    /// Whether the gate was not asked at all, because of what it is, or of how it can be reached.
    pub fn no_one_was_asked(&self) -> bool {
        self.is_untrusted || matches!(self.reason, Reason::Misconfigured | Reason::Unreachable)
    }

    fn with_detail(reason: Reason, detail: impl Into<String>) -> Self {
        Self {
            detail: Some(detail.into()),
            ..Self::new(reason)
        }
    }

    pub(crate) fn invalid(error: impl fmt::Display) -> Self {
        Self::with_detail(Reason::Invalid, error.to_string())
    }

    pub(crate) fn unverified(what: impl fmt::Display) -> Self {
        Self::with_detail(Reason::Unverified, what.to_string())
    }

    pub(crate) fn from_status(approval: &Approval) -> Self {
        let rules = approval.policy.as_ref().map(|policy| policy.rules.clone());
        Self {
            rules: rules.unwrap_or_default(),
            request: Some(Box::new(RefusedRequest {
                id: approval.id.clone(),
                question: approval.revise.as_ref().map(|it| it.question.clone()),
            })),
            ..Self::from_status_alone(approval)
        }
    }

    fn from_status_alone(approval: &Approval) -> Self {
        match approval.status {
            Status::Rejected if approval.decider == Some(Decider::Policy) => Self {
                comment: approval.comment.clone(),
                ..Self::new(Reason::Denied)
            },
            Status::Rejected => Self {
                comment: approval.comment.clone(),
                by: approval.approver.clone(),
                ..Self::new(Reason::Rejected)
            },
            // No decision, because no approver had been notified.
            Status::Timeout if approval.deliverable == Deliverable::None => {
                let detail = "no mail could be sent before the deadline";
                Self::with_detail(Reason::Undeliverable, detail)
            }
            Status::Timeout => Self::new(Reason::Timeout),
            Status::Undeliverable => Self::new(Reason::Undeliverable),
            Status::Cancelled => Self::new(Reason::Cancelled),
            Status::Approved => Self::from_execution(approval),
            Status::Pending => {
                let detail = "the request is still pending at the gate, and its deadline has passed here: \
                              this machine's clock may be ahead of the gate's";
                Self::with_detail(Reason::Unavailable, detail)
            }
            // One that this version does not know.
            status => {
                let detail = format!("the gate's status is {status:?}");
                Self::with_detail(Reason::Unavailable, detail)
            }
        }
    }

    /// Why an approval cannot be claimed.
    fn from_execution(approval: &Approval) -> Self {
        let execution = approval.execution.as_ref().map(|it| it.status);
        match execution {
            Some(ExecutionStatus::Lapsed) => {
                Self::with_detail(Reason::Timeout, "the approval lapsed before it was claimed")
            }
            Some(ExecutionStatus::Revoked) => Self::new(Reason::Revoked),
            execution => Self {
                execution,
                ..Self::with_detail(Reason::Used, format!("its execution: {execution:?}"))
            },
        }
    }

    /// The gate refused a claim with a 409, and the request's state after it is this.
    pub(crate) fn after_conflict(problem: Box<Problem>, approval: &Approval) -> Self {
        let refusal = Self::from_status(approval);
        if approval.status != Status::Approved || approval.execution.is_some() {
            return refusal;
        }
        // Nothing was claimed, and the gate's own words say what is amiss: the standing grant was ended, for
        // example.
        let Self { reason, detail, .. } = Self::from(Error::Problem(problem));
        Self {
            reason,
            detail,
            ..refusal
        }
    }

    /// The refusal for a call that failed before the gate can have accepted a request.
    pub fn before_submit(error: Error) -> Self {
        let reason = match &error {
            Error::Unreachable { .. } | Error::Unavailable { .. } => Reason::Unreachable,
            Error::Tls { .. } | Error::NoToken(_) | Error::InvalidResponse(_) => {
                Reason::Misconfigured
            }
            Error::Untrusted(_) => {
                return Self {
                    is_untrusted: true,
                    ..error.into()
                };
            }
            _ => return error.into(),
        };
        Self::with_detail(reason, error.with_causes())
    }

    /// A call failed when the gate had accepted a request, or may have.
    pub(crate) fn after_submit(error: Error) -> Self {
        let refusal = Self::from(error);
        let reason = match refusal.reason {
            Reason::Misconfigured => Reason::Unavailable,
            reason => reason,
        };
        Self { reason, ..refusal }
    }
}

impl From<ParametersError> for Refusal {
    fn from(error: ParametersError) -> Self {
        Self::invalid(error)
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        let (reason, mut detail) = match &error {
            Error::Problem(problem) if problem.kind.ends_with(":rejected-before") => {
                (Reason::RejectedBefore, problem.detail.clone())
            }
            // What an agent can act on, without the title.
            Error::Problem(problem) if matches!(problem.status, 400 | 409 | 413 | 415 | 422) => {
                (Reason::Invalid, problem.detail.clone())
            }
            // No later call finds it.
            Error::Problem(problem) if problem.kind.ends_with(":not-found") => {
                let why = "the gate has no such request of this caller: submit it first, with the key or identity \
                           that resumes it";
                (Reason::Invalid, why.to_owned())
            }
            Error::Problem(problem) if problem.kind.ends_with(":paused") => {
                (Reason::Paused, error.to_string())
            }
            Error::Problem(problem) if problem.kind.ends_with(":forbidden") => {
                (Reason::Misconfigured, error.to_string())
            }
            Error::Settings(_) => (Reason::Misconfigured, error.to_string()),
            Error::Untrusted(_) => (Reason::Unverified, error.to_string()),
            _ => (Reason::Unavailable, error.with_causes()),
        };
        if let Error::Problem(problem) = &error {
            for field in &problem.errors {
                let field = format!("{} {}", field.pointer, field.detail);
                if !detail.contains(&field) {
                    detail.push_str(&format!("; {field}"));
                }
            }
        }
        Self::with_detail(reason, detail)
    }
}

/// So that a function that returns `Result<_, String>` can be gated.
impl From<Refusal> for String {
    fn from(refusal: Refusal) -> Self {
        refusal.to_string()
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.reason {
            Reason::Rejected => {
                let by = self.by.as_deref().unwrap_or("an approver");
                write!(f, "Not run: rejected by {by}")?;
                match self.question() {
                    Some(question) => write!(
                        f,
                        ", who asks for changes. Change the request accordingly, and try again: {question}"
                    )?,
                    None => f.write_str(".")?,
                }
                return match &self.comment {
                    Some(comment) => write!(f, " Their reason: {comment}"),
                    None => Ok(()),
                };
            }
            Reason::Denied => {
                f.write_str("Not run: the operator's policy denies this")?;
                if let Some(rule) = self.rules.first() {
                    write!(f, " (rule {rule})")?;
                }
                f.write_str(". Do not try again.")?;
                return match &self.comment {
                    Some(reason) => write!(f, " The policy's reason: {reason}"),
                    None => Ok(()),
                };
            }
            Reason::Invalid => {
                f.write_str("Not run: the request is invalid. Correct it before you try again.")?;
                return match &self.detail {
                    Some(detail) => write!(f, " {detail}"),
                    None => Ok(()),
                };
            }
            Reason::RejectedBefore => {
                "Not run: an approver rejected the same before. Do not try again."
            }
            Reason::Timeout => {
                "Not run: not approved, or not used, in time. Try again only if it is still needed."
            }
            Reason::Undeliverable => {
                "Not run: no approver could be reached by mail. Do not try again: tell the operator."
            }
            Reason::Cancelled => {
                "Not run: the request was withdrawn. Try again only if it is still needed."
            }
            Reason::Used => match self.execution {
                Some(ExecutionStatus::Executed) => {
                    "Not run again: the approval was used before, and the action ran."
                }
                Some(ExecutionStatus::ExecutionFailed) => {
                    "Not run again: the approval was used before, and the action failed."
                }
                _ => {
                    "Not run again: the approval was used before, and the action may have run. Do not try \
                     again: find out first."
                }
            },
            Reason::Revoked => "Not run: the approval was revoked. Do not try again.",
            Reason::Paused => "Not run: the operator has paused operations. Try again later.",
            Reason::Unreachable => {
                "Not run: no one was asked, because the gate could not be reached. Try again later."
            }
            Reason::Misconfigured => {
                "Not run: no one was asked, because the connection to the gate is set up wrongly. Do not try \
                 again: tell the operator."
            }
            Reason::Unavailable => {
                "Not run: no approval could be obtained from the gate. Try again later."
            }
            Reason::Unverified => {
                "Not run: the approval could not be verified. Do not try again: tell the operator."
            }
        })
    }
}

impl std::error::Error for Refusal {}
