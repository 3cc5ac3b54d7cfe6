//! Punctuation that resembles another: a character that a reader takes for one of ASCII, such as U+2215 for
//! a slash. What resembles what is taken from the confusables of Unicode (UTS 39) and from NFKC.

use unicode_normalization::UnicodeNormalization;
use unicode_script::{Script, UnicodeScript};
use unicode_security::skeleton;

use super::words::single;

/// Typographic quotes, dashes, primes, accents and emoji, which ordinary text contains.
const ORDINARY: [char; 18] = [
    '\u{B4}', '\u{B8}', '\u{2DC}', '\u{2012}', '\u{2013}', '\u{2018}', '\u{2019}', '\u{201A}',
    '\u{201B}', '\u{2032}', '\u{2035}', '\u{2039}', '\u{203A}', '\u{2795}', '\u{2796}', '\u{384}',
    '\u{1FBD}', '\u{1FBF}',
];

/// Full-width forms that stand in Chinese and Japanese text as a comma does in English, also beside Latin
/// letters.
const ORDINARY_WIDE: [char; 10] = ['！', '％', '（', '）', '＋', '，', '－', '：', '；', '？'];

/// What a word is part of, as far as its punctuation depends on that.
#[derive(Clone, Copy)]
pub(super) struct Context {
    /// Several words, between which a typographic hyphen is ordinary.
    pub(super) is_prose: bool,
    /// A text with letters of East Asia, in which full-width punctuation is ordinary.
    pub(super) is_wide: bool,
}

/// The characters of a word that resemble ASCII punctuation, with what they resemble.
pub(super) fn look_alikes(text: &str, context: Context) -> Vec<(char, char)> {
    let is_prose = context.is_prose;
    let chars: Vec<char> = text.chars().collect();
    let mut found: Vec<(char, char)> = Vec::new();
    for (at, &c) in chars.iter().enumerate() {
        if c.is_ascii() || found.iter().any(|(other, _)| *other == c) {
            continue;
        }
        let before = at.checked_sub(1).and_then(|at| chars.get(at));
        let neighbours = [before, chars.get(at + 1)];
        let is_in_wide_text = neighbours.into_iter().flatten().any(|c| *c >= '\u{2E80}');
        if let Some(original) = within_latin(c, neighbours, context.is_wide) {
            found.push((c, original));
            continue;
        }
        if is_hyphen(c) && is_prose && is_in_words(neighbours) {
            continue;
        }
        if c == '\u{2024}' && before.is_some_and(|c| c.script() == Script::Armenian) {
            continue;
        }
        // A minus sign.
        if c == '\u{2212}' && chars.get(at + 1).is_some_and(char::is_ascii_digit) {
            continue;
        }
        if is_wide(c) && (ORDINARY_WIDE.contains(&c) || is_in_wide_text) {
            continue;
        }
        if let Some(original) = resembles(c) {
            found.push((c, original));
        }
    }
    found
}

fn is_hyphen(c: char) -> bool {
    matches!(c, '\u{2010}' | '\u{2011}')
}

/// Whether a hyphen joins words, ends one (`pre- and post-`) or stands alone: not before an option or in a number.
fn is_in_words([before, after]: [Option<&char>; 2]) -> bool {
    match (before, after) {
        (None, after) => after.is_none(),
        (Some(before), _) if before.is_ascii_punctuation() || is_hyphen(*before) => false,
        (Some(before), after) => !(before.is_numeric() && after.is_some_and(|c| c.is_numeric())),
    }
}

/// What a character resembles between letters or digits of ASCII, where no language writes it: in a host, a number or
/// an identifier.
fn within_latin(c: char, neighbours: [Option<&char>; 2], is_wide_text: bool) -> Option<char> {
    let [before, after] = neighbours;
    // A letter of phonetics, between letters alone.
    if matches!(c, '\u{2D0}' | '\u{2F8}') {
        return after
            .filter(|c| c.is_ascii() && !c.is_alphabetic())
            .map(|_| ':');
    }
    if !before.is_some_and(char::is_ascii_alphanumeric)
        || !after.is_some_and(char::is_ascii_alphanumeric)
    {
        return None;
    }
    match c {
        // Names of hosts may have these dots.
        '\u{3002}' | '\u{FF61}' if !is_wide_text => Some('.'),
        _ if is_wide(c) && !is_wide_text => punctuation(c.to_string().nfkc()),
        // The low quote.
        '\u{201A}' => Some(','),
        // Arabic separators of numbers, the full stops of Armenian and others.
        '\u{589}'
        | '\u{5C3}'
        | '\u{60D}'
        | '\u{66A}'..='\u{66D}'
        | '\u{6D4}'
        | '\u{700}'..='\u{703}' => Some(punctuation(skeleton(&c.to_string())).unwrap_or(',')),
        _ => None,
    }
}

fn is_wide(c: char) -> bool {
    matches!(c, '\u{FF00}'..='\u{FFEF}')
}

/// The punctuation of ASCII that a character resembles. Punctuation of one script, such as the Arabic comma,
/// is ordinary text.
fn resembles(c: char) -> Option<char> {
    let is_shared = matches!(
        c,
        // Modifiers, general punctuation and symbols, and small and full-width forms.
        '\u{A0}'..='\u{BF}' | '\u{2B0}'..='\u{2FF}' | '\u{37E}' | '\u{384}' | '\u{1FBD}'..='\u{1FFE}'
            | '\u{2000}'..='\u{2BFF}' | '\u{2E00}'..='\u{2E7F}' | '\u{A789}' | '\u{A78A}' | '\u{FB29}'
            | '\u{FE50}'..='\u{FE6F}' | '\u{FF00}'..='\u{FFEF}' | '\u{1D100}'..='\u{1D24F}'
            | '\u{1F650}'..='\u{1F67F}'
    );
    if !is_shared || c.is_alphanumeric() || ORDINARY.contains(&c) {
        return None;
    }
    let text = c.to_string();
    let is_form = c >= '\u{FE50}';
    punctuation(skeleton(&text)).or_else(|| punctuation(text.nfkc()).filter(|_| is_form))
}

/// The only character, if it is punctuation of ASCII.
fn punctuation(chars: impl Iterator<Item = char>) -> Option<char> {
    single(chars).filter(char::is_ascii_punctuation)
}
