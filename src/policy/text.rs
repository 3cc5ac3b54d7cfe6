//! Texts, compared as sent and as they read.

use std::cell::OnceCell;

use unicode_normalization::UnicodeNormalization;

use super::truth::Truth;
use crate::reveal::{self, Look, plain_digit};
use crate::values::glob_matches;

/// A text of a request.
#[derive(Debug)]
pub(super) struct Text<'a> {
    pub(super) sent: &'a str,
    forms: OnceCell<Forms>,
    confusable: OnceCell<bool>,
}

impl<'a> Text<'a> {
    pub(super) fn new(sent: &'a str) -> Self {
        Self {
            sent,
            forms: OnceCell::new(),
            confusable: OnceCell::new(),
        }
    }

    fn forms(&self) -> &Forms {
        self.forms.get_or_init(|| Forms::new(self.sent))
    }

    /// Whether a comparison with a rule's text holds as both read, or as both look.
    fn reads_as(&self, of_rule: &Forms, compare: impl Fn(&str, &str) -> bool) -> bool {
        let compare = |read: &str, of_rule: &str| reads(read, |read| compare(read, of_rule));
        let forms = self.forms();
        compare(&forms.folded, &of_rule.folded) || forms.look.compare(&of_rule.look, compare)
    }

    /// Whether it could be read as another text.
    pub(super) fn is_confusable(&self) -> bool {
        let is_confusable = || reveal::is_confusable(self.sent);
        *self.confusable.get_or_init(is_confusable)
    }

    /// Whether a comparison holds that is made with the text as sent, or else as it reads: then it is unknown.
    /// So is one with a text that could be read as another.
    fn compare(&self, as_sent: bool, as_read: impl FnOnce() -> bool) -> Truth {
        if self.is_confusable() {
            Truth::Unknown
        } else if as_sent {
            Truth::True
        } else if as_read() {
            Truth::Unknown
        } else {
            Truth::False
        }
    }
}

/// Whether a comparison holds for a text with or without white space at its ends.
fn reads(read: &str, compare: impl Fn(&str) -> bool) -> bool {
    let bare = read.trim();
    compare(bare)
        || bare.len() < read.len()
            && [read, read.trim_start(), read.trim_end()]
                .into_iter()
                .any(compare)
}

/// How a text reads.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Forms {
    /// In compatibility form, without regard to case, with digits of ASCII, and with one space for any white space.
    folded: String,
    look: Look,
}

impl Forms {
    fn new(text: &str) -> Self {
        let folded = fold(text);
        Self {
            look: Look::new(&folded),
            folded,
        }
    }
}

/// A text of a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Phrase {
    pub(super) written: String,
    forms: Forms,
}

impl Phrase {
    pub(super) fn new(written: &str) -> Self {
        Self {
            written: written.to_owned(),
            forms: Forms::new(written),
        }
    }

    pub(super) fn equals(&self, text: &Text<'_>) -> Truth {
        if self.written == text.sent {
            return Truth::True;
        }
        text.compare(false, || {
            text.reads_as(&self.forms, |read, phrase| read == phrase.trim())
        })
    }

    pub(super) fn begins(&self, text: &Text<'_>) -> Truth {
        let as_sent = text.sent.starts_with(&self.written);
        text.compare(as_sent, || {
            text.reads_as(&self.forms, |read, phrase| {
                read.starts_with(phrase.trim_start())
            })
        })
    }
}

/// A pattern of a rule, in which `*` stands for any text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Glob {
    pub(super) written: String,
    forms: Forms,
}

impl Glob {
    /// `None` if it has a character that is one of ASCII's `*` in compatibility form.
    pub(super) fn new(written: &str) -> Option<Self> {
        let forms = Forms::new(written);
        let stars = |text: &str| text.matches('*').count();
        (stars(&forms.folded) == stars(written)).then(|| Self {
            written: written.to_owned(),
            forms,
        })
    }

    pub(super) fn matches(&self, text: &Text<'_>) -> Truth {
        if self.is_any() {
            return Truth::True;
        }
        let as_sent = glob_matches(&self.written, text.sent);
        text.compare(as_sent, || {
            text.reads_as(&self.forms, |read, glob| glob_reads(glob, read))
        })
    }

    pub(super) fn is_any(&self) -> bool {
        self.written.chars().all(|c| c == '*')
    }

    /// Whether every text that matches `other` matches it too.
    pub(super) fn covers(&self, other: &Self) -> bool {
        glob_matches(&self.written, &other.written)
    }

    /// Whether no text matches both, as far as their beginnings and ends tell.
    pub(super) fn excludes(&self, other: &Self) -> bool {
        let ends = |glob: &Self| {
            let text = &glob.forms.folded;
            let beginning = text.split('*').next().unwrap_or_default().to_owned();
            let end = text.rsplit('*').next().unwrap_or_default().to_owned();
            (beginning, end)
        };
        let ((begins, ends_with), (begins_too, ends_too)) = (ends(self), ends(other));
        let agree = begins.starts_with(&begins_too) || begins_too.starts_with(&begins);
        let ends_agree = ends_with.ends_with(&ends_too) || ends_too.ends_with(&ends_with);
        !agree || !ends_agree
    }
}

