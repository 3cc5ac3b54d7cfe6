//! Every way a request can fail, and the one place that makes status codes of them.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use human_oversight_client::types::{FieldError, Problem};

use crate::approval::Status;
use crate::entra::NotSignedIn;
use crate::store::StoreError;

/// A failure. What it carries is for the caller, unless it says otherwise; it never repeats what the
/// caller sent.
#[derive(Clone, Debug)]
pub(super) enum Error {
    /// Not understood at all.
    BadRequest(String),
    /// Not for this caller.
    Forbidden(&'static str),
    /// Not before somebody else has signed in.
    SignIn(NotSignedIn),
    /// Nothing here, or nothing that this caller may know of.
    NotFound,
    /// Another method, perhaps.
    MethodNotAllowed,
    /// The request did not arrive in time.
    TooSlow,
    /// Not as the request stands.
    Conflict(Standing),
    /// The agent has this many requests open already.
    TooMany(usize),
    /// The request is too large.
    TooLarge(String),
    /// Not in this format.
    MediaType(&'static str),
    /// Understood, but not acceptable.
    Invalid(Vec<FieldError>),
    /// The row was changed behind the gate's back. The text is for the log.
    Integrity(String),
    /// Not now. The text is for the log.
    Unavailable(String),
    /// A fault of ours.
    Bug,
}

/// Why something is not possible as a request stands.
#[derive(Clone, Debug)]
pub(super) enum Standing {
    /// It is in this state, and its approval, if it has one, in this.
    Stands(Status, Option<&'static str>),
    /// The same name was used for another request.
    OtherContent,
    /// It was made with the Logic App that the gate replaces.
    Predecessor,
}

impl Error {
    pub(super) fn status(&self) -> StatusCode {
        match self {
            Self::BadRequest(_) => StatusCode::BAD_REQUEST,
            Self::Forbidden(_) | Self::SignIn(_) => StatusCode::FORBIDDEN,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::TooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::Conflict(_) => StatusCode::CONFLICT,
            Self::TooMany(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::MediaType(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Invalid(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Integrity(_) | Self::Bug => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// What the log is told beyond the status, once.
    pub(super) fn cause(&self) -> Option<&str> {
        match self {
            Self::Integrity(cause) | Self::Unavailable(cause) => Some(cause),
            Self::SignIn(why) => Some(why.word()),
            _ => None,
        }
    }

    pub(super) fn problem(&self, invocation_id: &str) -> Problem {
        let (name, title) = match self {
            Self::BadRequest(_) => ("bad-request", "The request cannot be understood"),
            Self::Forbidden(_) => ("forbidden", "The request is not allowed"),
            Self::SignIn(_) => ("sign-in", "Somebody must sign in"),
            Self::NotFound => ("not-found", "There is nothing here"),
            Self::MethodNotAllowed => ("method", "The method is not possible here"),
            Self::TooSlow => ("too-slow", "The request took too long to arrive"),
            Self::Conflict(_) => ("conflict", "The request is not possible as things stand"),
            Self::TooMany(_) => ("too-many", "The agent has too many open requests"),
            Self::TooLarge(_) => ("too-large", "The request is too large"),
            Self::MediaType(_) => ("media-type", "The content type is not understood"),
            Self::Invalid(_) => ("invalid", "The request is not valid"),
            Self::Integrity(_) => ("integrity", "The stored request cannot be trusted"),
            Self::Unavailable(_) => ("unavailable", "The gate cannot answer now"),
            Self::Bug => ("bug", "The gate made a mistake"),
        };
        Problem {
            kind: format!("urn:human-oversight:problem:{name}"),
            title: title.to_owned(),
            status: self.status().as_u16(),
            detail: self.detail(),
            invocation_id: invocation_id.to_owned(),
            errors: match self {
                Self::Invalid(errors) => errors.clone(),
                _ => Vec::new(),
            },
        }
    }

    fn detail(&self) -> String {
        match self {
            Self::BadRequest(detail) | Self::TooLarge(detail) => detail.clone(),
            Self::Forbidden(detail) | Self::MediaType(detail) => (*detail).to_owned(),
            Self::SignIn(_) => "A person decides, signed in with a browser.".to_owned(),
            Self::NotFound => {
                "Check the address. An id that nobody submitted looks the same as one that is not \
                 yours."
                    .to_owned()
            }
            Self::MethodNotAllowed => "The header Allow names those that are possible.".to_owned(),
            Self::TooMany(open) => format!(
                "This agent has {open} open requests, and may have no more (HO_OPEN_LIMIT): they wait \
                 for a decision, a claim, a report, or their last mails. Nothing was stored and nobody \
                 was mailed."
            ),
            Self::TooSlow => "Send the body within ten seconds.".to_owned(),
            Self::Conflict(standing) => standing.detail(),
            Self::Invalid(errors) => match errors.as_slice() {
                // What lies in the parameters has names of the caller's.
                [one] if one.pointer.starts_with("/parameters/") => {
                    format!("Something in /parameters {}: see errors.", one.detail)
                }
                [one] => format!("{} {}.", one.pointer, one.detail),
                more => format!("{} fields are at fault: see errors.", more.len()),
            },
            Self::Integrity(_) => {
                "The stored request contradicts its own proof, so it is no approval, whatever it \
                 says. Tell the gate's operator."
                    .to_owned()
            }
            Self::Unavailable(_) => {
                "Nothing is half-done. Make the same call again soon: if it was recorded after all, \
                 the answer will say so (for submit: only with a correlationId of yours)."
                    .to_owned()
            }
            Self::Bug => "The gate's operator finds it in the log by the invocationId.".to_owned(),
        }
    }
}

impl Standing {
    fn detail(&self) -> String {
        match self {
            Self::Stands(status, None) => format!("The request is {}.", status.word()),
            Self::Stands(status, Some(execution)) => {
                format!(
                    "The request is {}, and its execution {execution}.",
                    status.word()
                )
            }
            Self::Predecessor => {
                "The request was made with the gate's predecessor, and ended there: \
                                  its row is for reports only."
                    .to_owned()
            }
            Self::OtherContent => {
                "This agent used the same correlationId for a request with other content."
                    .to_owned()
            }
        }
    }
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::NotFound => Self::NotFound,
            StoreError::Legacy => Self::Conflict(Standing::Predecessor),
            StoreError::Damaged(_) => Self::Integrity(error.to_string()),
            StoreError::AlreadyExists
            | StoreError::OpenLimit
            | StoreError::Conflict
            | StoreError::TooLarge { .. }
            | StoreError::LaterVersion(_)
            | StoreError::OtherGate(_)
            | StoreError::GateId { .. }
            | StoreError::Unavailable(_) => Self::Unavailable(error.to_string()),
        }
    }
}

impl IntoResponse for Error {
    /// The body is written at the edge, which knows the invocation's id.
    fn into_response(self) -> Response {
        let mut response = self.status().into_response();
        let retry_after = match self {
            Self::Unavailable(_) => Some(2),
            Self::TooMany(_) => Some(60),
            _ => None,
        };
        if let Some(seconds) = retry_after {
            let headers = response.headers_mut();
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        if matches!(self, Self::Unavailable(_)) {
            // What is missing may be a file descriptor, and whoever waits on this one holds it.
            let headers = response.headers_mut();
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        response.extensions_mut().insert(self);
        response
    }
}
