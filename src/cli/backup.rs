//! `human-oversight backup` and `restore`: copies the table, the standing table and the table of decisions into a file,
//! and restores rows from it.
//!
//! Each line is a row in JSON, with the service's type annotations, and with the gate and the table that a
//! row MAC of version 2 covers. The due index is not copied: `restore` rebuilds it.

use std::fs::File;
use std::io::{self, BufWriter, ErrorKind, Write};
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, bail};
use human_oversight::config::StoreSettings;
use human_oversight::domain::Approval;
use human_oversight::keys::LinkKeys;
use human_oversight::private_files;
use human_oversight::store::{
    StandingKind, Store, StoreError, decode_grants, ensure_readable, is_standing_copy, name_gate,
};
use human_oversight::values::{Clock, Timestamp};
use serde_json::{Map, Value};

use super::copied::{copied_lines, ensure_no_row_twice, set_keys};
use super::maintenance::{
    ensure_store_exists, for_each_decided_row, for_each_row, for_each_standing_row, link_keys,
    open, required_link_keys,
};
use super::output::{plain, plain_keys, say};
use super::unfinished::Unfinished;

/// Copies all rows into a new `file`. Each is a consistent state of its request; the copy as a whole is not,
/// if the gate works meanwhile. Of a row that cannot be read the copy has only the keys, which are named; the exit
/// code is then 1, as where the standing table is lost.
///
/// # Errors
/// When the file exists, or the table cannot be read to its end: then there is no file.
pub(crate) async fn run(
    settings: StoreSettings,
    clock: Clock,
    file: &Path,
) -> anyhow::Result<ExitCode> {
    ensure_store_exists(&settings)?;
    if file.as_os_str() == "-" {
        bail!("a backup is a file: name one");
    }
    let cannot = || format!("{} cannot be made", file.display());
    if file.try_exists().with_context(cannot)? {
        bail!("{}: it exists", cannot());
    }
    let keys = link_keys(&settings)?;
    // Whatever is in it is copied, also what these keys do not verify.
    let store = open(&settings, 0, clock, None)?;
    let mut partial = file.as_os_str().to_owned();
    partial.push(".partial");
    let partial = Path::new(&partial);
    // The file contains personal data.
    let (unfinished, opened) = Unfinished::make(partial, || {
        let opened = private_files::options().create_new(true).open(partial);
        opened.with_context(|| {
            let name = partial.display();
            if partial.exists() {
                format!("{name} exists: an earlier backup was stopped, or one is running: delete the file if none is")
            } else {
                format!("{name} cannot be made")
            }
        })
    })?;
    let copied = match copy(&store, keys.as_deref(), opened).await {
        Ok(copied) => std::fs::rename(partial, file)
            .map(|()| copied)
            .with_context(cannot),
        Err(error) => Err(error),
    };
    if copied.is_err() {
        std::fs::remove_file(partial).ok();
    }
    unfinished.end();
    let copied = copied?;
    copied.say();
    let mut is_incomplete = copied.unreadable > 0;
    if let Err(error @ StoreError::StandingLost) = store.ensure_gate_id_is_kept().await {
        eprintln!("human-oversight backup: {error}");
        is_incomplete = true;
    }
    Ok(ExitCode::from(u8::from(is_incomplete)))
}

/// How much of each kind was copied.
#[derive(Default)]
struct Copied<'a> {
    /// Those of the gate, where they are at hand.
    keys: Option<&'a LinkKeys>,
    rows: u64,
    standing: u64,
    decided: u64,
    /// Those of them of which the copy has only the keys.
    unreadable: u64,
}

