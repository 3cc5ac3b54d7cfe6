//! Reading what a caller sent, strictly: what is shown to a person and what an agent runs must not
//! be two readings of one text.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, header};
use human_oversight_protocol::strict_json::{self, MAX_DEPTH, StrictError};
use human_oversight_protocol::types::FieldError;
use hyper::body::Body as _;
use serde_json::{Map, Value};

use super::error::Error;

/// The largest body.
pub(super) const BODY_LIMIT: usize = 64 * 1024;

/// How long a body may take.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// A JSON object, read strictly.
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

/// A whole body, within its limits of size and time.
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
            _ => Err(Error::BadRequest("The body broke off.".to_owned())),
        },
    }
}

fn parse(bytes: &[u8]) -> Result<Map<String, Value>, Error> {
    match strict_json::parse(bytes).map_err(refusal)? {
        Value::Object(members) => Ok(members),
        _ => Err(invalid("", "must be a JSON object")),
    }
}

fn refusal(error: StrictError) -> Error {
    Error::BadRequest(match error {
        StrictError::InexactNumber { pointer } => {
            let detail = "is a number that a double would change: send it as a string";
            return invalid(&pointer, detail);
        }
        StrictError::ReservedName { pointer } => {
            return invalid(&pointer, "has a name that not every reader takes as such");
        }
        StrictError::NotUtf8 => "The body is not UTF-8.".to_owned(),
        StrictError::Syntax { line, column } => {
            format!("The body is not JSON: it breaks at line {line}, column {column}.")
        }
        StrictError::NotUnicode => {
            "A text in the body has an escape that is no Unicode character.".to_owned()
        }
        StrictError::TooDeep => format!("The JSON is nested deeper than {MAX_DEPTH} levels."),
        StrictError::DuplicateName => "An object of the body names a member twice.".to_owned(),
    })
}

pub(super) fn invalid(pointer: &str, detail: impl Into<String>) -> Error {
    Error::Invalid(vec![FieldError {
        pointer: pointer.to_owned(),
        detail: detail.into(),
    }])
}

/// The members of a body, taken one by one. What is wrong is collected, so that the caller hears of
/// all of it at once.
pub(super) struct Fields {
    members: Map<String, Value>,
    errors: Vec<FieldError>,
}

/// What a text may hold.
#[derive(Clone, Copy)]
pub(super) enum Text {
    /// One line: no control characters, and nothing that turns the direction of reading.
    Line,
    /// Several lines: no control characters but line ends and tabs.
    Prose,
}

impl Fields {
    pub(super) fn of(members: Map<String, Value>) -> Self {
        Self {
            members,
            errors: Vec::new(),
        }
    }

    pub(super) fn fault(&mut self, pointer: impl Into<String>, detail: impl Into<String>) {
        self.errors.push(FieldError {
            pointer: pointer.into(),
            detail: detail.into(),
        });
    }

    /// A member that may be left out; `null` is as good as left out.
    pub(super) fn optional(&mut self, name: &str) -> Option<Value> {
        self.members.remove(name).filter(|value| !value.is_null())
    }

    pub(super) fn required(&mut self, name: &str) -> Option<Value> {
        let value = self.members.remove(name);
        if value.is_none() {
            self.fault(format!("/{name}"), "is missing");
        }
        value
    }

    pub(super) fn required_text(
        &mut self,
        name: &str,
        kind: Text,
        longest: usize,
    ) -> Option<String> {
        let value = self.required(name)?;
        self.text(name, value, kind, 1, longest)
    }

    pub(super) fn optional_text(
        &mut self,
        name: &str,
        kind: Text,
        longest: usize,
    ) -> Option<String> {
        let value = self.optional(name)?;
        self.text(name, value, kind, 0, longest)
            .filter(|text| !text.is_empty())
    }

    fn text(
        &mut self,
        name: &str,
        value: Value,
        kind: Text,
        shortest: usize,
        longest: usize,
    ) -> Option<String> {
        let pointer = format!("/{name}");
        let Value::String(text) = value else {
            self.fault(pointer, "must be a string");
            return None;
        };
        let length = text.chars().count();
        if length < shortest || length > longest || (shortest > 0 && text.trim().is_empty()) {
            self.fault(
                pointer,
                format!("must have {shortest} to {longest} characters"),
            );
            return None;
        }
        let unfit = |c: char| match kind {
            Text::Line => c.is_control() || is_direction_or_line(c),
            Text::Prose => c.is_control() && !matches!(c, '\n' | '\r' | '\t'),
        };
        if text.contains(unfit) {
            let detail = match kind {
                Text::Line => "must be one line without control characters",
                Text::Prose => "must not have control characters other than line ends and tabs",
            };
            self.fault(pointer, detail);
            return None;
        }
        Some(text)
    }

    /// Ends the reading.
    ///
    /// # Errors
    /// When anything was wrong, or there are members that nobody asked for.
    pub(super) fn finish(mut self) -> Result<(), Error> {
        // The name comes from the caller, so it is not repeated.
        if !self.members.is_empty() {
            let unknown = self.members.len();
            self.fault(
                "",
                format!("has {unknown} member(s) that are not known here"),
            );
        }
        match self.errors.is_empty() {
            true => Ok(()),
            false => Err(Error::Invalid(self.errors)),
        }
    }
}

/// Bidirectional controls, and the separators that are line ends by another name.
fn is_direction_or_line(c: char) -> bool {
    matches!(c, '\u{200E}' | '\u{200F}' | '\u{061C}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}'
        | '\u{2028}' | '\u{2029}')
}
