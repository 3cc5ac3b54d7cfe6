//! A text of an agent's for display: what does not show is marked in its place, and each run of right-to-left
//! text is isolated, so that it does not change the order of anything around it.

use askama::Template;
use unicode_bidi::{BidiClass, bidi_class};

use super::quotes::{is_like_label, label, needs_quotes};
use crate::reveal::{
    begins_code, characters, code, name_characters, value_characters, within_quotes,
};

/// A text as the spans of a page.
#[derive(Clone, Debug, Default, PartialEq, Eq, Template)]
#[template(
    ext = "html",
    source = "{% for span in spans %}{% match span %}{% when Span::Plain(text) %}{{ text }}\
              {% when Span::Hidden(code) %}<mark>{{ code }}</mark>\
              {% when Span::RightToLeft(text) %}<bdi dir=\"rtl\">{{ text }}</bdi>\
              {% when Span::Number(text) %}<bdi dir=\"ltr\">{{ text }}</bdi>\
              {% when Span::Label(words) %}<em translate=\"yes\">({{ words }})</em>\
              {% when Span::Backslash %}\\\
              {% endmatch %}{% endfor %}"
)]
pub(super) struct Text {
    spans: Vec<Span>,
}

/// As [`Text`], for an email: mail clients drop `bdi`, but respect `dir`.
#[derive(Template)]
#[template(
    ext = "html",
    source = "{% for span in spans %}{% match span %}{% when Span::Plain(text) %}{{ text }}\
              {% when Span::Hidden(code) %}<span style=\"background:#ffe08a;color:#1b1b1f\">{{ code }}</span>\
              {% when Span::RightToLeft(text) %}<span dir=\"rtl\">{{ text }}</span>\
              {% when Span::Number(text) %}<span dir=\"ltr\">{{ text }}</span>\
              {% when Span::Label(words) %}<em translate=\"yes\">({{ words }})</em>\
              {% when Span::Backslash %}\\\
              {% endmatch %}{% endfor %}"
)]
pub(super) struct MailText {
    spans: Vec<Span>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Span {
    Plain(String),
    /// The code of a character that does not show, or what stands for an empty name.
    Hidden(String),
    RightToLeft(String),
    /// Digits whose order depends on what is around them, such as the Arabic-Indic ones.
    Number(String),
    /// Words of the gate's own.
    Label(String),
    /// The backslash of a text that reads as the code of a character, which only plain text takes for one.
    Backslash,
}

impl Span {
    fn text(&self) -> &str {
        match self {
            Self::Plain(text) | Self::Hidden(text) | Self::Label(text) => text,
            Self::RightToLeft(text) | Self::Number(text) => text,
            Self::Backslash => BACKSLASH,
        }
    }

    /// The span in the plain part of an email, with Unicode's own isolates.
    fn in_plain_text(&self) -> String {
        match self {
            Self::Plain(text) | Self::Hidden(text) => text.clone(),
            Self::RightToLeft(text) => format!("\u{2067}{text}\u{2069}"),
            Self::Number(text) => format!("\u{2066}{text}\u{2069}"),
            Self::Label(words) => label(words),
            Self::Backslash => BACKSLASH.to_owned(),
        }
    }
}

/// The code of a backslash.
const BACKSLASH: &str = "\\u{5c}";

/// What stands for an empty name.
const EMPTY_NAME: &str = "«empty name»";

impl Text {
    pub(super) fn new(text: &str) -> Self {
        Self::of_characters(&characters(text))
    }

    /// The name of a member, on one line: its white space is marked too, and so is that it is empty.
    pub(super) fn of_name(name: &str) -> Self {
        if name.is_empty() {
            return Self {
                spans: vec![Span::Hidden(EMPTY_NAME.to_owned())],
            };
        }
        Self::of_line(name).quoted_if(is_like_label(name))
    }

    /// A text among others on one line: its white space is marked too.
    pub(super) fn of_line(text: &str) -> Self {
        Self::of_characters(&name_characters(text))
    }

    /// A text that is a value of one line: the white space around it is marked too. It stands in quotes if it could be
    /// read as a value of another kind, or as words of the gate's. `write` prepares it: a mail defangs it.
    pub(super) fn of_value(value: &str, write: &mut impl FnMut(&str) -> String) -> Self {
        Self::of_characters(&value_characters(&write(value))).quoted_if(needs_quotes(value))
    }

    /// Words of the gate's own, among names and values of an agent.
    pub(super) fn label(words: &str) -> Self {
        Self {
            spans: vec![Span::Label(words.to_owned())],
        }
    }

    fn quoted_if(mut self, is_quoted: bool) -> Self {
        if is_quoted {
            self.spans.insert(0, Span::Plain("\"".to_owned()));
            self.spans.push(Span::Plain("\"".to_owned()));
        }
        self
    }

