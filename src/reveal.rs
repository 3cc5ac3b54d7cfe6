//! Makes text from an agent safe to read: escapes invisible characters, finds words and punctuation that
//! could be mistaken for others, and leaves no link for mail clients to find.

mod links;
mod punctuation;

use serde_json::Value;
use unicode_normalization::{UnicodeNormalization, is_nfc};
use unicode_properties::{GeneralCategory, UnicodeGeneralCategory};
use unicode_security::{MixedScript, RestrictionLevel, RestrictionLevelDetection, skeleton};

pub use links::defang;
use punctuation::look_alikes;

/// What a reader must be warned of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Warnings {
    /// The number of hidden characters.
    pub hidden: usize,
    /// Words that could be mistaken for others, at most eight.
    pub mixed: Vec<MixedWord>,
    /// The number of such words beyond those.
    pub more: usize,
}

/// A word that is not what it seems: its letters come from several scripts, or from another script than they
/// seem to, as in a forged name; or its punctuation resembles another; or its characters are not in the usual
/// form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MixedWord {
    pub word: String,
    /// The characters at issue, such as `р is U+0440`.
    pub letters: String,
}

/// The maximum number of words that a warning names; it counts the others.
const NAMED_WORDS: usize = 8;

/// Limits for a named word: distinct letters outside ASCII, and characters.
const NAMED_LETTERS: usize = 8;
const WORD_CHARS: usize = 60;

/// Whether `c` is invisible or changes the order of the text around it. A space, a tab and a line end
/// show in the layout.
pub fn is_hidden(c: char) -> bool {
    use GeneralCategory::{
        Control, Format, LineSeparator, ParagraphSeparator, PrivateUse, SpaceSeparator, Unassigned,
    };
    if matches!(c, ' ' | '\n' | '\t') {
        return false;
    }
    let category = c.general_category();
    matches!(
        category,
        Control
            | Format
            | LineSeparator
            | ParagraphSeparator
            | PrivateUse
            | SpaceSeparator
            | Unassigned
    ) || matches!(
        u32::from(c),
        // Joiners, fillers, blanks and variation selectors that fonts draw as nothing.
        0x034F | 0x115F..=0x1160 | 0x17B4..=0x17B5 | 0x180B..=0x180F | 0x2800 | 0x3164 | 0xFE00..=0xFE0F
            | 0xFFA0 | 0xE0000..=0xE0FFF
    )
}

/// Whether a text is written in the one way that its readers see: in NFC, and without hidden characters or
/// white space around it.
pub fn is_plain(text: &str) -> bool {
    text.trim() == text && !text.chars().any(is_hidden) && is_nfc(text)
}

/// One line for an email header or a heading: no line end, no hidden character, at most `longest`
/// characters.
pub fn line(text: &str, longest: usize) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            c if c.is_whitespace() => {
                if !out.ends_with(' ') {
                    out.push(' ');
                }
            }
            c if is_hidden(c) => out.push('\u{FFFD}'),
            c => out.push(c),
        }
    }
    let out = out.trim();
    match out.char_indices().nth(longest) {
        None => out.to_owned(),
        Some(_) => out.chars().take(longest - 1).chain(['…']).collect(),
    }
}

/// Several lines: hidden characters as `\u{…}`, everything else unchanged.
pub fn prose(text: &str) -> String {
    let mut out = String::new();
    for c in text.replace("\r\n", "\n").chars() {
        if is_hidden(c) {
            out.push_str(&format!("\\u{{{:x}}}", u32::from(c)));
        } else {
            out.push(c);
        }
    }
    out
}

/// Indented JSON with every hidden character as `\uXXXX`, so that it still parses to the same value.
pub fn json(value: &Value) -> String {
    let mut out = String::new();
    write_json(value, 0, &mut out);
    out
}

