//! What a text of ASCII looks like.

/// What a text looks like, whose characters of ASCII can be taken for others: `I`, `l`, `1` and `|`, `O` and `0`, and
/// `rn` for `m` and `vv` for `w`.
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
        let characters = folded.replace(['i', '1', '|'], "l").replace('0', "o");
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
