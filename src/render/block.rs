//! Parameters as people read them: names and values, tables, numbered lines, diffs.
//!
//! Nothing is left out: the page shows every block whole. An email shows as much as [`fold`](super::fold::fold) leaves, and counts
//! the rest.

use serde_json::{Map, Value};

use super::diff::Diff;
use super::text::Text;

/// A value for display.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Block {
    /// One line of text, or a number.
    Value(Text),
    /// What has no text of its own: `true`, `false`, `null`, or something empty.
    Word(&'static str),
    /// A text of several lines.
    Lines(Lines),
    Diff(Diff),
    /// The members of an object.
    Members(Vec<(Text, Self)>),
    /// An array of objects with the same members, each one line.
    Table(Table),
    /// Another array.
    Items(Vec<Self>),
    /// How many values an email leaves to the page.
    Folded(usize),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Lines {
    pub(super) lines: Vec<Text>,
    /// How many more lines an email leaves to the page.
    pub(super) more: usize,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Table {
    pub(super) names: Vec<Text>,
    pub(super) rows: Vec<Vec<Block>>,
    /// How many more rows an email leaves to the page.
    pub(super) more: usize,
}

/// An array of objects with more members is a list.
const TABLE_COLUMNS: usize = 5;

/// The member that comes first: what an agent says in one line about the others.
const SUMMARY: &str = "summary";

impl Block {
    /// The block of the parameters. `write` prepares each text: a mail defangs it.
    pub(super) fn of_parameters(
        parameters: &Value,
        write: &mut impl FnMut(&str) -> String,
    ) -> Self {
        let mut block = Self::new(parameters, write);
        let names = parameters.as_object().map(Map::keys);
        let summary = names.and_then(|mut names| names.position(|name| name == SUMMARY));
        if let (Self::Members(members), Some(at)) = (&mut block, summary) {
            members[..=at].rotate_right(1);
        }
        block
    }

    fn new(value: &Value, write: &mut impl FnMut(&str) -> String) -> Self {
        match value {
            Value::Null => Self::Word("null"),
            Value::Bool(true) => Self::Word("true"),
            Value::Bool(false) => Self::Word("false"),
            Value::Number(number) => Self::Value(Text::new(&write(&number.to_string()))),
            Value::String(text) => Self::of_text(text, write),
            Value::Array(items) => Self::of_array(items, write),
            Value::Object(members) if members.is_empty() => Self::Word("no members"),
            Value::Object(members) => Self::Members(
                members
                    .iter()
                    .map(|(name, member)| (Text::new(&write(name)), Self::new(member, write)))
                    .collect(),
            ),
        }
    }

    fn of_text(text: &str, write: &mut impl FnMut(&str) -> String) -> Self {
        if text.is_empty() {
            return Self::Word("empty text");
        }
        let text = text.replace("\r\n", "\n");
        let mut lines: Vec<&str> = text.split('\n').collect();
        // What ends the last line is no further line.
        if lines.len() > 2 && lines.last() == Some(&"") {
            lines.pop();
        }
        let mut show = |line: &str| Text::new(&write(line));
        match lines.as_slice() {
            [line] => Self::Value(show(line)),
            lines => match Diff::parse(lines, &mut show) {
                Some(diff) => Self::Diff(diff),
                None => Self::Lines(Lines {
                    lines: lines.iter().map(|line| show(line)).collect(),
                    more: 0,
                }),
            },
        }
    }

    fn of_array(items: &[Value], write: &mut impl FnMut(&str) -> String) -> Self {
        if items.is_empty() {
            return Self::Word("empty list");
        }
        if let Some(names) = columns(items) {
            let rows = items.iter().filter_map(Value::as_object);
            return Self::Table(Table {
                rows: rows
                    .map(|row| row.values().map(|cell| Self::new(cell, write)).collect())
                    .collect(),
                names: names
                    .into_iter()
                    .map(|name| Text::new(&write(name)))
                    .collect(),
                more: 0,
            });
        }
        Self::Items(items.iter().map(|item| Self::new(item, write)).collect())
    }

    /// The number of values in it.
    pub(super) fn count(&self) -> usize {
        match self {
            Self::Members(members) => members.iter().map(|(_, member)| member.count()).sum(),
            Self::Items(items) => items.iter().map(Self::count).sum(),
            Self::Table(table) => table.names.len() * (table.rows.len() + table.more),
            Self::Folded(values) => *values,
            Self::Value(_) | Self::Word(_) | Self::Lines(_) | Self::Diff(_) => 1,
        }
    }

    /// Whether it is one line, which can stand beside its name.
    pub(super) fn is_line(&self) -> bool {
        matches!(self, Self::Value(_) | Self::Word(_) | Self::Folded(_))
    }
}

/// The names that all items have in common, if these are at least two objects with the same members, each of one
/// line.
fn columns(items: &[Value]) -> Option<Vec<&str>> {
    let names = |object: &'_ Map<String, Value>| object.keys().cloned().collect::<Vec<_>>();
    let first = items.first()?.as_object()?;
    let is_row = |item: &Value| {
        item.as_object().is_some_and(|row| {
            names(row) == names(first)
                && row.values().all(|cell| match cell {
                    Value::Array(items) => items.is_empty(),
                    Value::Object(members) => members.is_empty(),
                    Value::String(text) => !text.contains('\n'),
                    _ => true,
                })
        })
    };
    let is_table =
        items.len() > 1 && (1..=TABLE_COLUMNS).contains(&first.len()) && items.iter().all(is_row);
    is_table.then(|| first.keys().map(String::as_str).collect())
}
