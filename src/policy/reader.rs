//! Reads a TOML document strictly: every fault is collected with its line, and no member is left unread.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::num::NonZeroU8;
use std::ops::RangeInclusive;
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::content_digest::digest_of;
use super::fault::Fault;
use crate::reveal;
use crate::values::Digest;

/// Units of times.
pub(super) const SECOND: Duration = Duration::from_secs(1);
pub(super) const MINUTE: Duration = Duration::from_secs(60);
pub(super) const DAY: Duration = Duration::from_secs(86_400);

/// The text of a document, and the faults found so far.
pub(super) struct Reader<'t> {
    text: &'t str,
    line_ends: Vec<usize>,
    faults: RefCell<Vec<Fault>>,
}

impl<'t> Reader<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        Self {
            text,
            line_ends: text.match_indices('\n').map(|(at, _)| at).collect(),
            faults: RefCell::new(Vec::new()),
        }
    }

    /// Parses the document; `None` if it is no TOML.
    pub(super) fn parse(&self) -> Option<Spanned<DeTable<'t>>> {
        let (document, errors) = DeTable::parse_recoverable(self.text);
        for error in &errors {
            let at = error.span().map_or(0, |span| span.start);
            let why = reveal::line(error.message(), 200);
            self.fault(self.line(at), format!("the text is no TOML: {why}"));
        }
        errors.is_empty().then_some(document)
    }

    pub(super) fn fault(&self, line: usize, message: impl Into<String>) {
        let message = message.into();
        self.faults.borrow_mut().push(Fault { line, message });
    }

    /// The line of a byte of the text.
    fn line(&self, at: usize) -> usize {
        self.line_ends.partition_point(|end| *end < at) + 1
    }

    /// The faults in the order of their lines.
    pub(super) fn finish(self) -> Vec<Fault> {
        let mut faults = self.faults.into_inner();
        faults.sort();
        faults.dedup();
        faults
    }
}

/// A value, and the name by which faults call it.
#[derive(Clone)]
pub(super) struct Node<'d> {
    reader: &'d Reader<'d>,
    value: &'d DeValue<'d>,
    pub(super) name: String,
    pub(super) line: usize,
}

impl<'d> Node<'d> {
    fn new(reader: &'d Reader<'d>, value: &'d Spanned<DeValue<'d>>, name: String) -> Self {
        Self {
            reader,
            line: reader.line(value.span().start),
            value: value.get_ref(),
            name,
        }
    }

    /// Records a fault; the message follows the name of the value.
    pub(super) fn fault(&self, message: impl AsRef<str>) {
        let name = &self.name;
        self.reader
            .fault(self.line, format!("{name} {}", message.as_ref()));
    }

    fn expected<T>(&self, found: Option<T>, what: &str) -> Option<T> {
        if found.is_none() {
            self.fault(format!("must be {what}"));
        }
        found
    }