/// Whether a text whose white space is collapsed matches a pattern in which each `*` stands for a text before that. So
/// `*` can be nothing between two spaces, which are then one, or between a space and an end, where there is none.
fn glob_reads(glob: &str, read: &str) -> bool {
    if !glob.contains("* ") && !glob.contains(" *") {
        return glob_matches(glob, read);
    }
    // Each space is as wide as all spaces beside asterisks that can become it.
    let width = glob.matches('*').count() + 1;
    let wide = " ".repeat(width);
    let end = |is_open: bool| if is_open { wide.as_str() } else { "" };
    let text = [
        end(glob.starts_with('*')),
        &read.replace(' ', &wide),
        end(glob.ends_with('*')),
    ];
    let mut pattern = String::new();
    let mut before = None;
    let mut characters = glob.chars().peekable();
    while let Some(c) = characters.next() {
        let is_beside = before == Some('*') || characters.peek() == Some(&'*');
        match c {
            ' ' if !is_beside => pattern.push_str(&wide),
            c => pattern.push(c),
        }
        before = Some(c);
    }
    glob_matches(&pattern, &text.concat())
}

/// A regular expression of a rule, which may match anywhere in a text.
#[derive(Clone, Debug)]
pub(super) struct Expression {
    as_sent: regex::Regex,
    /// Without regard to case: as written, and as texts are folded but for the case, if that is another expression.
    as_read: Vec<regex::Regex>,
}

/// The most bytes of a compiled expression.
const EXPRESSION_BYTES: usize = 256 << 10;
/// A letter without case, in the place of a digit that counts as none.
const NO_DIGIT: char = '字';
/// The most bytes of a text that is searched.
const SEARCHED_BYTES: usize = 8 << 10;

impl Expression {
    /// # Errors
    /// When the text is no regular expression, or one that is too large.
    pub(super) fn new(written: &str) -> Result<Self, String> {
        let build = |written: &str, folds_case: bool| {
            let mut builder = regex::RegexBuilder::new(written);
            builder
                .size_limit(EXPRESSION_BYTES)
                .dfa_size_limit(EXPRESSION_BYTES);
            let built = builder.case_insensitive(folds_case).build();
            built.map_err(|error| match error {
                regex::Error::CompiledTooBig(_) => "is too large an expression".to_owned(),
                // The last line says what is wrong; those before it point at where.
                error => {
                    let text = error.to_string();
                    let last = text.lines().last().unwrap_or_default().trim();
                    format!("is no regular expression ({last})")
                }
            })
        };
        let mut as_read = vec![build(written, true)?];
        let compatible = collapse(written.nfkc());
        if compatible != written {
            as_read.extend(build(&compatible, true));
        }
        Ok(Self {
            as_sent: build(written, false)?,
            as_read,
        })
    }

    pub(super) fn written(&self) -> &str {
        self.as_sent.as_str()
    }

    pub(super) fn matches(&self, text: &Text<'_>) -> Truth {
        if text.sent.len() > SEARCHED_BYTES {
            return Truth::Unknown;
        }
        let as_sent = self.as_sent.is_match(text.sent);
        let is_match = |read: &str| self.as_read.iter().any(|it| it.is_match(read));
        // Folding makes `ss` of `ß`, so the text as sent is searched too.
        text.compare(as_sent && self.holds_for_any_digits(text.sent), || {
            as_sent || reads(&text.forms().folded, is_match) || is_match(text.sent)
        })
    }

    /// Whether a match does not hang on what a digit of another script counts as: a digit, as for `\d`, or another
    /// character. An expression that has such a digit says so itself.
    fn holds_for_any_digits(&self, sent: &str) -> bool {
        let has_digit = |text: &str| text.chars().any(|c| plain_digit(c).is_some());
        if !has_digit(sent) || has_digit(self.written()) {
            return true;
        }
        let digits = [|digit| digit, |_| NO_DIGIT];
        digits.into_iter().all(|count: fn(char) -> char| {
            let counted = sent.chars().map(|c| plain_digit(c).map_or(c, count));
            self.as_sent.is_match(&counted.collect::<String>())
        })
    }
}

impl PartialEq for Expression {
    fn eq(&self, other: &Self) -> bool {
        self.written() == other.written()
    }
}

/// NFKC, full case folding by way of upper case, digits of ASCII for those of other scripts, and one space for each run
/// of white space.
fn fold(text: &str) -> String {
    let cased: String = text.nfkc().flat_map(char::to_uppercase).collect();
    let cased = cased.chars().flat_map(char::to_lowercase);
    collapse(cased.nfkc().map(|c| plain_digit(c).unwrap_or(c)))
}

/// One space for each run of white space.
fn collapse(text: impl Iterator<Item = char>) -> String {
    let mut collapsed = String::new();
    for c in text {
        if !c.is_whitespace() {
            collapsed.push(c);
        } else if !collapsed.ends_with(' ') {
            collapsed.push(' ');
        }
    }
    collapsed
}
