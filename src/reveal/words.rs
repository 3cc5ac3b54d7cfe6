//! Words that could be mistaken for others: letters of another script, or letters that no language writes so.
//!
//! What resembles what is taken from the confusables of Unicode (UTS 39), what a letter is from its scripts and
//! from the identifier status of UTS 39.

use std::cell::LazyCell;

use unicode_properties::UnicodeEmoji;
use unicode_script::{Script, UnicodeScript};
use unicode_security::{GeneralSecurityProfile, skeleton};

/// A word of fewer letters of ASCII may be a formula, such as `L\u{d7}W`.
const STAND_IN_LETTERS: usize = 3;

/// Full-width letters, and Roman numerals of one character: forgeries in a word with letters of ASCII alone.
const FULL_WIDTH_FIRST: char = '\u{FF21}';
const FULL_WIDTH_LAST: char = '\u{FF5A}';
const ROMAN_FIRST: char = '\u{2160}';
const ROMAN_LAST: char = '\u{217F}';

/// The letters of a text that could be mistaken for others, by words, each with the letter of ASCII that it
/// resembles if it does.
pub(super) fn forged_words(text: &str) -> Vec<(&str, Vec<char>)> {
    let mut found = Vec::new();
    let language = LazyCell::new(|| Language::of(text));
    for part in text.split_whitespace().filter(|part| !part.is_ascii()) {
        let place = LazyCell::new(|| Place::of(part));
        for word in words(part).filter(|word| !word.is_ascii()) {
            let is_among_latin = || match place.beside(word) {
                Some(Beside::Letters) => !is_term(text, part, word),
                Some(Beside::Digits) => !is_numbered(&language, word),
                None => language.reads_as_latin(),
            };
            let letters = forged_letters(word, is_among_latin);
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
    let has_ascii = letters().any(|c| c.is_ascii());
    // Forms that no language spells its words with, such as those of mathematics.
    let is_forged = |&(at, c): &(usize, char)| match c {
        FULL_WIDTH_FIRST..=FULL_WIDTH_LAST | ROMAN_FIRST..=ROMAN_LAST => {
            has_ascii && c.is_alphanumeric()
        }
        // A symbol of units and sets, such as `\u{211d}`, by itself.
        '\u{2100}'..='\u{214F}' if word.chars().nth(1).is_none() => false,
        _ => is_unusual(c) && !follows_digit(word, at),
    };
    let unusual = word.char_indices().filter(is_forged);
    let unusual: Vec<char> = unusual.map(|(_, c)| c).collect();
    if !unusual.is_empty() {
        return unusual;
    }
    let foreign = || letters().filter(|c| has_look_alikes(c.script()));
    if letters().any(|c| c.script() == Script::Latin) {
        let alike = alike_among_latin(word);
        if !alike.is_empty() {
            return alike;
        }
        // A Latin letter in a word of such a script.
        let borrowed = letters().filter(|c| c.is_ascii() && is_like_cyrillic_or_greek(*c));
        let borrowed: Vec<char> = borrowed.collect();
        if foreign().filter(|c| is_of_latin_shape(*c)).nth(1).is_some() && !borrowed.is_empty() {
            return borrowed;
        }
        return foreign().filter(|c| is_like_small_capital(*c)).collect();
    }
    let is_alike = |c: char| c.is_ascii_alphanumeric() || is_like_ascii(c);
    let mut scripts = foreign().map(|c| c.script());
    let is_mixed = scripts
        .next()
        .is_some_and(|first| scripts.any(|script| script != first));
    // The whole word reads as Latin: ordinary in its own language, a forgery in a host or an identifier, or if it
    // is of two languages.
    if word.chars().all(is_alike)
        && foreign().next().is_some()
        && (is_mixed || stands_for_zero(word) || is_among_latin())
    {
        return foreign().filter(|c| is_like_ascii(*c)).collect();
    }
    Vec::new()
}

/// The letters of a word with Latin ones that could be mistaken for Latin. Those of an alphabet of another shape, such
/// as Arabic or Thai, are ordinary beside a Latin name, unless all that stand together could be.
fn alike_among_latin(word: &str) -> Vec<char> {
    let chars: Vec<char> = word.chars().filter(|c| c.is_alphabetic()).collect();
    let is_foreign = |c: &char| has_look_alikes(c.script());
    let runs = chars.chunk_by(|one, next| is_foreign(one) == is_foreign(next));
    let runs = runs.filter(|run| run.first().is_some_and(is_foreign));
    let forged = runs.filter(|run| {
        run.iter()
            .all(|c| is_of_latin_shape(*c) || is_like_ascii(*c))
    });
    forged
        .flatten()
        .copied()
        .filter(|c| is_like_ascii(*c))
        .collect()
}

/// Whether a letter is of an alphabet that shares the shapes of its letters with Latin.
pub(super) fn is_of_latin_shape(c: char) -> bool {
    use Script as S;
    matches!(
        c.script(),
        S::Cyrillic | S::Greek | S::Coptic | S::Armenian | S::Cherokee | S::Lisu
    )
}

/// Whether a word is a number in which a letter stands for a zero, such as `1\u{41e}0`.
fn stands_for_zero(word: &str) -> bool {
    let chars: Vec<char> = word.chars().collect();
    let is_zero = |c: char| is_of_latin_shape(c) && matches!(like_ascii(c), Some('o' | 'O'));
    let is_digit = char::is_ascii_digit;
    chars.iter().any(is_digit) && chars.iter().all(|c| is_digit(c) || is_zero(*c))
}

/// The letters of a text, each looked up once, since a text may have thousands of words.
struct Language {
    has_ascii: bool,
    /// The scripts of the letters that cannot be read as Latin.
    others: Vec<Script>,
}

impl Language {
    fn of(text: &str) -> Self {
        let mut others = Vec::new();
        for c in text.chars().filter(|c| c.is_alphabetic()) {
            let script = c.script();
            if script != Script::Latin && !others.contains(&script) && !is_like_ascii(c) {
                others.push(script);
            }
        }
        let has_ascii = text.contains(|c: char| c.is_ascii_alphabetic());
        Self { has_ascii, others }
    }

    /// Whether all words of the text are Latin or read as such.
    fn reads_as_latin(&self) -> bool {
        self.has_ascii && self.others.is_empty()
    }
}

/// Whether a part of a text could be a host or an identifier, and what of ASCII it has.
struct Place {
    is_name: bool,
    has_letters: bool,
    digits: usize,
}

enum Beside {
    Letters,
    Digits,
}

impl Place {
    fn of(part: &str) -> Self {
        Self {
            is_name: part.contains(['.', '@', '/', '\\', '_', '-', ':']),
            has_letters: part.contains(|c: char| c.is_ascii_alphabetic()),
            digits: digits(part),
        }
    }

    /// What stands in a host or an identifier beside a word without letters of ASCII.
    fn beside(&self, word: &str) -> Option<Beside> {
        if !self.is_name {
            None
        } else if self.has_letters {
            Some(Beside::Letters)
        } else {
            (self.digits > digits(word)).then_some(Beside::Digits)
        }
    }
}

fn digits(text: &str) -> usize {
    text.chars().filter(char::is_ascii_digit).count()
}

/// Whether a word in a sentence is the Greek letter of a term, such as `\u{3b1}-particles`.
fn is_term(text: &str, part: &str, word: &str) -> bool {
    let is_sentence = part.len() < text.trim().len();
    let term = part
        .strip_prefix(word)
        .and_then(|rest| rest.strip_prefix('-'));
    is_sentence
        && matches!(
            word,
            "\u{3b1}" | "\u{3b3}" | "\u{3bd}" | "\u{3c1}" | "\u{3c3}"
        )
        && term.is_some_and(|rest| {
            rest.chars()
                .all(|c| c.is_ascii_alphabetic() || ",;:!?".contains(c))
        })
}

/// Whether a word beside numbers is ordinary: one letter, as of a house or an ordinal, or a word in a text of its
/// language, such as the name of a type.
fn is_numbered(language: &Language, word: &str) -> bool {
    let mut letters = word.chars().filter(|c| c.is_alphabetic());
    let Some(first) = letters.next() else {
        return false;
    };
    let is_letter = letters.next().is_none() && !matches!(like_ascii(first), Some('o' | 'O'));
    is_letter || language.others.contains(&first.script())
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
    like_ascii(c).is_some()
}

/// The letter or digit of ASCII that another character resembles.
fn like_ascii(c: char) -> Option<char> {
    let like = like(c).filter(char::is_ascii_alphanumeric);
    like.filter(|_| !c.is_ascii())
}

/// Whether a symbol resembles letters of ASCII, one or several.
fn is_like_letters(c: char) -> bool {
    let letters = symbol_like(c);
    letters.is_some_and(|text| text.chars().all(|c| c.is_ascii_alphabetic()))
}

/// What of ASCII a symbol, or punctuation, of other characters resembles.
pub(super) fn symbol_like(c: char) -> Option<String> {
    if c.is_ascii() || c.is_alphanumeric() {
        return None;
    }
    let like: String = skeleton(&c.to_string()).collect();
    (like.is_ascii() && !like.is_empty()).then_some(like)
}

/// Whether a letter is one of the Cyrillic ones that resemble Latin small capitals, such as `к`.
fn is_like_small_capital(c: char) -> bool {
    c.script() == Script::Cyrillic && like(c).is_some_and(|c| c.script() == Script::Latin)
}

/// The one character that another resembles. UTS 39 has two for `m`, which resembles `rn`.
fn like(c: char) -> Option<char> {
    let text = c.to_string();
    if skeleton(&text).eq(['r', 'n']) {
        return Some('m');
    }
    single(skeleton(&text))
}

fn is_like_cyrillic_or_greek(c: char) -> bool {
    "aceijopsvxyABCEHIJKMNOPSTXYZ".contains(c)
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
        && is_like_ascii(c)
}

/// An ordinal, such as `1ª` and `2º`, or an exponent.
fn follows_digit(word: &str, at: usize) -> bool {
    word[..at].ends_with(|c: char| c.is_ascii_digit())
}

/// The only character.
pub(super) fn single(mut chars: impl Iterator<Item = char>) -> Option<char> {
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
    let is_candidate = |c: &char| {
        let is_foreign = c.is_alphabetic() && has_look_alikes(c.script());
        let is_latin = c.script() == Script::Latin && !matches!(c, '\u{FF00}'..='\u{FFEF}');
        let is_like = like_ascii(*c).is_some_and(|c| c.is_ascii_alphabetic());
        (is_like || is_like_letters(*c)) && !is_foreign && !is_latin
    };
    let runs: Vec<&[char]> = chars
        .chunk_by(|one, next| is_candidate(one) == is_candidate(next))
        .collect();
    let mut found = Vec::new();
    for (index, run) in runs.iter().enumerate() {
        let before = index.checked_sub(1).and_then(|index| runs[index].last());
        let after = runs.get(index + 1).and_then(|run| run.first());
        // In Spanish `¡` begins an exclamation, in Russian `№` a number.
        let begins = matches!(run[0], '¡' | '№') && before.is_none();
        if is_candidate(&run[0]) && [before, after].into_iter().flatten().all(is_letter) && !begins
        {
            found.extend_from_slice(run);
        }
    }
    found
}
