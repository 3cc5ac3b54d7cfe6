//! Marks on letters: more than a language writes, ones that repeat, and ones that strike a letter out. And the usual
//! form of a text.

use unicode_normalization::{UnicodeNormalization, is_nfc};
use unicode_properties::{GeneralCategory, GeneralCategoryGroup, UnicodeGeneralCategory};
use unicode_script::{Script, UnicodeScript};

/// More marks on one letter than any language writes (UTS 39, section 5.4), and of those that Latin, Greek and Cyrillic
/// letters have.
const STACKED: usize = 5;
const STACKED_ON_LATIN: usize = 3;

/// What is wrong with the marks of a word.
pub(super) fn wrong_marks(word: &str) -> Option<String> {
    let chars: Vec<char> = word.chars().collect();
    let runs = chars.chunk_by(|one, next| is_nonspacing(*one) == is_nonspacing(*next));
    let mut base = None;
    for run in runs {
        if !is_nonspacing(run[0]) {
            base = run.last().copied();
            continue;
        }
        let is_shared = run.iter().all(|c| c.script() == Script::Inherited);
        let most = if is_shared { STACKED_ON_LATIN } else { STACKED };
        if run.len() >= most {
            return Some("has many marks on one letter".to_owned());
        }
        if let Some(pair) = run.windows(2).find(|pair| pair[0] == pair[1]) {
            return Some(format!(
                "has the mark {} twice on one letter",
                code_point(pair[0])
            ));
        }
        let is_struck = base.is_some_and(char::is_alphanumeric);
        if let Some(&c) = run.iter().find(|c| is_struck && strikes_out(**c)) {
            return Some(format!(
                "has letters that a mark strikes out or encloses ({})",
                code_point(c)
            ));
        }
    }
    None
}

/// Whether a text is in NFC, as far as its readers and keyboards tell: some letters of Bengali, Hindi and Hebrew
/// keyboards become two, and some vowels that Tamil and others write in two parts become one.
pub(super) fn is_usual_form(text: &str) -> bool {
    let take_apart = |text: &str| -> String {
        let parts = text.chars().map(|c| {
            let usual: String = std::iter::once(c).nfc().collect();
            if usual.chars().nth(1).is_some() {
                usual
            } else if is_mark(c) {
                std::iter::once(c).nfd().collect()
            } else {
                c.to_string()
            }
        });
        parts.collect()
    };
    is_nfc(text) || take_apart(&text.nfc().collect::<String>()) == take_apart(text)
}

fn is_nonspacing(c: char) -> bool {
    matches!(
        c.general_category(),
        GeneralCategory::NonspacingMark | GeneralCategory::EnclosingMark
    )
}

fn is_mark(c: char) -> bool {
    c.general_category_group() == GeneralCategoryGroup::Mark
}

/// Lines through a letter, and what encloses one.
fn strikes_out(c: char) -> bool {
    matches!(c, '\u{334}'..='\u{338}' | '\u{488}' | '\u{489}' | '\u{20D2}' | '\u{20D3}' | '\u{20D8}'..='\u{20DA}'
        | '\u{20DD}'..='\u{20E0}' | '\u{20E2}' | '\u{20E4}'..='\u{20E6}' | '\u{20EA}' | '\u{20EB}')
}

/// The name of a character, such as `U+0338`.
pub(super) fn code_point(c: char) -> String {
    format!("U+{:04X}", u32::from(c))
}
