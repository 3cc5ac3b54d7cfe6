//! The table `coverage` of the report, as a file of comma-separated values.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufWriter, Read, Seek, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use human_oversight::domain::{Mismatch, Performed};
use human_oversight::values::Timestamp;
use human_oversight::{private_files, reveal};

const HEADER: &str = "At,Kind,Action,Line,Name,Approval,Actions";

/// The longest text of a field.
const TEXT_CHARS: usize = 1_000;

/// A row for each mismatch, and one for each day and action with the number of actions that matched. The file is written
/// at the end.
pub(super) struct Table {
    path: PathBuf,
    /// A file without a name.
    rows: BufWriter<File>,
    matched: BTreeMap<(String, String), u64>,
}

impl Table {
    /// # Errors
    /// When another file would be replaced than a table of an earlier run, such as the actions.
    pub(super) fn new(path: &Path) -> anyhow::Result<Self> {
        // The file behind a link is replaced, not the link.
        let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        for file in [&path, &unfinished(&path)] {
            let is_table = may_be_table(file);
            if !is_table.with_context(|| format!("{} cannot be read", file.display()))? {
                bail!(
                    "{} is no table of an earlier run, and is not replaced",
                    file.display()
                );
            }
        }
        let file = private_files::unnamed().context("no temporary file can be made")?;
        let mut rows = BufWriter::new(file);
        write!(rows, "{HEADER}\r\n")?;
        Ok(Self {
            path,
            rows,
            matched: BTreeMap::new(),
        })
    }

    pub(super) fn add(&mut self, mismatch: &Mismatch) -> anyhow::Result<()> {
        let (kind, performed, approval) = match mismatch {
            Mismatch::NeverApproved(performed) => ("neverApproved", performed, ""),
            Mismatch::OtherParameters {
                performed,
                approval,
            } => ("otherParameters", performed, approval.as_str()),
            Mismatch::Twice {
                performed,
                approval,
                ..
            } => ("executedTwice", performed, approval.as_str()),
            Mismatch::NeverExecuted(claimed) => {
                let (at, action) = (claimed.from.to_string(), claimed.action.as_str());
                return self.row([&at, "neverExecuted", action, "", "", &claimed.id, "0"]);
            }
        };
        let Performed {
            number,
            name,
            action,
            at,
            ..
        } = performed;
        let (at, number) = (at.to_string(), number.to_string());
        let name = name.as_deref().unwrap_or_default();
        self.row([&at, kind, action, &number, name, approval, "1"])
    }

    pub(super) fn matched(&mut self, at: Timestamp, action: &str) {
        let day = at.to_string()[..10].to_owned();
        *self.matched.entry((day, action.to_owned())).or_default() += 1;
    }

    /// Writes the file, in place of one that is there.
    pub(super) fn finish(mut self) -> anyhow::Result<()> {
        for ((day, action), count) in std::mem::take(&mut self.matched) {
            let (at, count) = (format!("{day}T00:00:00.000Z"), count.to_string());
            self.row([&at, "matched", &action, "", "", "", &count])?;
        }
        let cannot = || format!("{} cannot be written", self.path.display());
        let mut rows = self.rows.into_inner().map_err(|error| error.into_error())?;
        rows.rewind()?;
        let new = unfinished(&self.path);
        let file = private_files::options()
            .create(true)
            .truncate(true)
            .open(&new);
        let mut file = file.with_context(cannot)?;
        io::copy(&mut rows, &mut file).with_context(cannot)?;
        file.sync_all().with_context(cannot)?;
        // A reader finds the earlier file or this one, whole.
        std::fs::rename(&new, &self.path).with_context(cannot)
    }

    fn row(&mut self, fields: [&str; 7]) -> anyhow::Result<()> {
        let quoted = fields.map(|field| {
            let shown = reveal::line(field, TEXT_CHARS).to_string();
            // What a spreadsheet would take for a formula is a text to it behind this.
            let mark = if shown.starts_with(['=', '+', '-', '@']) {
                "'"
            } else {
                ""
            };
            format!("\"{mark}{}\"", shown.replace('"', "\"\""))
        });
        write!(self.rows, "{}\r\n", quoted.join(","))?;
        Ok(())
    }
}

/// The file that becomes the table once it is whole.
fn unfinished(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    name.into()
}

/// Whether there is no file, an empty one, or one that begins as a table does, perhaps of a run that was stopped.
fn may_be_table(path: &Path) -> io::Result<bool> {
    match path.metadata() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(true),
        Err(error) => return Err(error),
        Ok(file) if !file.is_file() => return Ok(false),
        Ok(_) => {}
    }
    let mut start = Vec::new();
    let most = HEADER.len() as u64;
    File::open(path)?.take(most).read_to_end(&mut start)?;
    Ok(HEADER.as_bytes().starts_with(&start))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_field_is_a_formula() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("coverage.csv");
        let mut table = Table::new(&path).unwrap();
        for action in ["=1+2", "+1", "-1", "@SUM(1)", "Pay =1"] {
            table.matched(Timestamp::from_unix_millis(0).unwrap(), action);
        }
        table.finish().unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        let actions = text
            .lines()
            .skip(1)
            .map(|row| row.split('"').nth(5).unwrap());
        let actions: Vec<&str> = actions.collect();
        assert_eq!(actions, ["'+1", "'-1", "'=1+2", "'@SUM(1)", "Pay =1"]);
    }
}