async fn copy<'a>(
    store: &Store,
    keys: Option<&'a LinkKeys>,
    file: File,
) -> anyhow::Result<Copied<'a>> {
    let mut copy = BufWriter::new(file);
    let mut copied = Copied {
        keys,
        ..Copied::default()
    };
    for_each_row(store, async |row| {
        copied.rows += 1;
        copied.write_line(&mut copy, &row.keys, row.columns)
    })
    .await?;
    for_each_standing_row(store, async |row| {
        // It says what the gate did last, which a restored one has not done.
        if row.kind == Some(StandingKind::Sweep) {
            return Ok(());
        }
        copied.standing += 1;
        copied.write_line(&mut copy, &row.keys, row.columns)
    })
    .await?;
    for_each_decided_row(store, async |row| {
        copied.decided += 1;
        copied.write_line(&mut copy, &row.keys, row.columns)
    })
    .await?;
    copy.into_inner()
        .map_err(|error| error.into_error())?
        .sync_all()?;
    Ok(copied)
}

impl Copied<'_> {
    fn say(&self) {
        say(&format!("{} rows were copied.", self.rows));
        for (count, what) in [
            (self.standing, "standing rows"),
            (self.decided, "kept decisions"),
        ] {
            if count > 0 {
                say(&format!("{count} {what} were copied too."));
            }
        }
    }

    fn write_line(
        &mut self,
        copy: &mut impl Write,
        keys: &(String, String),
        mut columns: Map<String, Value>,
    ) -> anyhow::Result<()> {
        let names_another = set_keys(&mut columns, keys);
        if let Some(keys) = self.keys {
            name_gate(&mut columns, keys);
        }
        let problem = match ensure_readable(&columns) {
            Err(error) => Some(error.to_string()),
            Ok(()) => names_another.then(|| "its columns name another row".to_owned()),
        };
        if let Some(problem) = problem {
            self.unreadable += 1;
            say(&format!("{}: {}", plain_keys(keys), plain(&problem)));
        }
        serde_json::to_writer(&mut *copy, &columns)?;
        Ok(copy.write_all(b"\n")?)
    }
}

/// Restores the rows that do not exist. Skips rows whose row MAC is not of this gate or `other_gate`, and
/// reports their lines; the exit code is then 1.
///
/// # Errors
/// When the file has a row twice: then nothing is stored. When the file or the table cannot be read or written:
/// restored rows stay; it can be run again.
pub(crate) async fn restore(
    settings: StoreSettings,
    clock: Clock,
    file: &Path,
    other_gate: Option<&str>,
) -> anyhow::Result<ExitCode> {
    let link_keys = required_link_keys(&settings)?;
    ensure_no_row_twice(file)?;
    let now = clock();
    // The limit of open requests is for agents only.
    let store = open(&settings, u32::MAX as usize, clock, Some(link_keys))?;
    let mut summary = Summary::default();
    let restored = restore_lines(&store, file, other_gate, now, &mut summary).await;
    summary.say();
    restored?;
    Ok(ExitCode::from(u8::from(summary.unsound > 0)))
}

/// Standing rows come first, those after a line that is no row too: a pause stands, and a rejection is known, before there
/// is a request that they stop.
async fn restore_lines(
    store: &Store,
    file: &Path,
    other_gate: Option<&str>,
    now: Timestamp,
    summary: &mut Summary,
) -> anyhow::Result<()> {
    let rows = copied_lines(file)?.take_while(|line| !is_unreadable(line));
    let rows = rows.filter_map(Result::ok);
    for (number, columns) in rows.filter(|(_, columns)| is_standing_copy(columns)) {
        let restored = restore_line(store, columns, other_gate).await;
        summary.add(number, restored, now)?;
    }
    for line in copied_lines(file)? {
        let (number, columns) = line?;
        if !is_standing_copy(&columns) {
            let restored = restore_line(store, columns, other_gate).await;
            summary.add(number, restored, now)?;
        }
    }
    Ok(())
}

/// Whether the file cannot be read on.
fn is_unreadable<T>(line: &anyhow::Result<T>) -> bool {
    let fault = line
        .as_ref()
        .err()
        .and_then(|it| it.downcast_ref::<io::Error>());
    fault.is_some_and(|it| it.kind() != ErrorKind::InvalidData)
}

