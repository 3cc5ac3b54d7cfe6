//! Prepares the texts of an email: no client makes a link of them, and long ones are cut.

use super::fold::fold_words;
use crate::reveal;

/// Defangs the texts of an email that shows a `share`th of what one can, and notes what it changed.
pub(super) struct Defanger {
    share: usize,
    has_defanged: bool,
    /// Whether it cut a text.
    pub(super) has_cut: bool,
}

impl Defanger {
    pub(super) fn new(share: usize) -> Self {
        Self {
            share,
            has_defanged: false,
            has_cut: false,
        }
    }

    pub(super) fn defang(&mut self, text: &str) -> String {
        let defanged = reveal::defang(text);
        self.has_defanged |= defanged != text;
        defanged
    }

    /// A text of a person's, or the agent's own words.
    pub(super) fn words(&mut self, text: &str) -> String {
        let cut = self.cut(text);
        self.defang(&cut)
    }

    pub(super) fn cut(&mut self, text: &str) -> String {
        let cut = fold_words(text, self.share);
        self.has_cut |= cut != text;
        cut
    }

    /// Whether the plain part of the email shows what it defanged: some of that may not be shown.
    pub(super) fn shows_in(&self, part: &str) -> bool {
        let marks = ["[.]", "[:]", "[\\]"];
        self.has_defanged && marks.iter().any(|mark| part.contains(mark))
    }
}
