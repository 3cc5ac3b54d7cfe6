//! All errors of a call, and their status codes and problem documents.

use std::time::Duration;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use human_oversight_protocol::types::{FieldError, Problem};

use crate::app::{self, ConflictReason};
use crate::azure::{NotAnAgent, NotSignedIn};
use crate::domain::{Bucket, Exhausted};
use crate::policy::PlanFault;
use crate::values::{ApprovalId, Timestamp};

/// A failed call. The texts are for the caller unless stated otherwise, and never repeat the caller's input.
#[derive(Clone, Debug)]
pub(super) enum Error {
    BadRequest(String),
    Forbidden(&'static str),
    /// The caller must sign in first.
    SignIn(NotSignedIn),
    /// No agent is identified, where the route takes an identity.
    NotAnAgent(NotAnAgent),
    /// The resource does not exist, or is hidden from this caller. The text is for the log.
    NotFound(&'static str),
    /// Not found, because of an error that this caller may not know. The error is for the log.
    Hidden(Box<Self>),
    /// The approver is no longer on the operator's list.
    Unlisted,
    MethodNotAllowed,
    /// The body did not arrive in time.
    TooSlow,
    /// The operator has paused operations since then.
    Paused(Timestamp),
    /// The state of the request does not allow it.
    Conflict(ConflictReason),
    /// An approver rejected what the request asks again, and a rule of the policy refuses that.
    RejectedBefore {
        id: ApprovalId,
        at: Timestamp,
    },
    /// The agent has reached this limit of open requests.
    TooManyOpen(usize),
    /// The caller has this many calls that wait, the maximum.
    TooManyWaits(usize),
    /// The owner has asked people too often.
    Exhausted(Exhausted),
    /// The policy asks for more people than there are, or than a request can have.
    Plan(PlanFault),
    TooLarge(String),
    MediaType(&'static str),
    /// The body is compressed.
    Encoding,
    Invalid(Vec<FieldError>),
    /// The stored row was changed outside the gate. The text is for the log.
    Integrity(String),
    /// A row of the standing table on which the call depends was changed outside the gate. The text is for the log.
    Untrusted(String),
    /// A failure of the store, transient or until the operator acts. The text is for the log.
    Unavailable(String),
    /// A bug in the gate.
    Bug,
}

impl Error {
    pub(super) fn status(&self) -> StatusCode {
        self.kind().0
    }

    pub(super) fn title(&self) -> &'static str {
        self.kind().2
    }

    pub(super) fn problem(&self, invocation_id: &str) -> Problem {
        let (status, name, title) = self.kind();
        Problem {
            kind: format!("urn:human-oversight:problem:{name}"),
            title: title.to_owned(),
            status: status.as_u16(),
            detail: self.detail(),
            invocation_id: invocation_id.to_owned(),
            errors: self.fields().to_vec(),
        }
    }

    /// The fields that are invalid.
    pub(super) fn fields(&self) -> &[FieldError] {
        match self {
            Self::Invalid(errors) => errors,
            _ => &[],
        }
    }

    /// Status code, name of the problem type, and title.
    fn kind(&self) -> (StatusCode, &'static str, &'static str) {
        use StatusCode as S;
        match self {
            Self::BadRequest(_) => (S::BAD_REQUEST, "bad-request", "The request is malformed"),
            Self::Forbidden(_) | Self::NotAnAgent(_) | Self::Unlisted => {
                (S::FORBIDDEN, "forbidden", "The call is not allowed")
            }
            Self::Paused(_) => (S::FORBIDDEN, "paused", "Operations are paused"),
            Self::SignIn(_) => (S::FORBIDDEN, "sign-in", "Sign-in is required"),
            Self::NotFound(_) | Self::Hidden(_) => (S::NOT_FOUND, "not-found", "Not found"),
            Self::MethodNotAllowed => {
                (S::METHOD_NOT_ALLOWED, "method", "The method is not allowed")
            }
            Self::TooSlow => (
                S::REQUEST_TIMEOUT,
                "too-slow",
                "The request arrived too slowly",
            ),
            Self::Conflict(
                ConflictReason::ApproverNotAllowed
                | ConflictReason::GrantEnded
                | ConflictReason::GrantGone,
            ) => (
                S::CONFLICT,
                "approver_not_allowed",
                "The person who approved may no longer approve",
            ),
            Self::RejectedBefore { .. } => (
                S::CONFLICT,
                "rejected-before",
                "An approver rejected the same before",
            ),
            Self::Conflict(_) => (
                S::CONFLICT,
                "conflict",
                "The state of the request does not allow this",
            ),
            Self::TooManyWaits(_) => (
                S::TOO_MANY_REQUESTS,
                "too-many-waits",
                "The caller has too many calls that wait",
            ),
            Self::TooManyOpen(_) => (
                S::TOO_MANY_REQUESTS,
                "too-many",
                "The agent has too many open requests",
            ),
            Self::Exhausted(_) => (
                S::TOO_MANY_REQUESTS,
                "budget",
                "A budget of the caller is used up",
            ),
            Self::Plan(PlanFault::TooLarge { .. }) => (
                S::UNPROCESSABLE_ENTITY,
                "plan_too_large",
                "The policy asks for more than one request can have",
            ),
            Self::Plan(_) => (
                S::UNPROCESSABLE_ENTITY,
                "quorum_unsatisfiable",
                "The approvals that the policy asks for cannot be given",
            ),
            Self::TooLarge(_) => (
                S::PAYLOAD_TOO_LARGE,
                "too-large",
                "The request is too large",
            ),
            Self::MediaType(_) => (
                S::UNSUPPORTED_MEDIA_TYPE,
                "media-type",
                "The media type is not supported",
            ),
            Self::Encoding => (
                S::UNSUPPORTED_MEDIA_TYPE,
                "encoding",
                "The encoding of the body is not supported",
            ),
            Self::Invalid(_) => (S::UNPROCESSABLE_ENTITY, "invalid", "The request is invalid"),
            Self::Integrity(_) => (
                S::INTERNAL_SERVER_ERROR,
                "integrity",
                "The stored request cannot be trusted",
            ),
            Self::Unavailable(_) | Self::Untrusted(_) => (
                S::SERVICE_UNAVAILABLE,
                "unavailable",
                "The gate is temporarily unavailable",
            ),
            Self::Bug => (
                S::INTERNAL_SERVER_ERROR,
                "bug",
                "Internal error in the gate",
            ),
        }
    }

    pub(super) fn detail(&self) -> String {
        match self {
            Self::BadRequest(detail) | Self::TooLarge(detail) => detail.clone(),
            Self::Forbidden(detail) | Self::MediaType(detail) => (*detail).to_owned(),
            Self::Encoding => "Send the body without a Content-Encoding.".to_owned(),
            Self::NotAnAgent(why) => why.text().to_owned(),
            Self::Unlisted => {
                "This approver is no longer on the list of approvers (HO_ALLOWED_APPROVERS)."
                    .to_owned()
            }
            Self::SignIn(_) => "A person decides, signed in with a browser.".to_owned(),
            Self::NotFound(_) | Self::Hidden(_) => {
                "Check the address. An id that was never submitted looks the same as one that is not \
                 yours."
                    .to_owned()
            }
            Self::Paused(since) => format!(
                "The operator has paused them since {since}. Nothing was stored, but for the request of a call that \
                 waited. Open requests stay open: an approval can be claimed after the operator resumes, until it lapses."
            ),
            Self::MethodNotAllowed => "The header Allow lists the allowed methods.".to_owned(),
            Self::TooManyWaits(waits) => format!(
                "{waits} calls of this caller wait for a decision, the maximum. Nothing was \
                 stored and no email was sent. Ask without `wait`, or again when another wait has ended."
            ),
            Self::TooManyOpen(open) => format!(
                "{open} open requests of this caller for this agent wait for a decision, the maximum \
                 (HO_OPEN_LIMIT). Nothing was stored and no person was asked."
            ),
            Self::Exhausted(exhausted) => {
                let (setting, whose) = match exhausted.bucket {
                    Bucket::Recipient => ("HO_MAIL_BUDGET", "for one of these approvers"),
                    Bucket::Owner => ("HO_OWNER_BUDGET", "for all approvers together"),
                    Bucket::Policy => ("HO_POLICY_BUDGET", "for what the policy decides"),
                };
                format!(
                    "This caller's budget {whose} is used up ({setting}). No person was asked and nothing \
                     was stored. The next request fits in {} s.",
                    whole_seconds(exhausted.retry_after)
                )
            }
            Self::Plan(fault) => format!("Nothing was stored and no person was asked: {fault}."),
            Self::RejectedBefore { id, at } => format!(
                "An approver rejected what reads the same at {at} (request {id}), and the operator's policy refuses \
                 what was rejected. Do not submit it again: only the operator can allow it. Nothing was stored \
                 and no person was asked."
            ),
            Self::TooSlow => "Send the body within ten seconds.".to_owned(),
            Self::Conflict(reason) => conflict_detail(reason),
            Self::Invalid(errors) => match errors.as_slice() {
                // Names inside the parameters come from the caller.
                [one] if one.pointer.starts_with("/parameters/") => {
                    format!("Something in /parameters {}: see errors.", one.detail)
                }
                [one] if one.pointer.is_empty() => format!("The body {}.", one.detail),
                [one] => format!("{} {}.", one.pointer, one.detail),
                more => format!("{} fields are invalid: see errors.", more.len()),
            },
            Self::Integrity(_) => {
                "The stored request contradicts its own MAC or receipt, so it is no approval, \
                 whatever it says. Contact the gate's operator."
                    .to_owned()
            }
            Self::Untrusted(_) => {
                "A row that the gate needs for this cannot be trusted. Nothing is half-done, and nothing will be done until \
                 the gate's operator has mended it."
                    .to_owned()
            }
            Self::Unavailable(_) => {
                "Nothing is half-done. Retry the same call soon: if it was recorded after all, the \
                 response will say so (for submit: only with a correlationId of your own)."
                    .to_owned()
            }
            Self::Bug => "The gate's operator finds it in the log by the invocationId.".to_owned(),
        }
    }
}

fn conflict_detail(reason: &ConflictReason) -> String {
    match reason {
        ConflictReason::CurrentState(status, None) => format!("The request is {}.", status.word()),
        ConflictReason::CurrentState(status, Some(execution)) => format!(
            "The request is {}, and its execution {execution}.",
            status.word()
        ),
        ConflictReason::NotRevocable(why) => format!("Nothing was revoked: {why}."),
        ConflictReason::Legacy => {
            "The request belongs to the legacy Logic App and ended there: its row is for reports only."
                .to_owned()
        }
        ConflictReason::OtherContent => {
            "The correlationId is taken by another request for this agent. Use a new one.".to_owned()
        }
        ConflictReason::OtherClaim => {
            "The approval was granted to another claim than that of this nonce, which reports the outcome. Nothing \
             was stored."
                .to_owned()
        }
        ConflictReason::ApproverNotAllowed => {
            "A person whose approval counts may no longer approve: they are no longer on the operator's list \
             (HO_ALLOWED_APPROVERS), have another object id there, or approved without the sign-in that it demands now. \
             Nothing was stored: the approval can be claimed once the list allows them again, until it lapses."
                .to_owned()
        }
        ConflictReason::GrantEnded => {
            "The standing grant that approved this was ended: by its giver, the operator, a pause, or a rejection of the \
             same content. Submit it again, so that people are asked."
                .to_owned()
        }
        ConflictReason::GrantGone => {
            "The standing grant that approved this is no longer in force here: another one took its place, a link key \
             or the agent's keys were changed, or a backup was restored, which puts no grants back. Submit it again: \
             people are asked, or the other one approves it."
                .to_owned()
        }
    }
}

/// Rounded up: a call before then would be refused again.
fn whole_seconds(wait: Duration) -> u64 {
    wait.as_millis()
        .div_ceil(1_000)
        .try_into()
        .unwrap_or(u64::MAX)
        .max(1)
}

/// An error about one member of the body.
pub(super) fn invalid(pointer: &str, detail: impl Into<String>) -> Error {
    Error::Invalid(vec![FieldError {
        pointer: pointer.to_owned(),
        detail: detail.into(),
    }])
}

impl From<app::Error> for Error {
    fn from(error: app::Error) -> Self {
        match error {
            app::Error::Forbidden(detail) => Self::Forbidden(detail),
            app::Error::SignIn(why) => Self::SignIn(why),
            app::Error::NotFound => Self::NotFound("there is no such request"),
            app::Error::Hidden(None) => Self::NotFound(
                "the request is not this caller's: another key, or a link or sign-in of no approver",
            ),
            app::Error::Hidden(Some(error)) => Self::Hidden(Box::new((*error).into())),
            app::Error::Unlisted => Self::Unlisted,
            app::Error::Exhausted(exhausted) => Self::Exhausted(exhausted),
            app::Error::Paused(since) => Self::Paused(since),
            app::Error::Conflict(reason) => Self::Conflict(reason),
            app::Error::ApproversMissing(why) => {
                let since = why.map_or_else(String::new, |why| format!(", since {why}"));
                let detail = format!("is missing: people must decide this{since}");
                invalid("/approverEmails", detail)
            }
            app::Error::PrincipalMissing => invalid(
                "/onBehalfOf",
                "is missing: the policy wants to know on whose behalf the agent acts",
            ),
            app::Error::NoCallback => invalid(
                "/callback/channel",
                "is no channel that the policy lets this agent be called back by (callback_for)",
            ),
            app::Error::Plan(fault) => Self::Plan(fault),
            app::Error::RejectedBefore { id, at } => Self::RejectedBefore { id, at },
            app::Error::NotSuperseded(why) => invalid("/supersedes", why.to_string()),
            app::Error::TooManyOpen(open) => Self::TooManyOpen(open),
            app::Error::TooManyWaits(waits) => Self::TooManyWaits(waits),
            app::Error::Integrity(cause) => Self::Integrity(cause),
            app::Error::Untrusted(cause) => Self::Untrusted(cause),
            app::Error::Unavailable(cause) | app::Error::Unsigned(cause) => {
                Self::Unavailable(cause)
            }
            app::Error::Bug => Self::Bug,
        }
    }
}

impl IntoResponse for Error {
    /// The middleware writes the body, since it knows the invocation id.
    fn into_response(self) -> Response {
        let mut response = self.status().into_response();
        let retry_after = match self {
            Self::Unavailable(_) => Some(2),
            Self::Untrusted(_) => Some(60),
            Self::TooManyOpen(_) => Some(60),
            Self::TooManyWaits(_) => Some(10),
            Self::Exhausted(exhausted) => Some(whole_seconds(exhausted.retry_after)),
            _ => None,
        };
        if let Some(seconds) = retry_after {
            let headers = response.headers_mut();
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        if matches!(self, Self::Encoding) {
            // What the body may have instead (RFC 9110, section 12.5.3).
            let identity = HeaderValue::from_static("identity");
            response
                .headers_mut()
                .insert(header::ACCEPT_ENCODING, identity);
        }
        if matches!(self, Self::Unavailable(_) | Self::Untrusted(_)) {
            // The process may be out of file descriptors, and each connection takes one.
            let headers = response.headers_mut();
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        response.extensions_mut().insert(self);
        response
    }
}
