//! Texts that could be read as others: stricter than an alarm, for a rule that must not be evaded.

use unicode_normalization::is_nfc;
use unicode_properties::{GeneralCategoryGroup, UnicodeGeneralCategory};
use unicode_script::{Script, UnicodeScript};
use unicode_security::{MixedScript, RestrictionLevel, RestrictionLevelDetection, skeleton};

use super::hidden::is_hidden;
use super::punctuation::{Context, look_alikes};
use super::words::{is_of_latin_shape, symbol_like};

/// A text that is judged without its language.
const PLAIN: Context = Context {
    is_prose: false,
    is_wide: true,
};

/// Forms of punctuation in vertical text, which resemble other characters in a line.
const VERTICAL: std::ops::RangeInclusive<char> = '\u{FE30}'..='\u{FE4F}';

/// Whether a text could be read as another. Ordinary words, such as `Вера`, can be read as others too.
pub fn is_confusable(text: &str) -> bool {
    if text.is_ascii() {
        return text.chars().any(is_hidden);
    }
    let is_confusable = |word: &str| {
        !word.is_single_script()
            || !word.check_restriction_level(RestrictionLevel::HighlyRestrictive)
            || skeleton(word).all(|c| c.is_ascii())
    };
    let mut words = text.split(|c: char| !is_part(c));
    text.chars().any(is_hidden)
        || !is_nfc(text)
        || !look_alikes(text, PLAIN).is_empty()
        || has_symbol_for_letters(text)
        || words.any(|word| !word.is_ascii() && is_confusable(word))
}

/// Whether a character is part of a word. So is a mark, which may be of another script.
fn is_part(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '-' | '_') || is_of(c, GeneralCategoryGroup::Mark)
}

/// Whether a symbol that resembles letters or digits, such as `∣`, stands beside a letter. Between digits and by itself
/// it is ordinary, as in `3×4`; at an end of a word punctuation is, such as `¡` and the danda.
fn has_symbol_for_letters(text: &str) -> bool {
    let chars: Vec<char> = text.chars().collect();
    let is_letter =
        |c: &&char| c.is_alphabetic() && (c.script() == Script::Latin || is_of_latin_shape(**c));
    let stands_for_letters = |(at, &c): (usize, &char)| {
        if c.is_ascii() || c.is_alphanumeric() {
            return false;
        }
        let before = at.checked_sub(1).and_then(|at| chars.get(at));
        let neighbours = || [before, chars.get(at + 1)].into_iter().flatten();
        let is_inside = neighbours().filter(|c| c.is_alphanumeric()).count() == 2;
        let is_in_word = neighbours().any(|c| is_letter(&c))
            && (is_inside || !is_of(c, GeneralCategoryGroup::Punctuation));
        (is_in_word || VERTICAL.contains(&c))
            && symbol_like(c).is_some_and(|like| like.chars().all(char::is_alphanumeric))
    };
    chars.iter().enumerate().any(stands_for_letters)
}

fn is_of(c: char, group: GeneralCategoryGroup) -> bool {
    c.general_category_group() == group
}
