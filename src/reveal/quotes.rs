//! Quotation marks in what stands between quotation marks.

use unicode_properties::{GeneralCategory, UnicodeGeneralCategory};
use unicode_security::skeleton;

/// Marks that resemble no two apostrophes, after UTS 39.
const OTHER_DOUBLE: [char; 13] = [
    '\u{AB}',
    '\u{BB}',
    '\u{201E}',
    '\u{275D}',
    '\u{275E}',
    '\u{2760}',
    '\u{2E42}',
    '\u{301D}',
    '\u{301E}',
    '\u{301F}',
    '\u{1F676}',
    '\u{1F677}',
    '\u{1F678}',
];

/// A text that stands between double quotation marks, and cannot end them: single ones stand for its double ones, and
/// those that together look like a double one stand apart.
pub fn within_quotes(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut follows_mark = false;
    for c in text.chars() {
        let mark = mark(c);
        if mark.is_some() && follows_mark {
            out.push('\u{2009}');
        }
        follows_mark = mark.is_some();
        out.push(mark.unwrap_or(c));
    }
    out
}

/// The single mark for a quotation mark, or for what looks like one and is no letter of a script.
fn mark(c: char) -> Option<char> {
    let is_modifier = matches!(c, '\u{2B0}'..='\u{2FF}');
    if c.is_alphanumeric() && !is_modifier {
        return None;
    }
    let apostrophes = if c == '"' {
        2
    } else {
        let text = c.to_string();
        let is_one = |c: char| c == '\'';
        let is_mark = skeleton(&text).all(is_one);
        if is_mark { skeleton(&text).count() } else { 0 }
    };
    match apostrophes {
        0 if !OTHER_DOUBLE.contains(&c) => None,
        1 => Some(c),
        _ if c.general_category() == GeneralCategory::InitialPunctuation => Some('‘'),
        _ => Some('’'),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What has the property Quotation_Mark and is neither single nor a corner bracket; and what looks like one.
    #[test]
    fn no_double_quotation_mark_is_left() {
        let marks = "\"«»“”„‟⹂〝〞〟＂″‴‶‷⁗❝❞❠🙶🙷🙸ʺˮ˝˶״〃";
        for c in marks.chars() {
            let shown = within_quotes(&format!("a{c} b"));
            assert!(matches!(shown.as_str(), "a’ b" | "a‘ b"), "{c} {shown}");
        }
        for one in ["'", "’", "‘", "`", "´", "′", "＇", "ʼ"] {
            let shown = within_quotes(&format!("a{one}{one}{one}"));
            assert_eq!(shown, format!("a{one}\u{2009}{one}\u{2009}{one}"));
            assert_eq!(within_quotes(&shown), shown);
        }
        assert_eq!(within_quotes("“”"), "‘\u{2009}’");
    }

    #[test]
    fn other_text_is_unchanged() {
        for text in [
            "",
            "it’s ‘done’",
            "5' x 3",
            "「契約」を『送る』",
            "צווײ יידן",
            "‹a›",
            "o'clock",
            ",, ..",
        ] {
            assert_eq!(within_quotes(text), text);
        }
    }
}