    pub(super) fn table(&self) -> Option<Members<'d>> {
        let table = match self.value {
            DeValue::Table(table) => Some(table),
            _ => None,
        };
        let table = self.expected(table, "a table")?;
        Some(Members::new(
            self.reader,
            table,
            self.line,
            self.name.clone(),
        ))
    }

    /// The items of a list that has at least one.
    pub(super) fn list(&self) -> Option<Vec<Self>> {
        let items = match self.value {
            DeValue::Array(items) if !items.is_empty() => Some(items),
            _ => None,
        };
        let items = self.expected(items, "a list of at least one item")?;
        let item = |(index, item)| {
            let name = format!("item {} of {}", index + 1, self.name);
            Self::new(self.reader, item, name)
        };
        Some(items.iter().enumerate().map(item).collect())
    }

    /// The texts of a list that has at least one, and no text twice; those that are none are faults.
    pub(super) fn texts(&self, length: RangeInclusive<usize>) -> Vec<(Self, &'d str)> {
        let mut texts: Vec<(Self, &str)> = Vec::new();
        for item in self.list().unwrap_or_default() {
            let Some(text) = item.text_of(length.clone()) else {
                continue;
            };
            if texts.iter().any(|(_, other)| *other == text) {
                item.fault("repeats another item");
            } else {
                texts.push((item, text));
            }
        }
        texts
    }

    /// A text of one line.
    pub(super) fn text(&self, longest: usize) -> Option<&'d str> {
        self.text_of(1..=longest)
    }

    /// A text of one line, with a number of characters.
    pub(super) fn text_of(&self, length: RangeInclusive<usize>) -> Option<&'d str> {
        let DeValue::String(text) = self.value else {
            return self.expected(None, "a text in quotes");
        };
        if !length.contains(&text.chars().count()) {
            let (least, most) = length.into_inner();
            self.fault(format!("must have {least} to {most} characters"));
        } else if text
            .chars()
            .any(|c| c == '\n' || c == '\t' || reveal::is_hidden(c))
        {
            self.fault("has a character that does not show, such as a line end or a tab");
        } else {
            return Some(text);
        }
        None
    }

    /// One of several words.
    pub(super) fn word<T: Copy>(&self, words: &[(&str, T)]) -> Option<T> {
        let text = match self.value {
            DeValue::String(text) => text.as_ref(),
            _ => "",
        };
        let found = words.iter().find(|(word, _)| *word == text);
        let list: Vec<String> = words
            .iter()
            .map(|(word, _)| format!("\"{word}\""))
            .collect();
        self.expected(found.map(|(_, value)| *value), &list.join(" or "))
    }

    pub(super) fn boolean(&self) -> Option<bool> {
        let value = match self.value {
            DeValue::Boolean(value) => Some(*value),
            _ => None,
        };
        self.expected(value, "true or false")
    }

    /// A whole number.
    pub(super) fn whole(&self, range: RangeInclusive<u32>) -> Option<u32> {
        let number = match self.value {
            DeValue::Integer(digits) => u32::from_str_radix(digits.as_str(), digits.radix()).ok(),
            _ => None,
        };
        let number = number.filter(|number| range.contains(number));
        let (least, most) = range.into_inner();
        let form = if least == most {
            least.to_string()
        } else {
            format!("a whole number from {least} to {most}")
        };
        self.expected(number, &form)
    }

    /// A whole number from 1 to `most`.
    pub(super) fn count(&self, most: u8) -> Option<NonZeroU8> {
        let number = self.whole(1..=most.into())?;
        u8::try_from(number).ok().and_then(NonZeroU8::new)
    }

    /// A share such as `"50%"`.
    pub(super) fn percent(&self, range: RangeInclusive<u8>) -> Option<NonZeroU8> {
        let text = match self.value {
            DeValue::String(text) => text.as_ref(),
            _ => "",
        };
        let digits = text.strip_suffix('%');
        let digits = digits.filter(|it| it.bytes().all(|b| b.is_ascii_digit()));
        let share = digits.and_then(|it| it.parse().ok());
        let share = share.filter(|share: &NonZeroU8| range.contains(&share.get()));
        let (least, most) = range.into_inner();
        let form = format!("a share from \"{least}%\" to \"{most}%\"");
        self.expected(share, &form)
    }

    /// A time such as `"30s"`, `"15m"`, `"4h"` or `"2d"`.
    pub(super) fn duration(&self, least: Duration, most: Duration) -> Option<Duration> {
        let text = match self.value {
            DeValue::String(text) => text.as_ref(),
            _ => "",
        };
        let time = parse_duration(text).filter(|time| (least..=most).contains(time));
        let form = format!(
            "a time from {} to {}, such as \"30s\", \"15m\", \"4h\" or \"2d\"",
            words(least),
            words(most)
        );
        self.expected(time, &form)
    }

    pub(super) fn value(&self) -> &'d DeValue<'d> {
        self.value
    }
}