fn write_json(value: &Value, depth: usize, out: &mut String) {
    match value {
        Value::String(text) => write_text(text, out),
        Value::Array(items) if !items.is_empty() => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                new_line(index, depth + 1, out);
                write_json(item, depth + 1, out);
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
                write_json(member, depth + 1, out);
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
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            c if is_hidden(c) => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    out.push_str(&format!("\\u{unit:04x}"));
                }
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

impl Warnings {
    /// Scans a value, including the names of members.
    pub fn scan_value(&mut self, value: &Value) {
        match value {
            Value::String(text) => self.scan(text),
            Value::Array(items) => items.iter().for_each(|item| self.scan_value(item)),
            Value::Object(members) => members.iter().for_each(|(name, member)| {
                self.scan(name);
                self.scan_value(member);
            }),
            _ => {}
        }
    }

    pub fn scan(&mut self, text: &str) {
        self.hidden += text.chars().filter(|c| is_hidden(*c)).count();
        let words = text.split(|c: char| !c.is_alphanumeric() && c != '-' && c != '_');
        for word in words.filter(|word| !word.is_ascii()) {
            let suspicious = !word.is_single_script()
                || !word.check_restriction_level(RestrictionLevel::HighlyRestrictive)
                || skeleton(word).all(|c| c.is_ascii());
            if suspicious {
                self.add(word, || {
                    list(word.chars().filter(|c| !c.is_ascii()), |c| {
                        format!("{c} is U+{:04X}", u32::from(c))
                    })
                });
            }
        }
        for word in text.split_whitespace().filter(|word| !word.is_ascii()) {
            let found = look_alikes(word);
            if let Some((first, _)) = found.first() {
                self.add(around(word, *first), || {
                    list(found.iter().copied(), |(c, original)| {
                        format!("{c} is U+{:04X}, not {original}", u32::from(c))
                    })
                });
            }
            if !is_nfc(word) {
                self.add(word, || {
                    let usual: String = word.nfc().collect();
                    let changed = word.chars().filter(|c| !usual.contains(*c));
                    let changed = list(changed, |c| format!("U+{:04X}", u32::from(c)));
                    format!("its characters are not in the usual form (NFC): {changed}")
                });
            }
        }
    }

    fn add(&mut self, word: &str, letters: impl FnOnce() -> String) {
        if self.mixed.len() == NAMED_WORDS {
            self.more += 1;
        } else {
            self.mixed.push(MixedWord {
                word: line(word, WORD_CHARS),
                letters: letters(),
            });
        }
    }

    /// Whether there is nothing to warn of.
    pub fn is_empty(&self) -> bool {
        self.hidden == 0 && self.mixed.is_empty()
    }
}

/// Describes distinct items, at most [`NAMED_LETTERS`].
fn list<T: PartialEq + Copy>(
    items: impl Iterator<Item = T>,
    describe: impl Fn(T) -> String,
) -> String {
    let mut distinct: Vec<T> = Vec::new();
    for item in items {
        if !distinct.contains(&item) && distinct.len() < NAMED_LETTERS {
            distinct.push(item);
        }
    }
    let described: Vec<String> = distinct.into_iter().map(describe).collect();
    described.join(", ")
}

/// A part of a long word that shows `c` near its start.
fn around(word: &str, c: char) -> &str {
    let at = word.find(c).unwrap_or(0);
    let before = word[..at].char_indices().rev();
    let start = before.take(WORD_CHARS / 3).last();
    &word[start.map_or(at, |(start, _)| start)..]
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
        assert!(!shown.chars().any(is_hidden), "{shown}");
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

    #[test]
    fn forged_names_give_warnings_and_foreign_ones_do_not() {
        let mut warnings = Warnings::default();
        warnings.scan_value(
            &json!({"to": "р\u{61}ypal-prod", "plain": ["München", "Москва", "東京タワー"]}),
        );
        assert_eq!(warnings.mixed.len(), 1);
        assert_eq!(warnings.mixed[0].letters, "р is U+0440");
        assert_eq!(warnings.hidden, 0);
        // One script, but the word reads as Latin.
        warnings.scan("\u{440}\u{430}\u{443}\u{440}\u{430}");
        assert_eq!(warnings.mixed.len(), 2);
        for _ in 0..10 {
            warnings.scan("p\u{430}y");
        }
        assert_eq!((warnings.mixed.len(), warnings.more), (8, 4));
        warnings.scan("a\u{200b}");
        assert_eq!(warnings.hidden, 1);
        let mut long = Warnings::default();
        long.scan(&"p\u{430}".repeat(5_000));
        assert_eq!(long.mixed[0].letters, "\u{430} is U+0430");
        assert_eq!(long.mixed[0].word.chars().count(), 60);
    }
}