    fn of_characters(mut rest: &[(char, bool)]) -> Self {
        let mut spans: Vec<Span> = Vec::new();
        while let Some(&(first, _)) = rest.first() {
            let kind_at = |at: usize| match rest[at] {
                ('\\', _) if begins_code(&rest[at..]) => Kind::Backslash,
                (c, hidden) => kind(c, hidden),
            };
            let first_kind = kind_at(0);
            let length = match first_kind {
                Kind::Hidden | Kind::Backslash => 1,
                Kind::RightToLeft => right_to_left_run(rest),
                kind => (0..rest.len())
                    .take_while(|at| kind_at(*at) == kind)
                    .count(),
            };
            let run: String = rest[..length].iter().map(|(c, _)| *c).collect();
            spans.push(match first_kind {
                Kind::Hidden => Span::Hidden(code(first)),
                Kind::Backslash => Span::Backslash,
                Kind::RightToLeft => Span::RightToLeft(run),
                Kind::Number => Span::Number(run),
                Kind::Plain => Span::Plain(run),
            });
            rest = &rest[length..];
        }
        Self { spans }
    }

    /// A sentence in the direction of its language, such as an action or a reason: what stands around its numbers
    /// does not change their order.
    pub(super) fn of_prose(text: &str) -> Self {
        if !text.chars().any(is_right_to_left) {
            return Self {
                spans: vec![Span::Plain(text.to_owned())],
            };
        }
        let mut spans: Vec<Span> = Vec::new();
        let mut rest = text;
        while let Some(first) = rest.chars().next() {
            let is_part = |c: char| !is_right_to_left(c) && !c.is_whitespace();
            let length = if is_part(first) {
                rest.find(|c| !is_part(c)).unwrap_or(rest.len())
            } else {
                first.len_utf8()
            };
            let (part, after) = rest.split_at(length);
            rest = after;
            let number = part.trim_matches(AROUND_NUMBERS);
            if !number.contains(|c: char| c.is_ascii_digit()) {
                add_plain(&mut spans, part);
                continue;
            }
            let (before, after) = part.split_once(number).unwrap_or_default();
            add_plain(&mut spans, before);
            // Groups of digits are one number.
            match spans.as_mut_slice() {
                [.., Span::Number(group), Span::Plain(gap)] if gap == " " => {
                    group.push_str(&format!(" {number}"));
                    spans.pop();
                }
                _ => spans.push(Span::Number(number.to_owned())),
            }
            add_plain(&mut spans, after);
        }
        Self { spans }
    }

    /// A text between quotes of the gate's, which it cannot end.
    pub(super) fn in_quotes(text: &str) -> Self {
        Self::new(&within_quotes(text))
    }

    /// As [`Text::in_quotes`], for a sentence.
    pub(super) fn prose_in_quotes(text: &str) -> Self {
        Self::of_prose(&within_quotes(text))
    }

    /// A sentence in plain text that does not change the order of what stands around it.
    pub(super) fn isolated_prose(text: &str) -> String {
        let shown = Self::of_prose(text).in_plain_text();
        if text.chars().all(|c| kind(c, false) == Kind::Plain) {
            shown
        } else {
            format!("\u{2068}{shown}\u{2069}")
        }
    }

    pub(super) fn for_mail(&self) -> MailText {
        let mut spans = self.spans.clone();
        for (at, span) in spans.iter_mut().enumerate() {
            if let Span::Plain(text) | Span::RightToLeft(text) = span {
                *text = with_each_space(text, at == 0);
            }
        }
        MailText { spans }
    }

    /// The text in the plain part of an email.
    pub(super) fn in_plain_text(&self) -> String {
        self.spans.iter().map(Span::in_plain_text).collect()
    }

    /// The number of bytes, as shown.
    pub(super) fn bytes(&self) -> usize {
        self.spans.iter().map(|span| span.text().len()).sum()
    }

    /// About how wide it is, in digits.
    pub(super) fn width(&self) -> usize {
        let tenths = |c: char| match c {
            'm' | 'w' | 'A'..='L' | 'N'..='V' | 'X'..='Z' => 15,
            ' '..='~' if !matches!(c, 'M' | 'W' | '@' | '%') => 10,
            _ => 20,
        };
        let chars = self.spans.iter().flat_map(|span| span.text().chars());
        let tenths: usize = chars.map(tenths).sum();
        tenths.div_ceil(10)
    }

    /// The number of characters, as shown.
    pub(super) fn chars(&self) -> usize {
        let spans = self.spans.iter().map(|span| match span {
            Span::Label(words) => label(words).chars().count(),
            span => span.text().chars().count(),
        });
        spans.sum()
    }
}

/// A text in which each space shows: of several, mail programs show one, and of those at the start of a line none.
fn with_each_space(text: &str, is_start: bool) -> String {
    let mut is_after_space = is_start;
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        let spaces = match c {
            ' ' => 1,
            '\t' => 4,
            _ => 0,
        };
        for _ in 0..spaces {
            out.push(if is_after_space { '\u{a0}' } else { ' ' });
            is_after_space = true;
        }
        if spaces == 0 {
            out.push(c);
            is_after_space = false;
        }
    }
    out
}

