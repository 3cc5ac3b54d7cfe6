//! The members of a JSON object, each as it was written.

use std::collections::HashSet;

use human_oversight_protocol::strict_json;
use serde_json::json;
use serde_json::value::RawValue;

/// The members of an object in their order.
#[derive(Debug)]
pub(crate) struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'a> Members<'a> {
    /// The members of an object. There are none if a name occurs twice.
    pub(crate) fn read(object: &'a RawValue) -> Option<Self> {
        let strict_json::Members(members) = serde_json::from_str(object.get()).ok()?;
        let mut names = HashSet::new();
        let is_clear = members.iter().all(|(name, _)| names.insert(name.as_str()));
        is_clear.then_some(Self(members))
    }

    /// The members of an object that the server reads as well. There are none either if a name has a character that
    /// controls, which may end it, or is spelt nearly as one of `names`.
    pub(crate) fn read_clear(object: &'a RawValue, names: &[&str]) -> Option<Self> {
        let is_near = |name: &str| names.iter().any(|it| *it != name && may_read_as(name, it));
        let is_clear =
            |name: &str| !name.contains(|c: char| c.is_ascii_control()) && !is_near(name);
        Self::read(object).filter(|it| it.iter().all(|(name, _)| is_clear(name)))
    }

    pub(crate) fn get(&self, name: &str) -> Option<&'a RawValue> {
        let found = self.0.iter().find(|(member, _)| member == name);
        found.map(|(_, value)| *value)
    }

    /// The same, but for `null`, by which some clients say that there is none.
    pub(crate) fn given(&self, name: &str) -> Option<&'a RawValue> {
        self.get(name).filter(|value| value.get() != "null")
    }

    /// The object with this member in place of the one of its name, or after all others.
    pub(crate) fn with(&self, name: &str, value: &str) -> String {
        let mut members: Vec<(&str, &str)> = self.iter().map(|(it, raw)| (it, raw.get())).collect();
        match members.iter_mut().find(|(it, _)| *it == name) {
            Some(member) => member.1 = value,
            None => members.push((name, value)),
        }
        let members = members.iter();
        let members = members.map(|(name, value)| format!("{}:{value}", json!(name)));
        format!("{{{}}}", members.collect::<Vec<_>>().join(","))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &'a RawValue)> {
        self.0.iter().map(|(name, value)| (name.as_str(), *value))
    }
}

/// Whether a name occurs twice in an object of a JSON text, at any depth.
pub(crate) fn has_doubles(json: &str) -> bool {
    let mut names_of_open: Vec<HashSet<String>> = Vec::new();
    for piece in pieces(json) {
        match piece {
            Piece::Open => names_of_open.push(HashSet::new()),
            Piece::Close => drop(names_of_open.pop()),
            Piece::Member(name, _) => {
                let names = names_of_open.last_mut();
                if names.is_some_and(|names| !names.insert(read_name(name))) {
                    return true;
                }
            }
            Piece::Text(_) => {}
        }
    }
    false
}

/// The members of the outermost objects of a text, as far as one that is no JSON has any: each name, and the text from its
/// value on.
pub(crate) fn outermost(text: &str) -> Vec<(String, &str)> {
    let outermost = members(text).filter(|(depth, ..)| *depth == 1);
    outermost
        .map(|(_, name, value)| (read_name(name), value))
        .collect()
}

/// The members of all objects of a text: how deep each is, its name in quotes, and the text from its value on.
pub(crate) fn members(text: &str) -> impl Iterator<Item = (usize, &str, &str)> {
    let mut depth = 0_usize;
    pieces(text).filter_map(move |piece| {
        match piece {
            Piece::Open => depth += 1,
            Piece::Close => depth = depth.saturating_sub(1),
            Piece::Member(name, value) => return Some((depth, name, value)),
            Piece::Text(_) => {}
        }
        None
    })
}

/// The names and texts in quotes of a JSON text; with the name of its member, if it is the first text of one.
pub(crate) fn texts(json: &str) -> impl Iterator<Item = (Option<&str>, &str)> {
    let mut member = None;
    pieces(json).filter_map(move |piece| match piece {
        Piece::Member(name, _) => {
            member = Some(name);
            Some((None, name))
        }
        Piece::Text(text) => Some((member.take(), text)),
        Piece::Open | Piece::Close => {
            member = None;
            None
        }
    })
}

