//! Reading a file that `backup` wrote.

use std::collections::HashSet;
use std::fs::File;
use std::io::BufRead;
use std::path::Path;

use anyhow::{Context, anyhow, bail};
use human_oversight::domain::Approval;
use human_oversight::keys::LinkKeys;
use human_oversight::store::{StoreError, place_of_copy, read_copy};
use human_oversight_protocol::parameters::sha256;
use serde_json::{Map, Value, json};

use super::text;

/// Calls `visit` with the columns of every request, line by line.
///
/// # Errors
/// When the file is no backup; or when it has a row twice, which would count twice.
pub(crate) fn for_each_copied_row(
    file: &Path,
    keys: Option<&LinkKeys>,
    mut visit: impl FnMut(Map<String, Value>, Result<Approval, StoreError>) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let mut places = Places::default();
    for line in copied_lines(file)? {
        let (number, columns) = line?;
        places.add(number, &columns)?;
        if let Some(approval) = read_copy(columns.clone(), keys) {
            visit(columns, approval)?;
        }
    }
    Ok(())
}

/// Puts the keys under which a row is stored into its columns. Returns whether they named another row, which a copy would
/// then have twice.
pub(crate) fn set_keys(
    columns: &mut Map<String, Value>,
    (partition, row): &(String, String),
) -> bool {
    let keys = [("PartitionKey", partition), ("RowKey", row)];
    let set =
        keys.map(|(name, key)| columns.insert(name.to_owned(), json!(key)) != Some(json!(key)));
    set.contains(&true)
}

/// # Errors
/// When the file cannot be read, or has a row twice up to the first line that is no row.
pub(crate) fn ensure_no_row_twice(file: &Path) -> anyhow::Result<()> {
    let mut places = Places::default();
    for (number, columns) in copied_lines(file)?.map_while(Result::ok) {
        places.add(number, &columns)?;
    }
    Ok(())
}

/// The columns of each row, with the number of its line.
///
/// # Errors
/// When the file cannot be read, or has no row.
pub(crate) fn copied_lines(
    file: &Path,
) -> anyhow::Result<impl Iterator<Item = anyhow::Result<(u64, Map<String, Value>)>>> {
    let cannot = format!("{} cannot be read", file.display());
    let opened = File::open(file).with_context(|| cannot.clone())?;
    let lines = text::buffered(opened).with_context(|| cannot.clone())?;
    let mut lines = lines.lines();
    let first = lines.next().with_context(|| {
        let file = file.display();
        format!("{file} cannot be used: it has no row, so it is no backup")
    })?;
    let lines = (1..).zip(std::iter::once(first).chain(lines));
    Ok(lines.map(move |(number, line)| {
        let columns = serde_json::from_str(&line.with_context(|| cannot.clone())?).ok();
        let row = columns.filter(|columns| place_of_copy(columns).is_some());
        let row = row.ok_or_else(|| anyhow!("line {number} is no row: is the copy whole?"))?;
        Ok((number, row))
    }))
}

/// The digest of each row's table and keys: rows are many, and their names can be long.
#[derive(Default)]
struct Places(HashSet<[u8; 32]>);

impl Places {
    fn add(&mut self, number: u64, columns: &Map<String, Value>) -> anyhow::Result<()> {
        let place = serde_json::to_vec(&place_of_copy(columns)).expect("texts are JSON");
        if !self.0.insert(sha256(&place)) {
            bail!(
                "line {number} has the same row as an earlier line: nothing is read of such a file"
            );
        }
        Ok(())
    }
}
