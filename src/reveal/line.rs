//! A text on one line.

use super::hidden::characters;

/// One line for an email header or a heading: no line end, no hidden character, at most `longest`
/// characters.
pub fn line(text: &str, longest: usize) -> String {
    let mut out = String::new();
    for (c, hidden) in characters(text) {
        match c {
            c if c.is_whitespace() => {
                if !out.ends_with(' ') {
                    out.push(' ');
                }
            }
            _ if hidden => out.push('\u{FFFD}'),
            c => out.push(c),
        }
    }
    let out = out.trim();
    match out.char_indices().nth(longest) {
        None => out.to_owned(),
        Some(_) => out.chars().take(longest - 1).chain(['…']).collect(),
    }
}
