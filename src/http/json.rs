//! Reads JSON bodies strictly, so that the approver, the gate and the agent cannot read one text
//! differently.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, header};
use human_oversight_protocol::strict_json::{self, MAX_DEPTH, StrictError};
use hyper::body::Body as _;
use serde_json::{Map, Value};

use super::error::{Error, invalid};

/// The maximum size of a body, in bytes.
pub(super) const BODY_LIMIT: usize = 64 * 1024;

/// The time for a body to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// A body that is a JSON object.
pub(super) struct Json(pub(super) Map<String, Value>);

impl<S: Send + Sync> FromRequest<S> for Json {
    type Rejection = Error;

    async fn from_request(request: Request, _: &S) -> Result<Self, Error> {
        let (parts, body) = request.into_parts();
        let json = content_type(&parts.headers)
            .is_some_and(|kind| kind == "application/json" || kind.ends_with("+json"));
        if !json {
            return Err(Error::MediaType("Send the body as application/json."));
        }
        parse(&read(body).await?).map(Self)
    }
}

/// The media type without its parameters, in lower case.
pub(super) fn content_type(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    Some(
        value
            .split(';')
            .next()
            .unwrap_or_default()
            .trim()
            .to_ascii_lowercase(),
    )
}

/// Reads a whole body within the limits of size and time.
pub(super) async fn read(body: Body) -> Result<Bytes, Error> {
    let too_large = || Error::TooLarge(format!("The body may have at most {BODY_LIMIT} bytes."));
    if body.size_hint().lower() > BODY_LIMIT as u64 {
        return Err(too_large());
    }
    match tokio::time::timeout(BODY_TIMEOUT, axum::body::to_bytes(body, BODY_LIMIT)).await {
        Err(_) => Err(Error::TooSlow),
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(error)) => match std::error::Error::source(&error) {
            Some(source) if source.is::<http_body_util::LengthLimitError>() => Err(too_large()),
            _ => Err(Error::BadRequest("The body is incomplete.".to_owned())),
        },
    }
}

fn parse(bytes: &[u8]) -> Result<Map<String, Value>, Error> {
    match strict_json::parse(bytes).map_err(json_error)? {
        Value::Object(members) => Ok(members),
        _ => Err(invalid("", "must be a JSON object")),
    }
}

fn json_error(error: StrictError) -> Error {
    Error::BadRequest(match error {
        StrictError::InexactNumber { pointer } => {
            let detail = "is a number that a double would change: send it as a string";
            return invalid(&pointer, detail);
        }
        StrictError::ReservedName { pointer } => {
            return invalid(
                &pointer,
                "has a name that some JSON parsers treat specially",
            );
        }
        StrictError::NotUtf8 => "The body is not UTF-8.".to_owned(),
        StrictError::Syntax { line, column } => {
            format!("The body is not valid JSON: error at line {line}, column {column}.")
        }
        StrictError::NotUnicode => {
            "A string in the body has an escape that is not a Unicode character.".to_owned()
        }
        StrictError::TooDeep => format!("The body is nested deeper than {MAX_DEPTH} levels."),
        StrictError::DuplicateName => {
            "An object in the body has two members with the same name.".to_owned()
        }
    })
}