/// The beginning of a text that has more characters than these, with an ellipsis.
pub(super) fn truncate(text: &str, chars: usize) -> String {
    match text.char_indices().nth(chars) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}

/// Punctuation of a sentence, which is no part of the number beside it.
const AROUND_NUMBERS: [char; 18] = [
    '(', ')', '[', ']', '«', '»', '"', '“', '”', '‘', '’', ':', ';', ',', '.', '!', '?', '،',
];

fn add_plain(spans: &mut Vec<Span>, text: &str) {
    match spans.last_mut() {
        _ if text.is_empty() => {}
        Some(Span::Plain(plain)) => plain.push_str(text),
        _ => spans.push(Span::Plain(text.to_owned())),
    }
}

fn is_right_to_left(c: char) -> bool {
    !c.is_ascii() && matches!(bidi_class(c), BidiClass::R | BidiClass::AL)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Plain,
    Hidden,
    RightToLeft,
    Number,
    Backslash,
}

fn kind(c: char, hidden: bool) -> Kind {
    if c.is_ascii() && !hidden {
        return Kind::Plain;
    }
    match bidi_class(c) {
        _ if hidden => Kind::Hidden,
        BidiClass::R | BidiClass::AL => Kind::RightToLeft,
        BidiClass::AN => Kind::Number,
        _ => Kind::Plain,
    }
}

/// The length of the run that begins here, up to its last right-to-left letter and the marks on it. Digits and
/// letters of other scripts end it, and so does a character that does not show.
fn right_to_left_run(text: &[(char, bool)]) -> usize {
    let mut end = 0;
    for (at, &(c, hidden)) in text.iter().enumerate() {
        match bidi_class(c) {
            _ if hidden => break,
            BidiClass::R | BidiClass::AL => end = at + 1,
            // A mark, or a joiner, belongs to the letter before it.
            BidiClass::NSM | BidiClass::BN if end == at => end = at + 1,
            BidiClass::NSM | BidiClass::BN | BidiClass::WS | BidiClass::ON | BidiClass::CS => {}
            _ => break,
        }
    }
    end
}

#[cfg(test)]
mod tests {
    use super::*;

    fn html(text: &str) -> String {
        Text::new(text).render().unwrap()
    }

    #[test]
    fn a_right_to_left_run_is_isolated_from_the_digits_beside_it() {
        for (text, shown) in [
            ("plain <b>", "plain &#60;b&#62;"),
            ("حساب 111-222", r#"<bdi dir="rtl">حساب</bdi> 111-222"#),
            (
                "delete rows ا 10-20",
                r#"delete rows <bdi dir="rtl">ا</bdi> 10-20"#,
            ),
            (
                "شركة النور, Berlin",
                r#"<bdi dir="rtl">شركة النور</bdi>, Berlin"#,
            ),
            (
                "١٢٣-٤٥٦",
                r#"<bdi dir="ltr">١٢٣</bdi>-<bdi dir="ltr">٤٥٦</bdi>"#,
            ),
            ("שָׁלוֹם!", "<bdi dir=\"rtl\">שָׁלוֹם</bdi>!"),
            ("a\u{202e}b", r"a<mark>\u{202e}</mark>b"),
            (
                "ا\u{200f}ب",
                "<bdi dir=\"rtl\">ا</bdi><mark>\\u{200f}</mark><bdi dir=\"rtl\">ب</bdi>",
            ),
        ] {
            assert_eq!(html(text), shown, "{text}");
        }
    }

    #[test]
    fn numbers_in_right_to_left_sentences_are_isolated() {
        for (text, shown) in [
            ("Pay 18,000 EUR", "Pay 18,000 EUR"),
            (
                "حساب 111-222-333",
                r#"حساب <bdi dir="ltr">111-222-333</bdi>"#,
            ),
            (
                "(يوم 2026-11-30).",
                r#"(يوم <bdi dir="ltr">2026-11-30</bdi>)."#,
            ),
            ("حساب:10-20", r#"حساب:<bdi dir="ltr">10-20</bdi>"#),
            (
                "رقم 3704 0044 12",
                r#"رقم <bdi dir="ltr">3704 0044 12</bdi>"#,
            ),
            ("إلى Contoso GmbH", "إلى Contoso GmbH"),
        ] {
            let html = Text::of_prose(text).render().unwrap();
            assert_eq!(html, shown, "{text}");
        }
    }

    #[test]
    fn every_character_is_in_one_span() {
        let text = "x حساب 1 ١٢ \u{200b} שלום\u{5b0} y\u{301} 👩\u{200d}💻 اب ";
        let shown = Text::new(text).in_plain_text();
        let shown = shown.replace(['\u{2066}', '\u{2067}', '\u{2069}'], "");
        assert_eq!(shown, crate::reveal::prose(text));
    }
}