/// What became of the lines.
#[derive(Default)]
struct Summary {
    put_back: u64,
    /// Those of them that wait for a decision or a claim.
    open: u64,
    there: u64,
    unsound: u64,
    decisions: u64,
    pauses: u64,
    channels: u64,
    budgets: u64,
    grants: usize,
}

impl Summary {
    /// Takes what became of a line.
    fn add(
        &mut self,
        number: u64,
        restored: Result<Restored, StoreError>,
        now: Timestamp,
    ) -> anyhow::Result<()> {
        match restored {
            Ok(Restored::Request(request)) => {
                self.put_back += 1;
                self.open += u64::from(request.is_some_and(|it| it.is_open(now)));
            }
            Ok(Restored::Row) => self.put_back += 1,
            Ok(Restored::Decision) => self.decisions += 1,
            Ok(Restored::Pause) => self.pauses += 1,
            Ok(Restored::Channel) => self.channels += 1,
            Ok(Restored::Budget) => self.budgets += 1,
            Ok(Restored::Nothing) => {}
            Ok(Restored::Grants(number)) => self.grants += number,
            Err(StoreError::AlreadyExists) => self.there += 1,
            Err(
                error @ (StoreError::Damaged(_)
                | StoreError::LaterVersion(_)
                | StoreError::OtherGate(_)
                | StoreError::Legacy),
            ) => {
                self.unsound += 1;
                say(&format!("line {number}: {}", plain(&error.to_string())));
            }
            Err(error) => return Err(error).context(format!("line {number} cannot be stored")),
        }
        Ok(())
    }

    fn say(&self) {
        let Self {
            put_back,
            open,
            there,
            unsound,
            decisions,
            pauses,
            channels,
            budgets,
            grants,
        } = *self;
        say(&format!(
            "{put_back} rows were put back; {there} were there already and stay as they are; {unsound} were left out."
        ));
        if open > 0 {
            say(&format!(
                "{open} of them wait for a decision or a claim. What an agent has run since the copy was made can be claimed \
                 once more: `list --open` names them, and `revoke` ends an approval."
            ));
        }
        if decisions > 0 {
            say(&format!("{decisions} kept decisions were put back."));
        }
        if pauses > 0 {
            say(&format!(
                "{pauses} pauses were put back, and stand until `resume`."
            ));
        }
        if channels > 0 {
            say(&format!(
                "{channels} channels are off as they were when the copy was made: `webhooks` names them, and \
                 `webhooks enable` turns one on."
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
    }
}

/// What became of a line.
enum Restored {
    /// A request; `None` for one of the legacy Logic App.
    Request(Option<Box<Approval>>),
    /// A rejection to be shown when the same is asked again, or another standing row.
    Row,
    Pause,
    /// A channel that was switched off.
    Channel,
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
    ensure_readable(&columns)?;
    match store.restore_decided(&columns, other_gate).await? {
        Some(true) => return Ok(Restored::Decision),
        Some(false) => return Err(StoreError::AlreadyExists),
        None => {}
    }
    let Some((row, written_at)) = store.standing_copy(&columns, other_gate).await? else {
        let request = store.restore(columns, other_gate).await?;
        return Ok(Restored::Request(request.map(Box::new)));
    };
    let restored = match row.kind {
        StandingKind::Budget => return Ok(Restored::Budget),
        // Of the gate that was copied.
        StandingKind::Sweep => return Ok(Restored::Nothing),
        StandingKind::Grant => {
            return Ok(Restored::Grants(decode_grants(&row.columns)?.held.len()));
        }
        StandingKind::Pause => Restored::Pause,
        StandingKind::Channel => Restored::Channel,
        StandingKind::Rejection
        | StandingKind::Limit
        | StandingKind::Code
        | StandingKind::Delivery
        | StandingKind::PauseLog => Restored::Row,
    };
    store.put_standing(row, written_at).await?;
    Ok(restored)
}
