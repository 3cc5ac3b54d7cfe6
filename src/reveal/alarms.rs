//! What a reader must be told before deciding.

use std::collections::HashSet;

use serde_json::Value;
use unicode_normalization::UnicodeNormalization;
use unicode_script::{Script, UnicodeScript};

use super::alarm::{Alarm, Deception};
use super::encoded::encoded_words;
use super::hidden::{characters, count_hidden};
use super::line::line;
use super::marks::{code_point, is_usual_form, wrong_marks};
use super::numbers::{mixed_number, mixes_directions};
use super::punctuation::{Context, look_alikes};
use super::words::{forged_words, is_unusual, stand_ins};

/// The alarms about the texts of a request. Ordinary text of any language raises none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Alarms {
    /// The number of hidden characters.
    pub hidden: usize,
    /// The others, at most eight, the most serious first.
    pub named: Vec<Alarm>,
    /// The number of others beyond those, none of them more serious.
    pub more: usize,
    /// Whether there are any about what is withheld from the reader, which none may quote.
    pub withheld: bool,
}

/// The maximum number of alarms with an excerpt.
const NAMED: usize = 8;

/// Limits of an alarm: distinct characters that it describes, and the characters of the excerpt.
const DESCRIBED: usize = 8;
const EXCERPT_CHARS: usize = 60;

/// More blank space than a reader follows: columns within a line, and lines.
const BLANK_COLUMNS: usize = 40;
const BLANK_LINES: usize = 10;

const RIGHT_TO_LEFT: &str = "has numbers beside right-to-left text, which other programs may show reversed: compare \
     them, part by part, as they stand here";

impl Alarms {
    /// Scans a value, including the names of members.
    pub fn scan_value(&mut self, value: &Value) {
        match value {
            Value::String(text) => self.scan(text),
            Value::Array(items) => items.iter().for_each(|item| self.scan_value(item)),
            Value::Object(members) => {
                self.scan_names(members);
                members.values().for_each(|member| self.scan_value(member));
            }
            _ => {}
        }
    }

    pub fn scan(&mut self, text: &str) {
        self.hidden += count_hidden(&characters(text));
        self.scan_words(text);
    }

    pub(super) fn scan_words(&mut self, text: &str) {
        for (word, letters) in forged_words(text) {
            let what = || list(letters, describe_letter);
            self.add(Deception::Letters, word, what);
        }
        let has_words = text.split_whitespace().nth(1).is_some();
        let is_wide = !text.is_ascii() && text.chars().any(is_east_asian);
        for part in text.split_whitespace().filter(|part| !part.is_ascii()) {
            let is_prose = has_words || !is_identifier(part);
            let found = look_alikes(part, Context { is_prose, is_wide });
            if let Some(&(first, _)) = found.first() {
                self.add(Deception::Punctuation, around(part, first), || {
                    list(found, |(c, original)| {
                        format!("‘{c}’ ({}) is not ‘{original}’", code_point(c))
                    })
                });
            }
            let found = stand_ins(part);
            if !found.is_empty() {
                self.add(Deception::StandIns, part, || {
                    list(found, |c| {
                        format!("‘{c}’ ({}) is not a letter", code_point(c))
                    })
                });
            }
            if !is_usual_form(part) {
                self.add(Deception::Form, part, || {
                    let usual: HashSet<char> = part.nfc().collect();
                    let changed = part.chars().filter(|c| !usual.contains(c)).collect();
                    let changed = list(changed, code_point);
                    format!("has characters that are not in the usual form ({changed})")
                });
            }
            if let Some(what) = wrong_marks(part) {
                self.add(Deception::Marks, part, || what);
            }
            if let Some(number) = mixed_number(part) {
                let what = || "has digits of two kinds".to_owned();
                self.add(Deception::Digits, &number, what);
            }
        }
        for part in encoded_words(text) {
            let what = || "is encoded, as in the header of an email".to_owned();
            self.add(Deception::Encoding, part, what);
        }
        for line in text.lines().filter(|line| mixes_directions(line)) {
            self.add(Deception::Direction, line, || RIGHT_TO_LEFT.to_owned());
        }
        if let Some(behind) = behind_blanks(text) {
            let what = || "stands behind a long blank space".to_owned();
            self.add(Deception::Blanks, behind, what);
        }
    }

    /// Adds an alarm behind those that are as serious. What is beyond the maximum is counted.
    pub(super) fn add(
        &mut self,
        deception: Deception,
        excerpt: &str,
        what: impl FnOnce() -> String,
    ) {
        let at = self.named.partition_point(|it| it.deception <= deception);
        if at < NAMED {
            let alarm = Alarm {
                deception,
                excerpt: line(excerpt, EXCERPT_CHARS),
                what: what(),
            };
            self.named.insert(at, alarm);
        }
        if self.named.len() > NAMED || at == NAMED {
            self.named.truncate(NAMED);
            self.more += 1;
        }
    }

