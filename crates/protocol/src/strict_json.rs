//! Strict JSON: a text that two readers could understand differently is refused.
//!
//! Beyond RFC 8259: a name may occur once in an object, a number must be exact
//! ([`MAX_INTEGER`](crate::MAX_INTEGER)), every escape must be a Unicode character, and nesting has a limit. What is
//! shown to a person is then what an agent runs.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::MAX_DEPTH;
use crate::decimal::{is_exact, is_zero};

/// Names with this prefix are reserved by serde_json, which reads such an object as something else.
const RESERVED_PREFIX: &str = "$serde_json::private::";

/// Why a text is refused. No variant repeats the text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StrictError {
    /// The bytes are not UTF-8.
    #[error("not UTF-8")]
    NotUtf8,
    /// The syntax is wrong.
    #[error("not JSON: it breaks at line {line}, column {column}")]
    Syntax {
        /// The line, counted from 1.
        line: usize,
        /// The column, counted from 1.
        column: usize,
    },
    /// An escape is no Unicode character, such as a lone surrogate.
    #[error("an escape is no Unicode character")]
    NotUnicode,
    /// Objects and arrays are nested deeper than [`MAX_DEPTH`].
    #[error("nested deeper than {MAX_DEPTH} levels")]
    TooDeep,
    /// An object has two members of the same name.
    #[error("an object has two members of the same name")]
    DuplicateName,
    /// A member's name begins with `$serde_json::private::`.
    #[error("{pointer} has a reserved name")]
    ReservedName {
        /// The member, as a JSON pointer (RFC 6901).
        pointer: String,
    },
    /// A number is a whole one beyond ±[`MAX_INTEGER`](crate::MAX_INTEGER), or changes when it is converted to a
    /// double.
    #[error("{pointer} is a number beyond ±(2^53 - 1), or one that a double would change")]
    InexactNumber {
        /// The number, as a JSON pointer (RFC 6901).
        pointer: String,
    },
}

/// Parses a text.
///
/// # Errors
/// When it is not JSON, or ambiguous.
pub fn parse(bytes: &[u8]) -> Result<Value, StrictError> {
    let text = std::str::from_utf8(bytes).map_err(|_| StrictError::NotUtf8)?;
    let raw: &RawValue = serde_json::from_str(text).map_err(|error| StrictError::Syntax {
        line: error.line(),
        column: error.column(),
    })?;
    parse_value(raw, "", 0)
}

/// The JSON pointer (RFC 6901) to the member of this name of the object at `pointer`.
pub fn member_pointer(pointer: &str, name: &str) -> String {
    format!("{pointer}/{}", name.replace('~', "~0").replace('/', "~1"))
}

fn parse_value(raw: &RawValue, pointer: &str, depth: usize) -> Result<Value, StrictError> {
    if depth > MAX_DEPTH {
        return Err(StrictError::TooDeep);
    }
    let text = raw.get();
    match text.as_bytes()[0] {
        b'{' => parse_object(text, pointer, depth),
        b'[' => {
            let items: Vec<&RawValue> = parse_checked(text)?;
            let items = items.into_iter().enumerate();
            items
                .map(|(index, item)| parse_value(item, &format!("{pointer}/{index}"), depth + 1))
                .collect::<Result<_, _>>()
                .map(Value::Array)
        }
        b'-' | b'0'..=b'9' if !is_exact(text) => Err(StrictError::InexactNumber {
            pointer: pointer.to_owned(),
        }),
        // In canonical JSON, -0 is 0.
        b'-' if is_zero(text) => Ok(Value::from(0)),
        _ => parse_checked(text),
    }
}

fn parse_object(text: &str, pointer: &str, depth: usize) -> Result<Value, StrictError> {
    let Members(members) = parse_checked(text)?;
    let mut object = Map::new();
    for (name, member) in members {
        let pointer = member_pointer(pointer, &name);
        if name.starts_with(RESERVED_PREFIX) {
            return Err(StrictError::ReservedName { pointer });
        }
        let member = parse_value(member, &pointer, depth + 1)?;
        if object.insert(name, member).is_some() {
            return Err(StrictError::DuplicateName);
        }
    }
    Ok(Value::Object(object))
}

/// Parses a text whose syntax is known to be right: only an escape can be wrong.
fn parse_checked<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, StrictError> {
    serde_json::from_str(text).map_err(|_| StrictError::NotUnicode)
}

/// The members of an object in their order, duplicates included, each value as it was written.
pub struct Members<'a>(pub Vec<(String, &'a RawValue)>);

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
