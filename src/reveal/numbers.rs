//! Numbers that could be read as others: beside right-to-left text, and of digits of two kinds.

use unicode_bidi::{BidiClass, bidi_class};
use unicode_properties::{GeneralCategory, UnicodeGeneralCategory};

/// Whether numbers that belong together, such as those of a date, stand beside right-to-left text, which can change
/// their order. A number with its separators, such as a sum or a time, keeps its order; a range of years can be read
/// either way.
pub(super) fn mixes_directions(line: &str) -> bool {
    if line.is_ascii() {
        return false;
    }
    let is_letter = |c: char| matches!(bidi_class(c), BidiClass::L | BidiClass::R | BidiClass::AL);
    let has_several = |part: &str| {
        let numbers = numbers(part);
        numbers.len() > 1 && !is_range_of_years(&numbers)
    };
    line.chars()
        .any(|c| matches!(bidi_class(c), BidiClass::R | BidiClass::AL))
        && line.split(is_letter).any(has_several)
}

/// The first number of a word that has digits of ASCII and others, such as full-width ones.
pub(super) fn mixed_number(word: &str) -> Option<String> {
    let is_mixed = |number: &String| {
        let digits = || number.chars().filter(|c| is_digit(*c));
        digits().any(|c| c.is_ascii()) && digits().any(|c| !c.is_ascii())
    };
    numbers(word).into_iter().find(is_mixed)
}

/// The numbers of a text, each with the separators between its digits.
fn numbers(text: &str) -> Vec<String> {
    let chars: Vec<char> = text.chars().collect();
    let mut numbers: Vec<String> = Vec::new();
    let mut joins = false;
    for (at, &c) in chars.iter().enumerate() {
        if is_digit(c) {
            match numbers.last_mut().filter(|_| joins) {
                Some(number) => number.push(c),
                None => numbers.push(c.to_string()),
            }
            joins = true;
        } else {
            joins = joins && is_separator(c) && chars.get(at + 1).is_some_and(|c| is_digit(*c));
            if let Some(number) = numbers.last_mut().filter(|_| joins) {
                number.push(c);
            }
        }
    }
    numbers
}

/// A digit, also one of Arabic.
fn is_digit(c: char) -> bool {
    c.general_category() == GeneralCategory::DecimalNumber
}

/// The digit of ASCII as which people read a digit of another script.
pub fn plain_digit(c: char) -> Option<char> {
    if c.is_ascii() || !is_digit(c) {
        return None;
    }
    // The digits of a script follow each other, from zero to nine.
    let below = |c: char| char::from_u32(u32::from(c) - 1).filter(|c| is_digit(*c));
    let value = std::iter::successors(below(c), |c| below(*c)).count() % 10;
    char::from_digit(value as u32, 10)
}

/// What joins the digits of one number, in any direction (UAX 9, rule W4).
fn is_separator(c: char) -> bool {
    matches!(
        c,
        '.' | ',' | ':' | '\u{66B}' | '\u{66C}' | '\u{A0}' | '\u{202F}'
    )
}

fn is_range_of_years(numbers: &[String]) -> bool {
    let is_year = |number: &String| {
        number.chars().count() == 4 && number.starts_with(['1', '2', '١', '٢', '۱', '۲'])
    };
    numbers.len() == 2 && numbers.iter().all(is_year)
}