    /// Whether there is nothing to tell.
    pub fn is_empty(&self) -> bool {
        self.count() == 0 && !self.withheld
    }

    /// How many there are about what may be quoted.
    pub fn count(&self) -> usize {
        self.hidden + self.named.len() + self.more
    }
}

fn describe_letter(c: char) -> String {
    let script = c.script().full_name().replace('_', " ");
    if is_unusual(c) {
        format!("‘{c}’ ({}) is not an ordinary letter", code_point(c))
    } else {
        format!("‘{c}’ ({}) is a {script} letter", code_point(c))
    }
}

/// Describes distinct items, at most [`DESCRIBED`].
fn list<T: PartialEq + Copy>(items: Vec<T>, describe: impl Fn(T) -> String) -> String {
    let mut distinct: Vec<T> = Vec::new();
    for item in items {
        if !distinct.contains(&item) && distinct.len() < DESCRIBED {
            distinct.push(item);
        }
    }
    let described: Vec<String> = distinct.into_iter().map(describe).collect();
    described.join(", ")
}

/// Whether a character is a letter of Chinese, Japanese or Korean.
fn is_east_asian(c: char) -> bool {
    use Script as S;
    matches!(
        c.script(),
        S::Han | S::Hiragana | S::Katakana | S::Hangul | S::Bopomofo
    )
}

/// Whether a text of one word could be an identifier or a path, rather than a name of a person or a place.
fn is_identifier(word: &str) -> bool {
    let mut letters = word.chars().filter(|c| c.is_alphabetic()).peekable();
    let is_ordinal = word.starts_with(|c: char| c.is_ascii_digit());
    !is_ordinal && letters.peek().is_some() && letters.all(|c| c.is_ascii_lowercase())
}

/// A part of a long word that shows `c` near its start.
fn around(word: &str, c: char) -> &str {
    let at = word.find(c).unwrap_or(0);
    let before = word[..at].char_indices().rev();
    let start = before.take(EXCERPT_CHARS / 3).last();
    &word[start.map_or(at, |(start, _)| start)..]
}

/// What follows many blank characters within a line, or many blank lines.
fn behind_blanks(text: &str) -> Option<&str> {
    let mut blank_lines = 0;
    for line in text.lines() {
        if line.trim().is_empty() {
            blank_lines += 1;
            continue;
        }
        if blank_lines >= BLANK_LINES {
            return Some(line.trim());
        }
        blank_lines = 0;
        let mut rest = line.trim_end();
        while let Some(at) = rest.find(char::is_whitespace) {
            let behind = rest[at..].trim_start();
            let blank = &rest[at..rest.len() - behind.len()];
            if blank.chars().map(columns).sum::<usize>() >= BLANK_COLUMNS {
                return Some(behind);
            }
            rest = behind;
        }
    }
    None
}

