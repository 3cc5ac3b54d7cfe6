//! Blocks on a page and in the HTML of an email.

use askama::Template;

use super::block::Block;
use super::diff::Kind;

/// A block of a page.
#[derive(Template)]
#[template(path = "block.html")]
struct PageBlock<'a> {
    block: &'a Block,
}

/// A block of an email.
#[derive(Template)]
#[template(path = "block_mail.html")]
pub(super) struct MailBlock<'a> {
    block: &'a Block,
}

impl Block {
    /// The HTML of a page.
    pub(super) fn on_page(&self) -> impl std::fmt::Display + '_ {
        PageBlock { block: self }
    }

    /// The HTML of an email.
    pub(super) fn in_mail(&self) -> MailBlock<'_> {
        MailBlock { block: self }
    }
}

impl Kind {
    /// The element of a page that says what became of a line.
    fn element(self) -> &'static str {
        match self {
            Self::Added => "ins",
            Self::Removed => "del",
            Self::Other => "span",
        }
    }

    /// The background in an email.
    fn background(self) -> &'static str {
        match self {
            Self::Added => "background:#d9f2de;color:#1b1b1f",
            Self::Removed => "background:#fbdcdc;color:#1b1b1f",
            Self::Other => "",
        }
    }
}
