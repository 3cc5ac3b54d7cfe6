//! The report's semantic model, with those parts of its TMDL that the checks need.

use std::collections::BTreeMap;

use super::Files;

pub(crate) struct Model {
    pub(crate) tables: Vec<Table>,
    /// Each parameter with its default, as M.
    pub(crate) parameters: BTreeMap<String, String>,
    /// Pairs of columns as in TMDL, such as `Approvals.'Requested date'`.
    pub(crate) relationships: Vec<(String, String)>,
}

#[derive(Default)]
pub(crate) struct Table {
    pub(crate) name: String,
    pub(crate) measures: Vec<Item>,
    pub(crate) columns: Vec<Item>,
    /// M, or DAX if the table is calculated.
    pub(crate) source: String,
    pub(crate) is_calculated: bool,
}

/// A measure or a column.
#[derive(Default)]
pub(crate) struct Item {
    pub(crate) name: String,
    pub(crate) description: String,
    pub(crate) expression: Option<String>,
    pub(crate) properties: BTreeMap<String, String>,
}

impl Model {
    pub(crate) fn parse(files: &Files) -> Self {
        let part = |name: &str| files.text(&format!("{}/definition/{name}", super::MODEL));
        let folder = format!("{}/definition/tables/", super::MODEL);
        let tables = files.below(&folder);
        let parameters = part("expressions.tmdl").lines().filter_map(|line| {
            let (name, value) = line.strip_prefix("expression ")?.split_once(" = ")?;
            Some((name.to_owned(), value.split_once(" meta ")?.0.to_owned()))
        });
        let ends = |key: &str| -> Vec<String> {
            let lines = part("relationships.tmdl").lines();
            let ends = lines.filter_map(|line| line.trim().strip_prefix(key));
            ends.map(str::to_owned).collect()
        };
        Self {
            tables: tables.map(|path| Table::parse(files.text(path))).collect(),
            parameters: parameters.collect(),
            relationships: ends("fromColumn: ")
                .into_iter()
                .zip(ends("toColumn: "))
                .collect(),
        }
    }

    pub(crate) fn table(&self, name: &str) -> Option<&Table> {
        self.tables.iter().find(|table| table.name == name)
    }

    /// The table of requests.
    pub(crate) fn approvals(&self) -> &Table {
        self.table("Approvals").unwrap()
    }
}

impl Table {
    fn parse(text: &str) -> Self {
        let mut table = Self::default();
        let mut description = String::new();
        // The item that deeper indented lines continue.
        let mut open = Open::Nothing;
        for line in text.lines() {
            let depth = line.bytes().take_while(|b| *b == b'\t').count();
            let line = line.trim();
            let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
            match (depth, word) {
                (3.., _) => match open {
                    Open::Nothing => {}
                    Open::Source => push(&mut table.source, line),
                    Open::Measure => table.measures.last_mut().unwrap().append(line),
                    Open::Column => table.columns.last_mut().unwrap().append(line),
                },
                (_, "///") => push(&mut description, rest),
                (0, "table") => table.name = unquoted(rest).to_owned(),
                (1, "measure") => {
                    let item = Item::parse(rest, std::mem::take(&mut description));
                    table.measures.push(item);
                    open = Open::Measure;
                }
                (1, "column") => {
                    let item = Item::parse(rest, std::mem::take(&mut description));
                    table.columns.push(item);
                    open = Open::Column;
                }
                (1, "partition") => {
                    table.is_calculated = rest.ends_with("= calculated");
                    open = Open::Source;
                }
                (2, "source") => push(&mut table.source, rest.trim_start_matches('=').trim()),
                (2, _) => {
                    let item = match open {
                        Open::Measure => table.measures.last_mut(),
                        Open::Column => table.columns.last_mut(),
                        _ => None,
                    };
                    if let (Some(item), Some((key, value))) = (item, line.split_once(": ")) {
                        item.properties.insert(key.to_owned(), value.to_owned());
                    }
                }
                _ => description.clear(),
            }
        }
        table
    }

    /// One of the lists of columns at the start of the table's M.
    pub(crate) fn list(&self, name: &str) -> Vec<&str> {
        let head = format!("{name} = {{");
        let list = self
            .source
            .lines()
            .find_map(|line| line.strip_prefix(&head));
        let list = list.and_then(|line| line.strip_suffix("},"));
        let names = list.unwrap_or_default().split(", ");
        names.map(|name| name.trim_matches('"')).collect()
    }

    /// Every DAX expression of the table.
    pub(crate) fn dax(&self) -> impl Iterator<Item = &str> {
        let items = self.measures.iter().chain(&self.columns);
        let items = items.filter_map(|item| item.expression.as_deref());
        items.chain(self.is_calculated.then_some(self.source.as_str()))
    }
}

impl Item {
    fn parse(head: &str, description: String) -> Self {
        let (name, expression) = match head.split_once(" =") {
            Some((name, expression)) => (name, Some(expression.trim().to_owned())),
            None => (head, None),
        };
        Self {
            name: unquoted(name).to_owned(),
            description,
            expression,
            properties: BTreeMap::new(),
        }
    }

    fn append(&mut self, line: &str) {
        push(self.expression.get_or_insert_default(), line);
    }

    pub(crate) fn property(&self, key: &str) -> &str {
        self.properties.get(key).map_or("", String::as_str)
    }
}

enum Open {
    Nothing,
    Measure,
    Column,
    Source,
}

fn push(text: &mut String, line: &str) {
    if !text.is_empty() {
        text.push('\n');
    }
    text.push_str(line);
}

pub(crate) fn unquoted(name: &str) -> &str {
    name.trim_matches('\'')
}
