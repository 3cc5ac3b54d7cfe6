//! What can be read of JSON of the server that no strict reader takes as a whole: an escape that is no character, as
//! JavaScript and Python write of names of files, a number beyond a double, and nesting without end.

use std::collections::BTreeMap;
use std::fmt;

use human_oversight_protocol::MAX_DEPTH;
use serde::de::{Deserialize, Deserializer, Error, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

/// Reads a value. Of what cannot be read exactly in it, texts have replacement characters, a number is the text that it was
/// written as, and what is nested too deep is null.
pub(crate) fn read(raw: &RawValue) -> Value {
    read_at(raw, 0)
}

fn read_at(raw: &RawValue, depth: usize) -> Value {
    let text = raw.get();
    if let Ok(value) = serde_json::from_str(text) {
        return value;
    }
    if depth > MAX_DEPTH {
        return Value::Null;
    }
    let value = match text.as_bytes()[0] {
        b'{' => serde_json::from_str(text).map(|members: BTreeMap<Text, &RawValue>| {
            let members = members.into_iter();
            let members = members.map(|(Text(name), member)| (name, read_at(member, depth + 1)));
            members.collect()
        }),
        b'[' => serde_json::from_str(text).map(|items: Vec<&RawValue>| {
            let items = items.into_iter();
            items.map(|item| read_at(item, depth + 1)).collect()
        }),
        b'"' => serde_json::from_str(text).map(|Text(text)| text.into()),
        _ => Ok(text.into()),
    };
    value.unwrap_or_default()
}

/// A text, with replacement characters for what is none.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Text(String);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Lossy;
        impl Visitor<'_> for Lossy {
            type Value = Text;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text")
            }

            // Only as bytes a lone surrogate is no error.
            fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Text, E> {
                Ok(Text(String::from_utf8_lossy(bytes).into_owned()))
            }
        }
        deserializer.deserialize_bytes(Lossy)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn value(text: &str) -> Value {
        read(&RawValue::from_string(text.to_owned()).unwrap())
    }

    #[test]
    fn what_cannot_be_read_leaves_the_rest_as_it_is() {
        let read = value(
            r#"{"a\udcff":["\ud83d\ude00","x\ud83dy",1e400,-1e400,1.5,null],"b":{"c":"\u0041\n","d":"\udc00"}}"#,
        );
        let lost = "\u{fffd}".repeat(3);
        assert_eq!(
            read,
            json!({
                (format!("a{lost}")): ["😀", format!("x{lost}y"), "1e400", "-1e400", 1.5, null],
                "b": {"c": "A\n", "d": lost},
            })
        );
    }

    #[test]
    fn nesting_has_no_end_that_could_end_the_proxy() {
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        let read = value(&format!(r#"{{"isError":true,"x":{deep}}}"#));
        assert_eq!(read["isError"], true);
    }
}
