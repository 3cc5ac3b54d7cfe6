//! Characters that do not show, or change the order of what shows.

use unicode_bidi::{BidiClass, bidi_class};
use unicode_properties::{
    GeneralCategory, GeneralCategoryGroup, UnicodeEmoji, UnicodeGeneralCategory,
};
use unicode_script::{Script, UnicodeScript};

/// The subregions whose flags are sequences of tags (UTS 51): England, Scotland, Wales.
const TAGGED_FLAGS: [&str; 3] = ["gbeng", "gbsct", "gbwls"];

/// Whether `c` is invisible or changes the order of the text around it. A space, a tab and a line end
/// show in the layout.
pub fn is_hidden(c: char) -> bool {
    use GeneralCategory::{
        Control, Format, LineSeparator, ParagraphSeparator, PrivateUse, SpaceSeparator, Unassigned,
    };
    if c.is_ascii() {
        return c.is_ascii_control() && !matches!(c, '\n' | '\t');
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
            | 0xFFA0 | 0xFFFC | 0x16FE4 | 0x1D159 | 0xE0000..=0xE0FFF
    )
}

/// Whether anything of a text shows.
pub fn is_shown(text: &str) -> bool {
    text.chars().any(|c| !c.is_whitespace() && !is_hidden(c))
}

/// The characters of a text, each with whether it is hidden where it stands. Ordinary text has some that are not:
/// no-break spaces, CRLF, and what makes an emoji or joins the letters of a word in some scripts.
pub fn characters(text: &str) -> Vec<(char, bool)> {
    let chars: Vec<char> = text.chars().collect();
    let mut marked: Vec<(char, bool)> = chars
        .iter()
        .enumerate()
        .map(|(at, &c)| (c, is_hidden(c) && !is_ordinary(&chars, at)))
        .collect();
    for (at, tags) in flags(&chars) {
        for (_, hidden) in &mut marked[at..at + tags] {
            *hidden = false;
        }
    }
    marked
}

/// How many of these are hidden.
pub(super) fn count_hidden(characters: &[(char, bool)]) -> usize {
    characters.iter().filter(|(_, hidden)| *hidden).count()
}

fn is_ordinary(chars: &[char], at: usize) -> bool {
    let before = at.checked_sub(1).and_then(|at| chars.get(at)).copied();
    let after = chars.get(at + 1).copied();
    let letter = letter_before(chars, at);
    // Locale data has some joiners twice.
    let once = at - usize::from(before == Some(chars[at]));
    let joins_letters = letter_before(chars, once).is_some_and(is_joining)
        && !after.is_some_and(|c| c.is_ascii_alphanumeric());
    match chars[at] {
        // No-break and ideographic spaces, and those that are about as wide as a space, show as spaces.
        '\u{A0}' | '\u{2002}'..='\u{2005}' | '\u{2007}' | '\u{2009}' | '\u{202F}' | '\u{3000}' => {
            true
        }
        '\r' => after == Some('\n'),
        '\u{FE0E}' | '\u{FE0F}' => {
            before.is_some_and(|c| is_emoji(c) || (c.is_emoji_char() && after == Some('\u{20E3}')))
        }
        '\u{200D}' => {
            let base = chars[..at].iter().rev().find(|c| !matches!(c, '\u{FE0F}'));
            let joins_emoji = base.is_some_and(|c| is_emoji(*c)) && after.is_some_and(is_emoji);
            joins_emoji || joins_letters
        }
        '\u{200C}' => joins_letters,
        // It separates words where no space does.
        '\u{200B}' => letter.is_some_and(has_no_spaces) || after.is_some_and(has_no_spaces),
        '\u{180B}'..='\u{180F}' => before.is_some_and(|c| c.script() == Script::Mongolian),
        // The forms of a character for East Asian names.
        '\u{FE00}'..='\u{FE02}' | '\u{E0100}'..='\u{E01EF}' => {
            before.is_some_and(|c| c.script() == Script::Han)
        }
        // The direction that is there already, as locale data writes it after abbreviations.
        '\u{200F}' | '\u{61C}' => continues_right_to_left(chars, at),
        _ => false,
    }
}

/// The letter before a joiner, which may have marks. Different joiners one after another join nothing.
fn letter_before(chars: &[char], at: usize) -> Option<char> {
    let is_mark = |c: &&char| c.general_category_group() == GeneralCategoryGroup::Mark;
    chars[..at].iter().rev().find(|c| !is_mark(c)).copied()
}

/// How far from a mark of direction its letters are.
const NEAR: usize = 16;

