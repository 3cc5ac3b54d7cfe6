//! Dots in the middle of a line.

use unicode_security::skeleton;

/// Whether a character looks like a middle dot, after UTS 39, or is another small mark that can be taken for one.
pub fn is_middle_dot(c: char) -> bool {
    let is_small_mark = matches!(
        c,
        '\u{2D9}' | '\u{2023}' | '\u{2024}' | '\u{2043}' | '\u{2218}' | '\u{25AA}' | '\u{25AB}' | '\u{25CF}'
            | '\u{25D8}' | '\u{25E6}' | '\u{25FC}'..='\u{25FE}' | '\u{26AB}' | '\u{2981}' | '\u{2B1D}'
            | '\u{2B1E}' | '\u{2B24}' | '\u{2B29}' | '\u{2E30}' | '\u{2E33}' | '\u{1F784}'..='\u{1F786}'
    );
    is_small_mark || !c.is_ascii() && skeleton(&c.to_string()).eq(['\u{B7}'])
}
