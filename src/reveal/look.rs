//! What a text looks like.

use super::words::symbol_like;

/// What a text looks like, whose characters can be taken for others: `I`, `l`, `1` and `|`, `O` and `0`, `rn` for `m` and
/// `vv` for `w`, and symbols for those of ASCII that they resemble.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Look {
    /// With one character for all that look alike.
    characters: String,
    /// With the pairs for the letters that they look like, too.
    pairs: String,
    has_pair: bool,
}

impl Look {
    /// The look of a text in lower case. The case changes which characters look alike, so `i` is one of them.
    pub fn new(folded: &str) -> Self {
        let characters = without_symbols(folded);
        let characters = characters.replace(['i', '1', '|'], "l").replace('0', "o");
        Self {
            pairs: characters.replace('m', "rn").replace('w', "vv"),
            has_pair: ["rn", "vv"].iter().any(|pair| characters.contains(pair)),
            characters,
        }
    }

    /// Whether a comparison holds with another text. Where neither has a pair, no `m` or `w` is taken for one.
    pub fn compare(&self, other: &Self, compare: impl Fn(&str, &str) -> bool) -> bool {
        compare(&self.characters, &other.characters)
            || (self.has_pair || other.has_pair) && compare(&self.pairs, &other.pairs)
    }
}

/// A text with what symbols resemble instead of them. Curly quotes resemble two apostrophes, so straight ones do too.
/// What resembles `*` is none.
fn without_symbols(text: &str) -> String {
    let mut plain = String::new();
    for c in text.chars() {
        match symbol_like(c).filter(|like| like != "*") {
            Some(like) => plain.push_str(&like.to_ascii_lowercase()),
            None if c == '"' => plain.push_str("''"),
            None => plain.push(c),
        }
    }
    plain
}
