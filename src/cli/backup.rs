//! `human-oversight backup` and `restore`: copies the table, the standing table and the table of decisions into a file, and restores
//! rows from it.
//!
//! Each line is a row in JSON, with the service's type annotations, and with the gate and the table that a
//! row MAC of version 2 covers. The due index is not copied: `restore` rebuilds it.

use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, anyhow};
use human_oversight::config::TableSettings;
use human_oversight::private_files;
use human_oversight::store::{StandingKind, Store, StoreError, decode_grants};
use human_oversight::values::Clock;
use serde_json::{Map, Value};

use super::maintenance::{
    ensure_store_exists, for_each_decided_row, for_each_row, for_each_standing_row, open,
    required_link_keys, say,
};

/// Copies all rows into a new `file`. Each is a consistent state of its request; the copy as a whole is not,
/// if the gate works meanwhile.
///
/// # Errors
/// When the file exists, or the table cannot be read to its end: then the file is no backup.
pub(crate) async fn run(
    settings: TableSettings,
    clock: Clock,
    file: &Path,
) -> anyhow::Result<ExitCode> {
    ensure_store_exists(&settings)?;
    let store = open(&settings, 0, clock, None)?;
    // The file contains personal data.
    let opened = private_files::options().create_new(true).open(file);
    let opened = opened.with_context(|| format!("{} cannot be made", file.display()))?;
    let mut copy = BufWriter::new(opened);
    let mut rows = 0_u64;
    for_each_row(&store, async |row| {
        serde_json::to_writer(&mut copy, &row.columns)?;
        copy.write_all(b"\n")?;
        rows += 1;
        Ok(())
    })
    .await?;
    let mut standing = 0_u64;
    for_each_standing_row(&store, async |row| {
        // It says what the gate did last, which a restored one has not done.
        if row.kind == Some(StandingKind::Sweep) {
            return Ok(());
        }
        serde_json::to_writer(&mut copy, &row.columns)?;
        copy.write_all(b"\n")?;
        standing += 1;
        Ok(())
    })
    .await?;
    let mut decided = 0_u64;
    for_each_decided_row(&store, async |row| {
        serde_json::to_writer(&mut copy, &row.columns)?;
        copy.write_all(b"\n")?;
        decided += 1;
        Ok(())
    })
    .await?;
    copy.into_inner()
        .map_err(|error| error.into_error())?
        .sync_all()?;
    say(&format!("{rows} rows were copied."));
    if standing > 0 {
        say(&format!("{standing} standing rows were copied too."));
    }
    if decided > 0 {
        say(&format!("{decided} kept decisions were copied too."));
    }
    Ok(ExitCode::SUCCESS)
}

/// Restores the rows that do not exist. Skips rows whose row MAC is not of this gate or `other_gate`, and
/// reports their lines; the exit code is then 1.
///
/// # Errors
/// When the file or the table cannot be read or written. Restored rows stay; it can be run again.
pub(crate) async fn restore(
    settings: TableSettings,
    clock: Clock,
    file: &Path,
    other_gate: Option<&str>,
) -> anyhow::Result<ExitCode> {
    let link_keys = required_link_keys(&settings)?;
    // The limit of open requests is for agents only.
    let store = open(&settings, u32::MAX as usize, clock, Some(link_keys))?;
    let copy = std::fs::File::open(file).with_context(|| format!("{}", file.display()))?;
    let (mut put_back, mut there, mut unsound) = (0_u64, 0_u64, 0_u64);
    let (mut pauses, mut budgets, mut decisions) = (0_u64, 0_u64, 0_u64);
    let mut grants = 0_usize;
    for (number, line) in (1..).zip(BufReader::new(copy).lines()) {
        let columns: Map<String, Value> = serde_json::from_str(&line?)
            .map_err(|_| anyhow!("line {number} is no row: is the copy whole?"))?;
        match restore_line(&store, columns, other_gate).await {
            Ok(Restored::Row) => put_back += 1,
            Ok(Restored::Decision) => decisions += 1,
            Ok(Restored::Pause) => pauses += 1,
            Ok(Restored::Budget) => budgets += 1,
            Ok(Restored::Nothing) => {}
            Ok(Restored::Grants(number)) => grants += number,
            Err(StoreError::AlreadyExists) => there += 1,
            Err(
                error @ (StoreError::Damaged(_)
                | StoreError::LaterVersion(_)
                | StoreError::OtherGate(_)
                | StoreError::Legacy),
            ) => {
                unsound += 1;
                say(&format!("line {number}: {error}"));
            }
            Err(error) => return Err(error).context(format!("line {number} cannot be stored")),
        }
    }
    say(&format!(
        "{put_back} rows were put back; {there} were there already and stay as they are; {unsound} were left out."
    ));
    if decisions > 0 {
        say(&format!("{decisions} kept decisions were put back."));
    }
    if pauses > 0 {
        say(&format!(
            "{pauses} pauses were put back, and stand until `resume`."
        ));
    }
    if budgets > 0 {
        say(&format!(
            "{budgets} budgets were not put back: an owner that has none in this store begins with a full one."
        ));
    }
    if grants > 0 {
        say(&format!(
            "{grants} standing grants were not put back: those that this store has stay in force, and for the others people are asked."
        ));
    }
    Ok(ExitCode::from(u8::from(unsound > 0)))
}

/// What became of a line.
enum Restored {
    /// A request, or a rejection to be shown when the same is asked again.
    Row,
    Pause,
    /// A decision, with which later requests are compared.
    Decision,
    /// Not stored: it says what was left at the time of the backup.
    Budget,
    /// Not stored either.
    Nothing,
    /// Not stored: the copy may be of a time before they were used up or revoked.
    Grants(usize),
}

async fn restore_line(
    store: &Store,
    columns: Map<String, Value>,
    other_gate: Option<&str>,
) -> Result<Restored, StoreError> {
    match store.restore_decided(&columns, other_gate).await? {
        Some(true) => return Ok(Restored::Decision),
        Some(false) => return Err(StoreError::AlreadyExists),
        None => {}
    }
    let Some((row, written_at)) = store.standing_copy(&columns, other_gate).await? else {
        store.restore(columns, other_gate).await?;
        return Ok(Restored::Row);
    };
    let restored = match row.kind {
        StandingKind::Budget => return Ok(Restored::Budget),
        // Of the gate that was copied.
        StandingKind::Sweep => return Ok(Restored::Nothing),
        StandingKind::Grant => {
            return Ok(Restored::Grants(decode_grants(&row.columns)?.held.len()));
        }
        StandingKind::Pause => Restored::Pause,
        StandingKind::Rejection
        | StandingKind::Limit
        | StandingKind::Code
        | StandingKind::Channel
        | StandingKind::Delivery
        | StandingKind::PauseLog => Restored::Row,
    };
    store.put_standing(row, written_at).await?;
    Ok(restored)
}
