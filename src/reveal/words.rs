//! Words that could be mistaken for others: letters of another script, or letters that no language writes so.
//!
//! What resembles what is taken from the confusables of Unicode (UTS 39), what a letter is from its scripts and
//! from the identifier status of UTS 39.

use unicode_normalization::is_nfc;
use unicode_properties::UnicodeEmoji;
use unicode_script::{Script, UnicodeScript};
use unicode_security::{
    GeneralSecurityProfile, MixedScript, RestrictionLevel, RestrictionLevelDetection, skeleton,
};

use super::hidden::is_hidden;
use super::punctuation::look_alikes;

/// A word of fewer letters of ASCII may be a formula, such as `L\u{d7}W`.
const STAND_IN_LETTERS: usize = 3;

/// The letters of a text that could be mistaken for others, by words, each with the letter of ASCII that it
/// resembles if it does.
pub(super) fn forged_words(text: &str) -> Vec<(&str, Vec<char>)> {
    let mut found = Vec::new();
    for part in text.split_whitespace().filter(|part| !part.is_ascii()) {
        for word in words(part).filter(|word| !word.is_ascii()) {
            let letters = forged_letters(word, || is_among_latin(text, part, word));
            if !letters.is_empty() {
                found.push((word, letters));
            }
        }
    }
    found
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    let is_part = |c: char| c.is_alphanumeric() || c.script() == Script::Inherited;
    text.split(move |c: char| !is_part(c))
        .filter(|word| !word.is_empty())
}

fn forged_letters(word: &str, is_among_latin: impl Fn() -> bool) -> Vec<char> {
    let letters = || word.chars().filter(|c| c.is_alphabetic());
    // Forms that no language spells its words with, such as those of mathematics.
    let unusual: Vec<char> = word
        .char_indices()
        .filter(|(at, c)| is_unusual(*c) && !follows_digit(word, *at))
        .map(|(_, c)| c)
        .collect();
    if !unusual.is_empty() {
        return unusual;
    }
    let scripts = |is: fn(Script) -> bool| letters().any(|c| is(c.script()));
    let foreign = letters().filter(|c| has_look_alikes(c.script()));
    let alike: Vec<char> = foreign.filter(|c| is_like_ascii(*c)).collect();
    if scripts(|script| script == Script::Latin) {
        if !alike.is_empty() {
            return alike;
        }
        // A Latin letter in a word of such a script.
        let borrowed = letters().filter(|c| c.is_ascii() && is_like_cyrillic_or_greek(*c));
        return match letters().filter(|c| has_look_alikes(c.script())).count() {
            2.. => borrowed.collect(),
            _ => Vec::new(),
        };
    }
    // The whole word reads as Latin: ordinary in its own language, a forgery in a host or an identifier.
    if !alike.is_empty() && skeleton(word).all(|c| c.is_ascii()) && is_among_latin() {
        return alike;
    }
    Vec::new()
}

/// Whether a word stands in a host or an identifier with Latin letters or digits, or as the only one of its script
/// among Latin words.
fn is_among_latin(text: &str, part: &str, word: &str) -> bool {
    let others = |text: &str| text.replacen(word, "", 1);
    let is_name = |c: char| matches!(c, '.' | '@' | '/' | '\\' | '_' | '-' | ':');
    let beside = others(part);
    if beside.contains(is_name) && beside.contains(|c: char| c.is_ascii_alphanumeric()) {
        return true;
    }
    let rest = others(text);
    let mut letters = rest.chars().filter(|c| c.is_alphabetic()).peekable();
    letters.peek().is_some() && letters.all(|c| c.script() == Script::Latin)
}

/// A script with letters that look Latin.
fn has_look_alikes(script: Script) -> bool {
    use Script as S;
    !matches!(
        script,
        S::Latin
            | S::Common
            | S::Inherited
            | S::Han
            | S::Hiragana
            | S::Katakana
            | S::Hangul
            | S::Bopomofo
    )
}

