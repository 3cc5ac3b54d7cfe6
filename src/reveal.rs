//! Makes text from an agent safe to read: escapes invisible characters, finds words and punctuation that
//! could be mistaken for others, and leaves no link for mail clients to find.

mod alarm;
mod alarms;
mod confusable;
mod dots;
mod encoded;
mod hidden;
mod line;
mod links;
mod look;
mod marks;
mod names;
mod numbers;
mod punctuation;
mod quotes;
mod secret_names;
mod words;

use serde_json::Value;
use unicode_normalization::is_nfc;

pub use alarm::{Alarm, Deception};
pub use alarms::Alarms;
pub use confusable::is_confusable;
pub use dots::is_middle_dot;
pub use hidden::{characters, is_hidden, is_shown};
pub use line::{line, mark_spaces};
pub use links::defang;
pub use look::Look;
pub use names::{name_characters, value_characters};
pub use numbers::plain_digit;
pub use quotes::within_quotes;
pub use secret_names::{is_secret, is_secret_name, is_secret_number_name};

/// Whether a text is written in the one way that its readers see: in NFC, and without hidden characters or
/// white space around it.
pub fn is_plain(text: &str) -> bool {
    text.trim() == text && !text.chars().any(is_hidden) && is_nfc(text)
}

/// Several lines: hidden characters as `\u{…}`, and the backslash of what looks like that; everything else unchanged.
pub fn prose(text: &str) -> String {
    escape(&text.replace("\r\n", "\n"), |_, hidden| hidden)
}

/// A part of a line: the same, and control characters, with what ends a line, as `\u{…}`.
pub fn part_of_line(text: &str) -> String {
    escape(text, |c, hidden| hidden || c.is_control())
}

fn escape(text: &str, is_escaped: impl Fn(char, bool) -> bool) -> String {
    let mut out = String::new();
    let characters = characters(text);
    for (at, &(c, hidden)) in characters.iter().enumerate() {
        if is_escaped(c, hidden) || begins_code(&characters[at..]) {
            out.push_str(&code(c));
        } else {
            out.push(c);
        }
    }
    out
}

/// What stands for a character that does not show.
pub fn code(c: char) -> String {
    format!("\\u{{{:x}}}", u32::from(c))
}

/// Whether a text begins with what could be read as such a code: its backslash is escaped then.
pub fn begins_code(characters: &[(char, bool)]) -> bool {
    let is_next = |at: usize, next: char| characters.get(at).is_some_and(|(c, _)| *c == next);
    if !(is_next(0, '\\') && is_next(1, 'u') && is_next(2, '{')) {
        return false;
    }
    let digits = characters[3..].iter();
    let digits = digits.take_while(|(c, _)| c.is_ascii_hexdigit()).count();
    digits > 0 && is_next(3 + digits, '}')
}

/// Indented JSON with every hidden character as `\uXXXX`, so that it still parses to the same value.
pub fn json(value: &Value) -> String {
    json_with_marks(value, |_| false)
}

/// As [`json`], but a text that `is_marked` is not part of the value: it stands for what is not shown, and has no
/// quotes.
pub fn json_with_marks(value: &Value, is_marked: fn(&str) -> bool) -> String {
    let mut out = String::new();
    write_json(value, is_marked, 0, &mut out);
    out
}

fn write_json(value: &Value, is_marked: fn(&str) -> bool, depth: usize, out: &mut String) {
    match value {
        Value::String(text) => write_text(text, out),
        Value::Array(items) if !items.is_empty() => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                new_line(index, depth + 1, out);
                write_json(item, is_marked, depth + 1, out);
            }
            new_line(0, depth, out);
            out.push(']');
        }
        Value::Object(members) if !members.is_empty() => {
            out.push('{');
            for (index, (name, member)) in members.iter().enumerate() {
                new_line(index, depth + 1, out);
                write_text(name, out);
                out.push_str(": ");
                match member {
                    Value::String(mark) if is_marked(name) => out.push_str(mark),
                    member => write_json(member, is_marked, depth + 1, out),
                }
            }
            new_line(0, depth, out);
            out.push('}');
        }
        plain => out.push_str(&plain.to_string()),
    }
}

fn new_line(index: usize, depth: usize, out: &mut String) {
    out.push_str(if index > 0 { ",\n" } else { "\n" });
    out.push_str(&"  ".repeat(depth));
}

fn write_text(text: &str, out: &mut String) {
    out.push('"');
    for (c, hidden) in characters(text) {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            c if hidden => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    out.push_str(&format!("\\u{unit:04x}"));
                }
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn revealed_json_parses_to_the_same_value() {
        let value = json!({
            "a\u{200b}b": "safe\u{202e}fdp.exe", "tag": "\u{e0041}", "line": "a\nb\t\"c\" \\ \u{0}",
            "nested": [[], {}, [1, 2.5, -0.0, true, null]], "emoji": "👩\u{200d}💻", "wide": "東京",
        });
        let shown = json(&value);
        assert_eq!(serde_json::from_str::<Value>(&shown).unwrap(), value);
        assert!(
            !characters(&shown).iter().any(|(_, hidden)| *hidden),
            "{shown}"
        );
        assert!(
            shown.contains(r#""a\u200bb": "safe\u202efdp.exe""#),
            "{shown}"
        );
        assert!(shown.contains(r"\udb40\udc41"), "{shown}");
    }

    #[test]
    fn a_line_has_no_line_end_and_no_hidden_character() {
        assert_eq!(
            line("Delete\r\nBcc: x\u{202e}", 80),
            "Delete Bcc: x\u{FFFD}"
        );
        assert_eq!(prose("a\r\nb\rc"), "a\nb\\u{d}c");
        assert_eq!(line("abcdef", 4), "abc…");
        assert_eq!(line("  a \t b ", 4), "a b");
    }
}
