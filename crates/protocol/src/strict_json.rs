//! Strict JSON: a text that two readers could understand differently is refused.
//!
//! Beyond RFC 8259: a name may occur once in an object, a number must be exact ([`MAX_INTEGER`]), every escape
//! must be a Unicode character, and nesting has a limit. What is shown to a person is then
//! what an agent runs.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::MAX_INTEGER;

/// The maximum nesting of objects and arrays below the top.
pub const MAX_DEPTH: usize = 64;

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
    /// A number is a whole one beyond ±[`MAX_INTEGER`], or changes when it is converted to a double.
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

/// Whether a decimal number, however it is spelt, has the same value in every parser: at most [`MAX_INTEGER`]
/// without its sign, and not changed by conversion to a double. `0.1` and `1e2` have, `9007199254740992`,
/// `1e21` and `0.12345678901234567890` have not.
fn is_exact(text: &str) -> bool {
    let Ok(double) = text.parse::<f64>() else {
        return false;
    };
    // Compared with what serde_json writes, which is what people see. `f64::to_string` may choose the
    // other of two shortest texts that are equally near.
    let shown = serde_json::to_string(&double).expect("a number is JSON");
    double.abs() <= MAX_INTEGER as f64 && decimal(text) == decimal(&shown)
}

/// A decimal number as its sign, its digits without zeros at either end, and the power of ten behind
/// them.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_a_parser_could_change_are_recognized() {
        for same in [
            "0",
            "-0",
            "0.0",
            "0.1",
            "1.0",
            "1e2",
            "100",
            "-1.50e-3",
            "9007199254740991",
            "-9007199254740991.0",
            "9.007199254740991e15",
            "900719925474099100e-2",
            "1E2",
            "5e-324",
            "900719925474099.2",
        ] {
            assert!(is_exact(same), "{same}");
        }
        for changed in [
            "12345678901234567890",
            "9007199254740992",
            "-9007199254740992",
            "9007199254740992.0",
            "9.007199254740992e15",
            "9007199254740993",
            "100000000000000000000",
            "1e21",
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
            assert!(!is_exact(changed), "{changed}");
        }
    }
}
