//! Reads JSON bodies strictly, so that the approver, the gate and the agent cannot read one text
//! differently.

use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, header};
use human_oversight_protocol::MAX_DEPTH;
use human_oversight_protocol::strict_json::{self, StrictError};
use serde_json::{Map, Value};

use super::body;
use super::error::{Error, invalid};

/// A body that is a JSON object.
pub(super) struct Json(pub(super) Map<String, Value>);

/// A body that is a JSON array.
pub(super) struct JsonList(pub(super) Vec<Value>);

impl<S: Send + Sync> FromRequest<S> for Json {
    type Rejection = Error;

    async fn from_request(request: Request, _: &S) -> Result<Self, Error> {
        match read(&request)? {
            Value::Object(members) => Ok(Self(members)),
            _ => Err(invalid("", "must be a JSON object")),
        }
    }
}

impl<S: Send + Sync> FromRequest<S> for JsonList {
    type Rejection = Error;

    async fn from_request(request: Request, _: &S) -> Result<Self, Error> {
        match read(&request)? {
            Value::Array(values) => Ok(Self(values)),
            _ => Err(Error::BadRequest(
                "The body must be a JSON array.".to_owned(),
            )),
        }
    }
}

/// The media type without its parameters, in lower case; `None` where it is sent twice or names another charset than
/// UTF-8 and its part ASCII.
pub(super) fn content_type(headers: &HeaderMap) -> Option<String> {
    let mut values = headers.get_all(header::CONTENT_TYPE).iter();
    let value = values.next().filter(|_| values.next().is_none())?;
    let value = value.to_str().ok()?.to_ascii_lowercase();
    let mut parts = value.split(';').map(str::trim);
    let kind = parts.next()?;
    let is_utf8 = |charset: &str| {
        let charset = charset.trim().trim_matches('"');
        matches!(charset, "utf-8" | "utf8" | "us-ascii")
    };
    let is_readable = |parameter: &str| match parameter.split_once('=') {
        Some((name, value)) => name.trim() != "charset" || is_utf8(value),
        None => true,
    };
    parts.all(is_readable).then(|| kind.to_owned())
}

fn read(request: &Request) -> Result<Value, Error> {
    let json = content_type(request.headers())
        .is_some_and(|kind| kind == "application/json" || kind.ends_with("+json"));
    if !json {
        return Err(Error::MediaType(
            "Send the body as application/json, in UTF-8.",
        ));
    }
    let body = body::of(request.extensions())?;
    strict_json::parse(&body).map_err(json_error)
}

fn json_error(error: StrictError) -> Error {
    Error::BadRequest(match error {
        StrictError::InexactNumber { pointer } => {
            let detail = "is a whole number beyond ±(2^53 - 1), or a number that a double would change: \
                          send it as a string";
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
