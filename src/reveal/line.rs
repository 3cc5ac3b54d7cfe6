//! A text on one line.

use super::hidden::characters;

/// One line for an email header or a heading: no line end, no hidden character, at most `longest`
/// characters.
pub fn line(text: &str, longest: usize) -> String {
    if is_plain_line(text, longest) {
        return text.to_owned();
    }
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

/// Shows the spaces that one line would lose: those at its ends, several in a row, and the ends of lines.
pub fn mark_spaces(text: &str) -> String {
    let is_lost = |(at, c): (usize, char)| {
        let rest = &text[at + c.len_utf8()..];
        c != ' ' || rest.is_empty() || at == 0 || rest.starts_with(char::is_whitespace)
    };
    let marked = text.char_indices().map(|(at, c)| match c {
        '\n' => '↵',
        c if c.is_whitespace() && is_lost((at, c)) => '␣',
        c => c,
    });
    marked.collect()
}

/// Whether a text is such a line already, by a look at the usual characters alone.
fn is_plain_line(text: &str, longest: usize) -> bool {
    let is_usual = |c: char| matches!(c, ' '..='~' | '\u{201c}' | '\u{201d}');
    text.len() <= longest
        && text.chars().all(is_usual)
        && !text.contains("  ")
        && !text.starts_with(' ')
        && !text.ends_with(' ')
}
