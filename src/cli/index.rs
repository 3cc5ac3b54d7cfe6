//! `human-oversight index rebuild`: keeps the decisions of all requests for later ones, as the gate does
//! since it has the table of decisions; `index rebuild-lists`: the same for the lists of people who sign in;
//! and `index rebuild-due`: writes the due index as the rows name it.

use std::fmt::Display;
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::Subcommand;
use human_oversight::config::StoreSettings;
use human_oversight::keys::receipt;
use human_oversight::store::{RowVersion, StoreError, StoredRow};
use human_oversight::values::Clock;

use super::maintenance::{
    ensure_store_exists, for_each_row, link_keys, open, open_existing, receipt_keys,
};
use super::output::{plain, plain_keys, say};

#[derive(Subcommand)]
pub(crate) enum IndexCommand {
    /// Enter the decisions of all requests, with which later requests are compared
    Rebuild,
    /// Enter what each person decided, for the lists of people who sign in
    RebuildLists,
    /// Write the entries of the due index again, which a sweep also does once it notices that they are lost
    RebuildDue,
}

/// # Errors
/// When a table cannot be read or written. What was written stays; it can be run again.
pub(crate) async fn run(
    settings: StoreSettings,
    clock: Clock,
    command: IndexCommand,
) -> anyhow::Result<ExitCode> {
    match command {
        IndexCommand::Rebuild => rebuild(settings, clock).await,
        IndexCommand::RebuildLists => rebuild_lists(settings, clock).await,
        IndexCommand::RebuildDue => rebuild_due(settings, clock).await,
    }
}

/// What was found.
#[derive(Default)]
struct Found {
    kept: u64,
    there: u64,
    undecided: u64,
    legacy: u64,
    untrusted: u64,
}

impl Found {
    fn leave_out(&mut self, row: &StoredRow, why: &impl Display) {
        let (row, why) = (plain_keys(&row.keys), plain(&why.to_string()));
        self.untrusted += 1;
        say(&format!("{row}: {why}"));
    }
}

/// Keeps every decision that is not kept yet. The exit code is 1 if rows cannot be trusted; those are left out, and
/// named.
///
/// # Errors
/// When a table cannot be read or written. What was kept stays; it can be run again.
async fn rebuild(settings: StoreSettings, clock: Clock) -> anyhow::Result<ExitCode> {
    if settings.rows.version == RowVersion::V1 {
        bail!("with HO_ROWS=1 no decision is kept");
    }
    let store = open_existing(&settings, clock).await?;
    let keys = receipt_keys(&settings)?;
    let mut found = Found::default();
    for_each_row(&store, async |row| {
        match &row.approval {
            Ok(approval)
                if approval
                    .decision()
                    .is_some_and(|it| it.by.person().is_some()) =>
            {
                let checked = keys
                    .as_ref()
                    .map(|keys| receipt::check(approval, keys.public()));
                if let Some(Err(contradiction)) = checked {
                    found.leave_out(&row, &contradiction);
                    return Ok(());
                }
                let kept = store.keep_decided(approval).await;
                if kept.context("a decision cannot be kept")? {
                    found.kept += 1;
                } else {
                    found.there += 1;
                }
            }
            Ok(_) => found.undecided += 1,
            Err(StoreError::Legacy) => found.legacy += 1,
            Err(error) => found.leave_out(&row, error),
        }
        Ok(())
    })
    .await?;
    let Found {
        kept,
        there,
        undecided,
        legacy,
        untrusted,
    } = found;
    say(&format!(
        "{kept} decisions were entered; {there} were there already. Left out: {undecided} requests that no person \
         decided, {legacy} rows of the legacy Logic App, {untrusted} rows that cannot be trusted."
    ));
    Ok(ExitCode::from(u8::from(untrusted > 0)))
}

/// Keeps what each person chose on every request. The exit code is 1 if rows cannot be trusted; those are left out, and
/// named.
///
/// # Errors
/// When a table cannot be read or written. What was kept stays; it can be run again.
async fn rebuild_lists(settings: StoreSettings, clock: Clock) -> anyhow::Result<ExitCode> {
    if settings.rows.version == RowVersion::V1 {
        bail!("with HO_ROWS=1 no decision is kept");
    }
    let store = open_existing(&settings, clock).await?;
    let mut found = Found::default();
    for_each_row(&store, async |row| {
        match &row.approval {
            Ok(approval) => {
                let choices = approval.choices();
                let keeping = store.keep_choices(approval, &choices).await;
                keeping.context("a decision cannot be kept")?;
                found.kept += choices.len() as u64;
            }
            Err(StoreError::Legacy) => {}
            Err(error) => found.leave_out(&row, error),
        }
        Ok(())
    })
    .await?;
    let Found {
        kept, untrusted, ..
    } = found;
    say(&format!(
        "{kept} decisions are in the lists of the people who made them. Left out: {untrusted} rows that cannot be \
         trusted."
    ));
    Ok(ExitCode::from(u8::from(untrusted > 0)))
}

/// Writes every entry that a row names, beside a gate that runs.
///
/// # Errors
/// When a table cannot be read or written: what was written stays, and it can be run again. With link keys also when
/// they are not the gate's: by the hashes that they make, no list would find a request.
async fn rebuild_due(settings: StoreSettings, clock: Clock) -> anyhow::Result<ExitCode> {
    ensure_store_exists(&settings)?;
    let keys = link_keys(&settings)?;
    let has_keys = keys.is_some();
    let store = open(&settings, 0, clock, keys)?;
    if has_keys {
        store.ensure_gate_id_is_kept().await?;
    }
    let (mut entries, mut cursor) = (0, None);
    loop {
        let written = store.rebuild_index(cursor).await;
        let (count, next) = written.context("the due index cannot be written")?;
        entries += count;
        cursor = next;
        if cursor.is_none() {
            break;
        }
    }
    say(&format!("{entries} entries of the due index were written."));
    Ok(ExitCode::SUCCESS)
}
