//! Blocks on a page and in the HTML of an email.

use askama::Template;

use super::block::Block;
use super::diff::Kind;
use super::text::Text;

/// The width of a name that stays whole on a phone, in digits.
const WORD: usize = 16;

/// How many levels a page indents: a phone has no room for more.
const INDENTED: usize = 5;

/// A block of a page.
#[derive(Template)]
#[template(path = "block.html")]
struct PageBlock<'a> {
    block: &'a Block,
    /// How deep it is nested.
    depth: usize,
    /// Whether its values of one line are large.
    is_large: bool,
}

/// A block of an email.
#[derive(Template)]
#[template(path = "block_mail.html")]
pub(super) struct MailBlock<'a> {
    block: &'a Block,
    /// How deep it is nested.
    depth: usize,
    /// Whether its values of one line are large.
    is_large: bool,
}

impl PageBlock<'_> {
    /// Whether it is too deep to be indented on a phone: a number says its level.
    fn is_deep(&self) -> bool {
        self.depth >= INDENTED
    }

    /// Whether what is nested in it is too deep to be indented.
    fn has_deep(&self) -> bool {
        self.depth + 1 >= INDENTED
    }

    /// The level of its members or items, where indentation does not show it.
    fn level(&self) -> String {
        if self.is_deep() {
            format!("<em translate=\"yes\">(level {})</em> ", self.depth + 1)
        } else {
            String::new()
        }
    }
}

impl MailBlock<'_> {
    /// The size of a value of one line.
    fn size(&self) -> &'static str {
        if self.is_large {
            ";font-size:20px;line-height:28px;font-weight:bold"
        } else {
            ""
        }
    }
}

impl Block {
    /// The HTML of a page.
    pub(super) fn on_page(&self) -> impl std::fmt::Display + '_ {
        self.on_page_at(0)
    }

    fn on_page_at(&self, depth: usize) -> PageBlock<'_> {
        PageBlock {
            block: self,
            depth,
            is_large: false,
        }
    }

    /// As [`Block::on_page`], with its values in large type.
    pub(super) fn on_page_large(&self) -> impl std::fmt::Display + '_ {
        PageBlock {
            block: self,
            depth: 0,
            is_large: true,
        }
    }

    /// The HTML of an email.
    pub(super) fn in_mail(&self) -> MailBlock<'_> {
        self.in_mail_at(0)
    }

    /// As [`Block::in_mail`], with its values in large type.
    pub(super) fn in_mail_large(&self) -> MailBlock<'_> {
        MailBlock {
            block: self,
            depth: 0,
            is_large: true,
        }
    }

    fn in_mail_at(&self, depth: usize) -> MailBlock<'_> {
        MailBlock {
            block: self,
            depth,
            is_large: false,
        }
    }

    /// Whether a name is short enough to stay whole beside its value on a phone.
    fn is_word(name: &Text, depth: usize) -> bool {
        name.width() + 2 * depth <= WORD
    }

    /// What makes a cell as wide as the table of these members, which has a second column if one of them has its
    /// value beside its name.
    fn span(&self) -> &'static str {
        match self {
            Self::Members(members) if members.iter().any(|(_, member)| member.is_line()) => {
                " colspan=2"
            }
            _ => "",
        }
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
