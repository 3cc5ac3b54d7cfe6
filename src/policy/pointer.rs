//! JSON pointers (RFC 6901) to parameters.

use std::fmt;

use serde_json::Value;

/// A JSON pointer.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pointer {
    text: String,
    /// The tokens, without escapes.
    tokens: Vec<String>,
}

/// Why a text is no pointer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPointer {
    #[error("is no JSON pointer: it must begin with `/`, such as `/amount`")]
    NoSlash,
    #[error("is no JSON pointer: `~` must be followed by `0` (for `~`) or `1` (for `/`)")]
    Escape,
    #[error("ends beyond the last item of a list: `-` names no parameter")]
    Beyond,
}

impl Pointer {
    pub fn parse(text: &str) -> Result<Self, InvalidPointer> {
        let tokens = match text.strip_prefix('/') {
            Some(rest) => rest.split('/').map(unescape).collect::<Result<_, _>>()?,
            None if text.is_empty() => Vec::new(),
            None => return Err(InvalidPointer::NoSlash),
        };
        let text = text.to_owned();
        Ok(Self { text, tokens })
    }

    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it names the whole document.
    pub(super) fn is_whole(&self) -> bool {
        self.tokens.is_empty()
    }

    /// The names of the members, and the numbers of the items, that lead to what it names.
    pub fn tokens(&self) -> &[String] {
        &self.tokens
    }

    /// What it names, if that is there.
    pub fn find<'a>(&self, document: &'a Value) -> Option<&'a Value> {
        let step = |value: &'a Value, token: &String| match value {
            Value::Object(members) => members.get(token),
            Value::Array(items) => items.get(index(token)?),
            _ => None,
        };
        self.tokens.iter().try_fold(document, step)
    }

    /// Whether it names what the path of tokens leads to, or something around that.
    pub(super) fn covers<T: AsRef<str>>(&self, path: &[T]) -> bool {
        let beginning = path.get(..self.tokens.len());
        let is_equal = |(token, other): (&String, &T)| token == other.as_ref();
        beginning.is_some_and(|path| self.tokens.iter().zip(path).all(is_equal))
    }
}

/// The number of an item: without a sign or leading zeros.
fn index(token: &str) -> Option<usize> {
    let is_plain = token == "0" || !token.starts_with(['0', '+']);
    token.parse().ok().filter(|_| is_plain)
}

fn unescape(token: &str) -> Result<String, InvalidPointer> {
    if token == "-" {
        return Err(InvalidPointer::Beyond);
    }
    let mut parts = token.split('~');
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (sign, rest) = match part.as_bytes().first() {
            Some(b'0') => ('~', &part[1..]),
            Some(b'1') => ('/', &part[1..]),
            _ => return Err(InvalidPointer::Escape),
        };
        out.push(sign);
        out.push_str(rest);
    }
    Ok(out)
}

impl fmt::Display for Pointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