fn parse_duration(text: &str) -> Option<Duration> {
    let unit = match text.chars().last()? {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        _ => return None,
    };
    let digits = &text[..text.len() - 1];
    let is_plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    let count: u64 = digits.parse().ok().filter(|_| is_plain)?;
    count.checked_mul(unit).map(Duration::from_secs)
}

/// A time in the largest unit in which it is whole.
pub(super) fn words(time: Duration) -> String {
    let seconds = time.as_secs();
    let units = [(86_400, "d"), (3_600, "h"), (60, "m")];
    let whole = units
        .iter()
        .find(|(unit, _)| seconds > 0 && seconds.is_multiple_of(*unit));
    let (unit, letter) = whole.copied().unwrap_or((1, "s"));
    format!("{}{letter}", seconds / unit)
}

/// The members of a table that are not read yet.
pub(super) struct Members<'d> {
    reader: &'d Reader<'d>,
    left: BTreeMap<&'d str, (usize, Node<'d>)>,
    known: Vec<&'static str>,
    pub(super) name: String,
    pub(super) line: usize,
}

impl<'d> Members<'d> {
    pub(super) fn new(
        reader: &'d Reader<'d>,
        table: &'d DeTable<'d>,
        line: usize,
        name: String,
    ) -> Self {
        let left = table.iter().map(|(key, value)| {
            let key_line = reader.line(key.span().start);
            let key: &str = key.get_ref();
            (
                key,
                (
                    key_line,
                    Node::new(reader, value, format!("`{}`", shown(key))),
                ),
            )
        });
        Self {
            reader,
            left: left.collect(),
            known: Vec::new(),
            name,
            line,
        }
    }

    /// Records a fault of the table as a whole.
    pub(super) fn fault(&self, message: impl AsRef<str>) {
        let name = &self.name;
        self.reader
            .fault(self.line, format!("{name} {}", message.as_ref()));
    }

    pub(super) fn take(&mut self, name: &'static str) -> Option<Node<'d>> {
        self.known.push(name);
        self.left.remove(name).map(|(_, node)| node)
    }

    /// The SHA-256 of the members that are left: of what they say, not of how it is written.
    pub(super) fn digest(&self) -> Digest {
        let members = self.left.iter();
        digest_of(members.map(|(name, (_, node))| (*name, node.value)))
    }

    pub(super) fn require(&mut self, name: &'static str) -> Option<Node<'d>> {
        let node = self.take(name);
        if node.is_none() {
            self.fault(format!("has no `{name}`"));
        }
        node
    }

    /// All that are left, each with the line of its name.
    pub(super) fn take_all(
        &mut self,
    ) -> impl Iterator<Item = (&'d str, usize, Node<'d>)> + use<'d> {
        let left = std::mem::take(&mut self.left).into_iter();
        left.map(|(name, (line, node))| (name, line, node))
    }

    /// Refuses members that belong elsewhere.
    pub(super) fn refuse(&mut self, names: &[&'d str], why: &str) {
        for name in names {
            if let Some((line, _)) = self.left.remove(name) {
                self.reader
                    .fault(line, format!("`{name}` of {} {why}", self.name));
            }
        }
    }

    /// Refuses what is left.
    pub(super) fn finish(self) {
        for (name, (line, _)) in &self.left {
            let distance = |known: &&&str| strsim::damerau_levenshtein(known, name);
            let nearest = self.known.iter().min_by_key(distance);
            let nearest = nearest.filter(|known| distance(known) <= known.len().max(3) / 3);
            let hint = nearest.map_or(String::new(), |known| format!(": perhaps `{known}`"));
            let name = shown(name);
            self.reader.fault(
                *line,
                format!("{} has an unknown member `{name}`{hint}", self.name),
            );
        }
    }
}

/// A name of the file, short and in one line.
fn shown(name: &str) -> String {
    reveal::line(name, 40)
}
