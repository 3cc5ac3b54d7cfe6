//! Text from an agent, made safe to look at: what a reader cannot see, or would take for something
//! else, is spelled out.

use serde_json::Value;
use unicode_properties::{GeneralCategory, UnicodeGeneralCategory};
use unicode_security::{MixedScript, RestrictionLevel, RestrictionLevelDetection, skeleton};

/// What a reader should be warned of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Warnings {
    /// How many characters cannot be seen.
    pub hidden: usize,
    /// Words that could be taken for others, with the code points that are not ASCII.
    pub mixed: Vec<MixedWord>,
    /// How many more such words there are than are named.
    pub more: usize,
}

/// A word whose letters come from several alphabets, or from another one than it seems, as in a
/// forged name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MixedWord {
    /// The word.
    pub word: String,
    /// Its letters beyond ASCII, such as `р is U+0440`.
    pub letters: String,
}

/// At most so many words are named, the others counted.
const NAMED_WORDS: usize = 8;

/// A word is named with so many of its foreign letters, each once, and so much of itself.
const NAMED_LETTERS: usize = 8;
const WORD_CHARS: usize = 60;

/// Whether a reader cannot see `c`, or it changes the order of what they see. A space, a tab and a
/// line end can be told from the layout.
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

/// One line for a mail header or a heading: no line end, no hidden character, at most `longest`
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

/// Several lines: hidden characters as `\u{…}`, everything else as it is.
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

/// JSON for people: indented, and every hidden character as `\uXXXX`, so that it is still the same
/// value.
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
    /// Looks through a value, names and all.
    pub fn look_at(&mut self, value: &Value) {
        match value {
            Value::String(text) => self.read(text),
            Value::Array(items) => items.iter().for_each(|item| self.look_at(item)),
            Value::Object(members) => members.iter().for_each(|(name, member)| {
                self.read(name);
                self.look_at(member);
            }),
            _ => {}
        }
    }

    /// Looks through a text.
    pub fn read(&mut self, text: &str) {
        self.hidden += text.chars().filter(|c| is_hidden(*c)).count();
        let words = text.split(|c: char| !c.is_alphanumeric() && c != '-' && c != '_');
        for word in words.filter(|word| !word.is_ascii()) {
            let suspicious = !word.is_single_script()
                || !word.check_restriction_level(RestrictionLevel::HighlyRestrictive)
                || skeleton(word).all(|c| c.is_ascii());
            if !suspicious {
                continue;
            }
            if self.mixed.len() == NAMED_WORDS {
                self.more += 1;
                continue;
            }
            let mut foreign: Vec<char> = Vec::new();
            for c in word.chars().filter(|c| !c.is_ascii()) {
                if !foreign.contains(&c) && foreign.len() < NAMED_LETTERS {
                    foreign.push(c);
                }
            }
            let letters: Vec<_> = foreign
                .into_iter()
                .map(|c| format!("{c} is U+{:04X}", u32::from(c)))
                .collect();
            self.mixed.push(MixedWord {
                word: line(word, WORD_CHARS),
                letters: letters.join(", "),
            });
        }
    }

    /// Whether there is nothing to warn of.
    pub fn is_empty(&self) -> bool {
        self.hidden == 0 && self.mixed.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn json_for_people_is_the_same_value() {
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
    fn a_line_stays_one_line() {
        assert_eq!(
            line("Delete\r\nBcc: x\u{202e}", 80),
            "Delete Bcc: x\u{FFFD}"
        );
        assert_eq!(prose("a\r\nb\rc"), "a\nb\\u{d}c");
        assert_eq!(line("abcdef", 4), "abc…");
        assert_eq!(line("  a \t b ", 4), "a b");
    }

    #[test]
    fn warns_of_forged_names_and_not_of_foreign_ones() {
        let mut warnings = Warnings::default();
        warnings.look_at(
            &json!({"to": "р\u{61}ypal-prod", "plain": ["München", "Москва", "東京タワー"]}),
        );
        assert_eq!(warnings.mixed.len(), 1);
        assert_eq!(warnings.mixed[0].letters, "р is U+0440");
        assert_eq!(warnings.hidden, 0);
        // One alphabet, but it reads as another.
        warnings.read("\u{440}\u{430}\u{443}\u{440}\u{430}");
        assert_eq!(warnings.mixed.len(), 2);
        for _ in 0..10 {
            warnings.read("p\u{430}y");
        }
        assert_eq!((warnings.mixed.len(), warnings.more), (8, 4));
        warnings.read("a\u{200b}");
        assert_eq!(warnings.hidden, 1);
        let mut long = Warnings::default();
        long.read(&"p\u{430}".repeat(5_000));
        assert_eq!(long.mixed[0].letters, "\u{430} is U+0430");
        assert_eq!(long.mixed[0].word.chars().count(), 60);
    }
}
