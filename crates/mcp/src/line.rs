//! Texts that people are shown in one line.

/// Whether a text is one line that reads as it is written: without characters that control it, end it or turn its direction.
pub(crate) fn is_line(text: &str) -> bool {
    let turns = |c: char| matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    !text.contains(|c: char| c.is_control() || turns(c))
}
