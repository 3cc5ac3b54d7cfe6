//! Reading what a caller sent, strictly: what is shown to a person and what an agent runs must not
//! be two readings of one text.

use std::fmt;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, header};
use hyper::body::Body as _;
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::error::{Error, invalid};

/// The largest body.
pub(super) const BODY_LIMIT: usize = 64 * 1024;

/// How long a body may take.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// The deepest nesting.
const DEPTH: usize = 64;

/// What serde_json's own marks begin with: it would read an object that has one as something else.
const SPECIAL: &str = "$serde_json::private::";

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
    let text = std::str::from_utf8(bytes)
        .map_err(|_| Error::BadRequest("The body is not UTF-8.".to_owned()))?;
    let raw: &RawValue = serde_json::from_str(text).map_err(|error| not_json(&error))?;
    match strict(raw, "", 0)? {
        Value::Object(members) => Ok(members),
        _ => Err(invalid("", "must be a JSON object")),
    }
}

/// Where it broke, but not what stood there.
fn not_json(error: &serde_json::Error) -> Error {
    Error::BadRequest(format!(
        "The body is not JSON: it breaks at line {}, column {}.",
        error.line(),
        error.column()
    ))
}

/// The syntax is right, but an escape in a text stands for nothing.
fn not_text() -> Error {
    Error::BadRequest("A text in the body has an escape that is no Unicode character.".to_owned())
}

fn strict(raw: &RawValue, pointer: &str, depth: usize) -> Result<Value, Error> {
    if depth > DEPTH {
        return Err(Error::BadRequest(format!(
            "The JSON is nested deeper than {DEPTH} levels."
        )));
    }
    let text = raw.get();
    let leaf = || serde_json::from_str(text).map_err(|_| not_text());
    match text.as_bytes()[0] {
        b'{' => {
            let Members(members) = serde_json::from_str(text).map_err(|_| not_text())?;
            let mut object = Map::new();
            for (name, member) in members {
                let pointer = format!("{pointer}/{}", name.replace('~', "~0").replace('/', "~1"));
                if name.starts_with(SPECIAL) {
                    return Err(invalid(
                        &pointer,
                        "has a name that not every reader takes as such",
                    ));
                }
                let member = strict(member, &pointer, depth + 1)?;
                if object.insert(name, member).is_some() {
                    return Err(Error::BadRequest(
                        "An object of the body names a member twice.".to_owned(),
                    ));
                }
            }
            Ok(Value::Object(object))
        }
        b'[' => {
            let Items(items) = serde_json::from_str(text).map_err(|_| not_text())?;
            let items = items.into_iter().enumerate();
            items
                .map(|(index, item)| strict(item, &format!("{pointer}/{index}"), depth + 1))
                .collect::<Result<_, _>>()
                .map(Value::Array)
        }
        b'-' | b'0'..=b'9' if !survives_as_double(text) => Err(invalid(
            pointer,
            "is a number that a double would change: send it as a string",
        )),
        _ => leaf(),
    }
}

/// Whether the decimal number is still the same after a reader took it for a double: `0.1` is,
/// `12345678901234567890` and `1e400` are not.
fn survives_as_double(text: &str) -> bool {
    let Ok(double) = text.parse::<f64>() else {
        return false;
    };
    // As JSON writes it, which is how it is shown: Rust's own way takes the other one of two shortest
    // texts that are equally near.
    let shown = serde_json::to_string(&double).expect("a number is JSON");
    double.is_finite() && decimal(text) == decimal(&shown)
}

/// A decimal number as its digits, without zeros at either end, and the power of ten behind them.
fn decimal(text: &str) -> (bool, String, i64) {
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        // An exponent beyond i64 is no double either way.
        Some((mantissa, exponent)) => (mantissa, exponent.parse().unwrap_or(i64::MAX / 2)),
        None => (text, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{}{fraction}", whole.trim_start_matches('-'));
    let significant = digits.trim_end_matches('0');
    let dropped = (digits.len() - significant.len()) as i64;
    let significant = significant.trim_start_matches('0');
    if significant.is_empty() {
        return (false, String::new(), 0);
    }
    let exponent = exponent
        .saturating_sub(fraction.len() as i64)
        .saturating_add(dropped);
    (whole.starts_with('-'), significant.to_owned(), exponent)
}

/// The members of an object as they stand, a name as often as it is there.
struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;
        impl<'de> Visitor<'de> for Collect {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Collect)
    }
}

struct Items<'a>(Vec<&'a RawValue>);

impl<'de> Deserialize<'de> for Items<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;
        impl<'de> Visitor<'de> for Collect {
            type Value = Items<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an array")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                let mut items = Vec::new();
                while let Some(item) = seq.next_element()? {
                    items.push(item);
                }
                Ok(Items(items))
            }
        }
        deserializer.deserialize_seq(Collect)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_a_double_would_change_are_known() {
        for same in [
            "0",
            "-0",
            "0.0",
            "0.1",
            "1.0",
            "1e2",
            "100",
            "-1.50e-3",
            "9007199254740992",
            "100000000000000000000",
            "1E2",
            "5e-324",
            "900719925474099.2",
        ] {
            assert!(survives_as_double(same), "{same}");
        }
        for changed in [
            "12345678901234567890",
            "9007199254740993",
            "1e400",
            "-1e400",
            "1e-400",
            "0.12345678901234567890123",
            "1e99999999999999999999",
            "1.5e-9223372036854775808",
            "15e9223372036854775807",
            "900719925474099.3",
            "900719925474099.25",
        ] {
            assert!(!survives_as_double(changed), "{changed}");
        }
    }
}