/// How many spaces are as wide as a blank character.
fn columns(c: char) -> usize {
    match c {
        '\t' => 4,
        '\u{3000}' | '\u{2003}' => 2,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use unicode_security::skeleton;

    use super::*;

    fn alarms(text: &str) -> Alarms {
        let mut alarms = Alarms::default();
        alarms.scan(text);
        alarms
    }

    #[test]
    fn ordinary_text_raises_no_alarm() {
        for text in [
            "bekræft œuvre kısa Łódź Straße Ærø İstanbul Ħal Đorđe",
            "Вера",
            "Вера Иванова",
            "Привет, мир: оплата 18 000 руб. и НДС",
            "Web会議 Tシャツ 東京タワー ＡＢＣ 株式会社（前株）",
            "½ kg H₂O, 5 µm, Σ-names, Δt, 10 Ω, x², 1ª, 2º, 20 °C, “quoted” – and … so",
            "κόσμος Αθήνα",
            "한국어 텍스트 kimchi김치",
            "Prix\u{a0}: 5\u{202f}000\u{202f}€\r\nMerci",
            "می\u{200c}خواهم سارة",
            "हिन्दी में पाठ ภาษาไทย Tiếng Việt",
            "👩\u{200d}💻 ❤\u{fe0f}",
            "fn main() { println!(\"{}\", 1 + 2); }",
            "if x:\n        return y",
        ] {
            assert_eq!(alarms(text), Alarms::default(), "{text}");
        }
    }

    #[test]
    fn a_deception_is_named_and_explained() {
        for (text, excerpt, what) in [
            (
                "р\u{61}ypal-prod",
                "рaypal",
                "‘р’ (U+0440) is a Cyrillic letter",
            ),
            (
                "Send to p\u{430}ypal",
                "pаypal",
                "‘а’ (U+0430) is a Cyrillic letter",
            ),
            (
                "https://\u{430}\u{440}\u{440}\u{4cf}\u{435}.com",
                "арр\u{4cf}е",
                "‘а’ (U+0430) is a Cyrillic letter, ‘р’ (U+0440) is a Cyrillic letter, \
                 ‘ӏ’ (U+04CF) is a Cyrillic letter, ‘е’ (U+0435) is a Cyrillic letter",
            ),
            ("дoм", "дoм", "‘o’ (U+006F) is a Latin letter"),
            (
                "\u{1d429}ay",
                "𝐩ay",
                "‘𝐩’ (U+1D429) is not an ordinary letter",
            ),
            (
                "contracts\u{2215}old",
                "contracts∕old",
                "‘∕’ (U+2215) is not ‘/’",
            ),
            (
                "Zoe\u{308}",
                "Zoe\u{308}",
                "has characters that are not in the usual form (U+0065, U+0308)",
            ),
            (
                "=?utf-8?q?Pay?=",
                "=?utf-8?q?Pay?=",
                "is encoded, as in the header of an email",
            ),
            ("حساب 111-222", "حساب 111-222", RIGHT_TO_LEFT),
            (
                &format!("harmless{}rm -rf /", " ".repeat(60)),
                "rm -rf /",
                "stands behind a long blank space",
            ),
            (
                &format!("harmless{}rm -rf /", "\n".repeat(20)),
                "rm -rf /",
                "stands behind a long blank space",
            ),
        ] {
            let found = alarms(text);
            let named = found
                .named
                .iter()
                .map(|it| (it.excerpt.as_str(), it.what.as_str()));
            let named: Vec<_> = named.collect();
            assert_eq!(named, [(excerpt, what)], "{text}");
        }
        assert_eq!(alarms(&format!("Z{}o", "\u{36f}".repeat(6))).named.len(), 1);
        assert_eq!(alarms("a\u{200b}").hidden, 1);
    }

    /// Article 1 in 67 languages and 30 scripts; and the emoji sequences, units and code of other tests.
    #[test]
    fn the_declaration_of_human_rights_raises_no_alarm_in_any_language() {
        let texts = include_str!("../../tests/texts/declaration.json");
        let texts: std::collections::BTreeMap<String, String> =
            serde_json::from_str(texts).unwrap();
        assert!(texts.len() >= 60, "{}", texts.len());
        for (language, text) in texts {
            let found = alarms(&text);
            assert_eq!(found, Alarms::default(), "{language}: {text}");
        }
    }

    /// Each character that Unicode calls confusable with a letter of ASCII, in words with that letter.
    #[test]
    fn every_look_alike_of_a_letter_is_found_in_a_word() {
        // Letters of alphabets in use, which ordinary words contain.
        let ordinary = "þıƒɌɣɩʋ";
        let words = [
            "payment",
            "jackfrost",
            "quizvow",
            "bighand",
            "mexico",
            "TRANSFER",
        ];
        let mut tried = 0;
        for c in ('\u{80}'..'\u{1d800}').filter(|c| !ordinary.contains(*c)) {
            let like: String = skeleton(&c.to_string()).collect();
            // UTS 39 has two letters for `m`.
            let like = if like == "rn" { "m" } else { &like };
            let Ok(letter) = like.parse::<char>() else {
                continue;
            };
            if !letter.is_ascii_alphabetic() {
                continue;
            }
            for word in words.iter().filter(|word| word.contains(letter)) {
                let forged = word.replacen(letter, &c.to_string(), 1);
                assert!(!alarms(&forged).is_empty(), "{forged} {}", code_point(c));
                tried += 1;
            }
        }
        assert!(tried > 1_000, "{tried}");
    }

    #[test]
    fn a_symbol_that_resembles_several_letters_is_found_in_a_word() {
        for (word, what) in [
            ("b\u{221e}kings", "‘∞’ (U+221E) is not a letter"),
            ("se\u{2225}er", "‘∥’ (U+2225) is not a letter"),
        ] {
            assert_eq!(alarms(word).named[0].what, what);
        }
        assert_eq!(alarms("№ABC 5㎏ ∞"), Alarms::default());
    }

    #[test]
    fn alarms_are_short_and_counted() {
        let many = alarms(&"p\u{430}y ".repeat(10));
        assert_eq!((many.named.len(), many.more), (8, 2));
        let long = alarms(&"p\u{430}".repeat(5_000));
        assert_eq!(long.named[0].excerpt.chars().count(), 60);
    }
}