/// The text in quotes that begins here, if one does.
pub(crate) fn leading_text(json: &str) -> Option<&str> {
    json.starts_with('"').then(|| &json[..text_length(json)])
}

/// A part of a text that is JSON, or nearly.
enum Piece<'a> {
    Open,
    Close,
    /// A name in quotes, and the text from its value on.
    Member(&'a str, &'a str),
    Text(&'a str),
}

fn pieces(json: &str) -> impl Iterator<Item = Piece<'_>> {
    let mut rest = json;
    std::iter::from_fn(move || {
        let at = rest.find(['{', '}', '"'])?;
        let length = match rest.as_bytes()[at] {
            b'"' => text_length(&rest[at..]),
            _ => 1,
        };
        let (piece, after) = rest[at..].split_at(length);
        rest = after;
        Some(match (piece, after.trim_start().strip_prefix(':')) {
            ("{", _) => Piece::Open,
            ("}", _) => Piece::Close,
            (name, Some(value)) => Piece::Member(name, value.trim_start()),
            (text, None) => Piece::Text(text),
        })
    })
}

/// The length of the text in quotes that begins here.
fn text_length(json: &str) -> usize {
    let mut is_escaped = true;
    let end = json.bytes().position(|byte| {
        let is_end = byte == b'"' && !is_escaped;
        is_escaped = byte == b'\\' && !is_escaped;
        is_end
    });
    end.map_or(json.len(), |end| end + 1)
}

/// One with an escape that is no character stays as it was written.
fn read_name(text: &str) -> String {
    serde_json::from_str(text).unwrap_or_else(|_| text.to_owned())
}

/// A name as readers see it that ignore case, in Unicode too: `ſ` is an `s` to them, and the Kelvin sign a `k`.
pub(crate) fn fold(name: &str) -> String {
    let folded = name.chars().flat_map(char::to_uppercase);
    folded.flat_map(char::to_lowercase).collect()
}

/// What is left of a text to a reader that drops what it does not take for a part of it.
pub(crate) fn bare(text: &str) -> String {
    text.replace(is_dropped, "").trim().to_owned()
}

fn is_dropped(c: char) -> bool {
    c.is_control() || c == char::REPLACEMENT_CHARACTER
}

/// Whether a reader that ends a text early, or drops what it does not take for a part of it, may read this word.
pub(crate) fn may_read_as(text: &str, word: &str) -> bool {
    let is_end = |c: char| is_dropped(c) || c.is_whitespace();
    let first = text.split(is_end).find(|it| !it.is_empty());
    fold(first.unwrap_or_default()) == word || fold(&bare(text)) == word
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_occurs_twice_is_found_at_any_depth() {
        let deep = |inner: &str| {
            format!(
                "{}{inner}{}",
                r#"[{"a":"#.repeat(20_000),
                "}]".repeat(20_000)
            )
        };
        for doubled in [
            r#"{"a":1,"a":2}"#,
            r#"[{},{"a":{"b":"}","b" :[]}}]"#,
            r#"{"a":1,"b":{"a":1},"\u0061":2}"#,
            r#"{"a\"b":"\\","a\"b":1}"#,
            r#"{"\udcff":1,"\udcff":2}"#,
            r#"{"":"","":""}"#,
            &deep(r#"{"b":1,"b":2}"#),
        ] {
            assert!(has_doubles(doubled), "{doubled}");
        }
        for single in [
            r#"{"a":{"a":[{"a":"a"},{"a":"\"a\":"}]},"b":"a","c":["a","a"]}"#,
            r#"{"a":"\\","b":"{\"b\":1,\"b\":2}"}"#,
            r#"{"\udcff":1,"\udcfe":2,"A":1e400,"a":"\ud800"}"#,
            "\"a\"",
            &deep("{}"),
        ] {
            assert!(!has_doubles(single), "{single}");
        }
    }
}