/// Whether a mark of direction stands between words of that direction, or beside one at either end. Inside a word it
/// could make two of one.
fn continues_right_to_left(chars: &[char], at: usize) -> bool {
    let is_letter =
        |c: &char| matches!(bidi_class(*c), BidiClass::R | BidiClass::AL) && c.is_alphabetic();
    let (before, after) = (&chars[..at], &chars[at + 1..]);
    let is_inside_a_word =
        before.last().is_some_and(is_letter) && after.first().is_some_and(is_letter);
    if is_inside_a_word {
        return false;
    }
    if before
        .last()
        .is_some_and(|c| c.general_category() == GeneralCategory::Format)
    {
        return false;
    }
    // A text may have thousands of them.
    let earlier = before.iter().rev().take(NEAR).find(|c| c.is_alphanumeric());
    let later = after.iter().take(NEAR).find(|c| c.is_alphanumeric());
    let is_beside = earlier.is_some() || later.is_some();
    is_beside && earlier.is_none_or(is_letter) && later.is_none_or(is_letter)
}

/// An emoji that needs no selector to be one; digits are emoji characters too.
fn is_emoji(c: char) -> bool {
    c.is_emoji_char() && !c.is_ascii()
}

/// A letter or mark of a script in which joiners are orthographic (UAX 31, section 2.3).
fn is_joining(c: char) -> bool {
    use Script as S;
    matches!(
        c.script(),
        S::Arabic
            | S::Syriac
            | S::Mongolian
            | S::Nko
            | S::Devanagari
            | S::Bengali
            | S::Gurmukhi
            | S::Gujarati
            | S::Oriya
            | S::Tamil
            | S::Telugu
            | S::Kannada
            | S::Malayalam
            | S::Sinhala
            | S::Khmer
            | S::Myanmar
    )
}

fn has_no_spaces(c: char) -> bool {
    use Script as S;
    let script = c.script();
    matches!(
        script,
        S::Javanese | S::Khmer | S::Lao | S::Thai | S::Myanmar | S::Tibetan
    )
}

/// Where a flag of tags follows its black flag, and how many tags it has.
fn flags(chars: &[char]) -> Vec<(usize, usize)> {
    if !chars.contains(&'\u{1F3F4}') {
        return Vec::new();
    }
    let tagged = |name: &str| -> Vec<char> {
        let tags = name.bytes().map(|b| 0xE0000 + u32::from(b));
        let all = [0x1F3F4].into_iter().chain(tags).chain([0xE007F]);
        all.filter_map(char::from_u32).collect()
    };
    let flags = TAGGED_FLAGS.map(tagged);
    (0..chars.len())
        .filter_map(|at| {
            let flag = flags.iter().find(|flag| chars[at..].starts_with(flag))?;
            Some((at + 1, flag.len() - 1))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ordinary_text_contains_is_not_hidden() {
        for text in [
            "Prix\u{a0}: 5\u{202f}000\u{202f}€",
            "one\r\ntwo",
            "👩\u{200d}💻 ❤\u{fe0f} 👩\u{1f3fd}\u{200d}🚀 1\u{fe0f}\u{20e3} 🏳\u{fe0f}\u{200d}🌈",
            "🏴\u{e0067}\u{e0062}\u{e0073}\u{e0063}\u{e0074}\u{e007f}",
            "می\u{200c}خواهم",
            "ශ්\u{200d}රී ලංකා",
            "ภาษา\u{200b}ไทย",
            "東京\u{3000}都",
            "葛\u{e0100}城市",
            "12\u{2007}345",
            "د.إ.\u{200f}",
            "ක\u{dca}\u{200d}ෂ",
            "شاهزاده\u{200c}\u{200c}نشین",
        ] {
            let hidden: Vec<_> = characters(text).into_iter().filter(|(_, h)| *h).collect();
            assert_eq!(hidden, [], "{text}");
        }
        for (text, count) in [
            ("a\u{200d}b", 1),
            ("pay\u{200c}pal", 1),
            ("zero\u{200b}width", 1),
            ("a\rb\u{202e}c", 2),
            ("🏴\u{e0069}\u{e0067}\u{e006e}\u{e007f}", 4),
            ("a\u{fe0f} \u{ad}", 2),
            ("💻\u{200d}", 1),
            // Bits of a message in joiners, and joiners behind a mark.
            ("م\u{200c}\u{200d}\u{200d}\u{200c}", 3),
            ("م\u{200c}\u{200c}\u{200c}\u{200c}", 2),
            ("ไ\u{200b}\u{200b}", 1),
            ("a\u{301}\u{200c}b a\u{301}\u{200b}b", 2),
            ("1\u{fe0f}8,000", 1),
            ("葛\u{e0100}\u{e0101}", 1),
            ("30\u{200f}/11 ا\u{200f}\u{200f}1", 3),
            ("a\u{fffc}b\u{1d159}c\u{16fe4}d", 3),
        ] {
            let hidden = characters(text).into_iter().filter(|(_, h)| *h).count();
            assert_eq!(hidden, count, "{text}");
        }
    }
}