/// Whether a letter resembles one of ASCII.
fn is_like_ascii(c: char) -> bool {
    !c.is_ascii() && single(skeleton(&c.to_string())).is_some_and(|c| c.is_ascii_alphanumeric())
}

fn is_like_cyrillic_or_greek(c: char) -> bool {
    matches!(
        c,
        'a' | 'c' | 'e' | 'i' | 'j' | 'o' | 'p' | 's' | 'v' | 'x' | 'y'
    ) || matches!(
        c,
        'A' | 'B'
            | 'C'
            | 'E'
            | 'H'
            | 'I'
            | 'J'
            | 'K'
            | 'M'
            | 'N'
            | 'O'
            | 'P'
            | 'S'
            | 'T'
            | 'X'
            | 'Y'
            | 'Z'
    )
}

/// A letter or digit that looks like one of ASCII and that UTS 39 allows in no identifier. Full-width forms
/// are ordinary in Chinese and Japanese.
pub(super) fn is_unusual(c: char) -> bool {
    !c.is_ascii()
        && c.is_alphanumeric()
        && matches!(c.script(), Script::Latin | Script::Common)
        && !c.identifier_allowed()
        && !c.is_emoji_char()
        && !matches!(c, '\u{FF00}'..='\u{FFEF}')
        && (single(skeleton(&c.to_string())).is_some_and(|c| c.is_ascii_alphanumeric()))
}

/// An ordinal, such as `1ª` and `2º`, or an exponent.
fn follows_digit(word: &str, at: usize) -> bool {
    word[..at].ends_with(|c: char| c.is_ascii_digit())
}

fn single(mut chars: impl Iterator<Item = char>) -> Option<char> {
    let first = chars.next()?;
    chars.next().is_none().then_some(first)
}

/// The symbols, digits and East Asian characters in a word that stand where a letter of ASCII would, which they
/// resemble: `mex\u{d7}ico`.
pub(super) fn stand_ins(part: &str) -> Vec<char> {
    let chars: Vec<char> = part.chars().collect();
    let is_letter = |c: &char| c.is_ascii_alphabetic();
    if chars.iter().filter(|c| is_letter(c)).count() < STAND_IN_LETTERS {
        return Vec::new();
    }
    let at = |at: Option<usize>| at.and_then(|at| chars.get(at));
    let stands_in = |(index, c): &(usize, &char)| {
        let beside = [at(index.checked_sub(1)), at(Some(index + 1))];
        // In Spanish `¡` begins an exclamation.
        let begins = **c == '¡' && beside[0].is_none();
        let is_in_word = beside.iter().flatten().all(|c| is_letter(c)) && !begins;
        let is_foreign = c.is_alphabetic() && has_look_alikes(c.script());
        let is_latin = c.script() == Script::Latin && !matches!(c, '\u{FF00}'..='\u{FFEF}');
        is_in_word && !is_foreign && !is_latin && is_like_letter(**c)
    };
    let found = chars.iter().enumerate().filter(stands_in);
    found.map(|(_, c)| *c).collect()
}

fn is_like_letter(c: char) -> bool {
    !c.is_ascii() && single(skeleton(&c.to_string())).is_some_and(|c| c.is_ascii_alphabetic())
}

/// Whether a text could be read as another: stricter than an alarm, for a rule that must not be evaded. Ordinary
/// words, such as `Вера`, can be read as others too.
pub fn is_confusable(text: &str) -> bool {
    let is_confusable = |word: &str| {
        !word.is_single_script()
            || !word.check_restriction_level(RestrictionLevel::HighlyRestrictive)
            || skeleton(word).all(|c| c.is_ascii())
    };
    let mut words = text.split(|c: char| !c.is_alphanumeric() && c != '-' && c != '_');
    text.chars().any(is_hidden)
        || !is_nfc(text)
        || !look_alikes(text, false).is_empty()
        || words.any(|word| !word.is_ascii() && is_confusable(word))
}
