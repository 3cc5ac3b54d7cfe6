//! Parameters as people read them: names and values, tables, numbered lines, diffs.
//!
//! Nothing is left out: the page shows every block whole. An email shows as much as [`fold`](super::fold::fold) leaves,
//! and counts the rest.

use serde_json::{Map, Value};

use super::diff::Diff;
use super::secrets::Secrets;
use super::text::Text;

/// A value for display.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Block {
    /// One line of text, or a number.
    Value(Text),
    /// `true`, `false` or `null`.
    Word(&'static str),
    /// Words of the gate's, about what has no text of its own, such as something empty.
    Label(&'static str),
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

/// The width of columns that a phone shows beside each other without breaking a word, in digits, where the table has
/// [`TABLE_COLUMNS`].
const UNBROKEN: usize = 18;

/// What each column fewer adds to that: its cells' padding, and a character.
const COLUMN: usize = 2;

/// An array of objects with more members is a list.
const TABLE_COLUMNS: usize = 5;

/// The member that comes before the others: what an agent says in one line about the others.
pub(super) const SUMMARY: &str = "summary";

impl Block {
    /// The block of the parameters. `write` prepares each text: a mail defangs it.
    pub(super) fn of_parameters(
        parameters: &Value,
        secrets: Secrets,
        write: &mut impl FnMut(&str) -> String,
    ) -> Self {
        let mut block = Self::new(parameters, secrets, write);
        let names = parameters.as_object().map(Map::keys);
        let summary = names.and_then(|mut names| names.position(|name| name == SUMMARY));
        if let (Self::Members(members), Some(at)) = (&mut block, summary) {
            members[..=at].rotate_right(1);
        }
        block
    }

    pub(super) fn new(
        value: &Value,
        secrets: Secrets,
        write: &mut impl FnMut(&str) -> String,
    ) -> Self {
        match value {
            Value::Null => Self::Word("null"),
            Value::Bool(true) => Self::Word("true"),
            Value::Bool(false) => Self::Word("false"),
            Value::Number(number) => Self::Value(Text::new(&write(&number.to_string()))),
            Value::String(text) => Self::of_text(text, write),
            Value::Array(items) => Self::of_array(items, secrets, write),
            Value::Object(members) if members.is_empty() => Self::Label("no members"),
            Value::Object(members) => Self::Members(
                members
                    .iter()
                    .map(|(name, member)| {
                        let shown = Text::of_name(&write(name));
                        (shown, Self::of_member(name, member, secrets, write))
                    })
                    .collect(),
            ),
        }
    }

    /// The value of a member, or what stands for it.
    pub(super) fn of_member(
        name: &str,
        member: &Value,
        secrets: Secrets,
        write: &mut impl FnMut(&str) -> String,
    ) -> Self {
        match member {
            Value::String(mark) if secrets.are_withheld(name) => Self::Value(Text::new(mark)),
            member => Self::new(member, secrets, write),
        }
    }

    fn of_text(text: &str, write: &mut impl FnMut(&str) -> String) -> Self {
        if text.is_empty() {
            return Self::Label("empty text");
        }
        let mut lines: Vec<&str> = text.split('\n').collect();
        // What ends the last line is no further line.
        if lines.len() > 2 && lines.last() == Some(&"") {
            lines.pop();
        }
        if let [line] = lines.as_slice() {
            return Self::Value(Text::of_value(line, write));
        }
        let mut show = |line: &str| Text::new(&write(line));
        match Diff::parse(&lines, &mut show) {
            Some(diff) => Self::Diff(diff),
            None => Self::Lines(Lines {
                lines: lines.iter().map(|line| show(line)).collect(),
                more: 0,
            }),
        }
    }

    fn of_array(items: &[Value], secrets: Secrets, write: &mut impl FnMut(&str) -> String) -> Self {
        if items.is_empty() {
            return Self::Label("empty list");
        }
        if let Some(names) = columns(items) {
            let rows = items.iter().filter_map(Value::as_object);
            return Self::Table(Table {
                rows: rows
                    .map(|row| {
                        row.iter()
                            .map(|(name, cell)| Self::of_member(name, cell, secrets, write))
                            .collect()
                    })
                    .collect(),
                names: names
                    .into_iter()
                    .map(|name| Text::of_name(&write(name)))
                    .collect(),
                more: 0,
            });
        }
        let items = items.iter().map(|item| Self::new(item, secrets, write));
        Self::Items(items.collect())
    }

    /// The number of values in it.
    pub(super) fn count(&self) -> usize {
        match self {
            Self::Members(members) => members.iter().map(|(_, member)| member.count()).sum(),
            Self::Items(items) => items.iter().map(Self::count).sum(),
            Self::Table(table) => table.names.len() * (table.rows.len() + table.more),
            Self::Folded(values) => *values,
            Self::Value(_) | Self::Word(_) | Self::Label(_) | Self::Lines(_) | Self::Diff(_) => 1,
        }
    }

    /// About how many lines it takes on a phone.
    pub(super) fn height(&self) -> usize {
        match self {
            Self::Value(text) => 1 + text.chars() / 22,
            Self::Word(_) | Self::Label(_) | Self::Folded(_) => 1,
            Self::Lines(lines) => lines.lines.iter().map(|line| 1 + line.chars() / 36).sum(),
            Self::Diff(diff) => diff.lines.len(),
            Self::Members(members) => {
                let heights = members.iter().map(|(_, member)| member.height());
                heights.sum::<usize>() + members.iter().filter(|(_, it)| !it.is_line()).count()
            }
            Self::Table(table) => table.rows.len() * 2,
            Self::Items(items) => items.iter().map(Self::height).sum(),
        }
    }

    /// Whether it is one line, which can stand beside its name.
    pub(super) fn is_line(&self) -> bool {
        matches!(
            self,
            Self::Value(_) | Self::Word(_) | Self::Label(_) | Self::Folded(_)
        )
    }
}

impl Table {
    /// For each column, whether its cells are short enough to stay whole on a phone, since half a number is another
    /// number; and whether its name is. At each depth there is less room.
    pub(super) fn unbroken(&self, depth: usize) -> Vec<(bool, bool)> {
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            let widths = cells.map(|cell| match cell {
                Block::Value(text) => text.width(),
                _ => 8,
            });
            widths.max().unwrap_or(0)
        };
        let mut columns: Vec<(usize, usize)> =
            (0..self.names.len()).map(|it| (width(it), it)).collect();
        columns.sort_unstable();
        let fewer = TABLE_COLUMNS.saturating_sub(columns.len());
        let mut room = (UNBROKEN + COLUMN * fewer).saturating_sub(2 * depth);
        let mut take = |width: usize| {
            let fits = width <= room;
            room -= if fits { width } else { 0 };
            fits
        };
        let mut unbroken = vec![(false, false); columns.len()];
        for &(width, column) in &columns {
            unbroken[column].0 = take(width);
        }
        for (width, column) in columns {
            let more = self.names[column].width().saturating_sub(width);
            unbroken[column].1 = unbroken[column].0 && take(more);
        }
        unbroken
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
