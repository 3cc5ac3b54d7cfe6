//! `human-oversight backup` and `restore`: a copy of the table in a file, and rows of it put back.
//!
//! A line is a row, as the service gives it: JSON, with the types of the columns that are not text. The
//! index of what is due is not copied: `restore` makes it anew.

use std::fs::OpenOptions;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, anyhow};
use human_oversight::config::Archive;
use human_oversight::store::StoreError;
use human_oversight::values::Clock;
use serde_json::{Map, Value};

use super::maintenance::{each, must_be_there, needed_link_keys, open, say};

/// Copies all rows into a new `file`. Each is one moment of its request; the copy as a whole is none,
/// when the gate works meanwhile.
///
/// # Errors
/// When there is such a file, or the table cannot be read to its end: then the file is no copy.
pub(crate) async fn run(archive: Archive, clock: Clock, file: &Path) -> anyhow::Result<ExitCode> {
    must_be_there(&archive)?;
    let store = open(&archive, 0, clock, None)?;
    let mut options = OpenOptions::new();
    // It holds personal data.
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let opened = options.write(true).create_new(true).open(file);
    let opened = opened.with_context(|| format!("{} cannot be made", file.display()))?;
    let mut copy = BufWriter::new(opened);
    let mut rows = 0_u64;
    each(&store, async |row| {
        serde_json::to_writer(&mut copy, &row.columns)?;
        copy.write_all(b"\n")?;
        rows += 1;
        Ok(())
    })
    .await?;
    copy.into_inner()
        .map_err(|error| error.into_error())?
        .sync_all()?;
    say(&format!("{rows} rows were copied."));
    Ok(ExitCode::SUCCESS)
}

/// Puts the rows of a copy back, those that are not there. Says which ones are not as a gate with these
/// keys stored them, and leaves them out; the exit code is 1 then.
///
/// # Errors
/// When the file or the table cannot be read or written. What was put back is; it can be run again.
pub(crate) async fn restore(
    archive: Archive,
    clock: Clock,
    file: &Path,
) -> anyhow::Result<ExitCode> {
    let link_keys = needed_link_keys(&archive)?;
    // The limit on what is open at once is for agents.
    let store = open(&archive, u32::MAX as usize, clock, Some(link_keys))?;
    let copy = std::fs::File::open(file).with_context(|| format!("{}", file.display()))?;
    let (mut put_back, mut there, mut unsound) = (0_u64, 0_u64, 0_u64);
    for (number, line) in (1..).zip(BufReader::new(copy).lines()) {
        let columns: Map<String, Value> = serde_json::from_str(&line?)
            .map_err(|_| anyhow!("line {number} is no row: is the copy whole?"))?;
        match store.restore(columns).await {
            Ok(()) => put_back += 1,
            Err(StoreError::AlreadyExists) => there += 1,
            Err(error @ (StoreError::Damaged(_) | StoreError::Predecessor)) => {
                unsound += 1;
                say(&format!("line {number}: {error}"));
            }
            Err(error) => return Err(error).context(format!("line {number} cannot be stored")),
        }
    }
    say(&format!(
        "{put_back} rows were put back; {there} were there already and stay as they are; {unsound} were left out."
    ));
    Ok(ExitCode::from(u8::from(unsound > 0)))
}
