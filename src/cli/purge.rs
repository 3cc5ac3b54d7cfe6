//! `human-oversight purge`: deletes old rows, for the personal data in them, with their kept decisions.
//!
//! Without `--delete` it only reports what it would do. Rows in the due index, and
//! rows that cannot be trusted, stay: an operator should inspect those first.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use human_oversight::config::TableSettings;
use human_oversight::store::{StandingKind, StoreError, StoredRow, StoredStandingRow};
use human_oversight::values::{Clock, Timestamp};

use super::maintenance::{for_each_row, for_each_standing_row, open, required_link_keys, say};

/// What can be deleted.
#[derive(Default)]
struct Found {
    rows: u64,
    old: u64,
    legacy: u64,
    open: u64,
    untrusted: u64,
    changed: u64,
    /// Rows of the standing table.
    unused: u64,
}

/// From when on a row of the standing table that was not written counts as unused.
const UNUSED_AFTER: Duration = Duration::from_secs(30 * 86_400);

/// Deletes requests that ended more than `days` days ago, or reports how many those are.
///
/// # Errors
/// When the table cannot be read or written; what was deleted before is deleted.
pub(crate) async fn run(
    settings: TableSettings,
    clock: Clock,
    days: u64,
    delete: bool,
) -> anyhow::Result<ExitCode> {
    let (now, age) = (clock(), Duration::from_secs(days.saturating_mul(86_400)));
    let link_keys = required_link_keys(&settings)?;
    let store = open(&settings, 0, clock, Some(link_keys))?;
    let mut found = Found::default();
    for_each_row(&store, async |row| {
        found.rows += 1;
        if found.is_old(&row, now, age) && delete {
            // First: a kept decision never outlives its request.
            if let Ok(approval) = &row.approval {
                let deleted = store.delete_decided(approval).await;
                deleted.context("a kept decision cannot be deleted")?;
            }
            found.count(store.delete(&row).await)?;
        }
        Ok(())
    })
    .await?;
    for_each_standing_row(&store, async |row| {
        if is_unused(&row, now) {
            found.unused += 1;
            if delete {
                let deleted = store.delete_stored_standing(&row).await;
                found.count(deleted)?;
            }
        }
        Ok(())
    })
    .await?;
    say(&found.summary(days, delete));
    Ok(ExitCode::SUCCESS)
}

/// Whether a row of the standing table can be deleted: not a pause, nor what cannot be trusted or is of an
/// unknown kind.
fn is_unused(row: &StoredStandingRow, now: Timestamp) -> bool {
    match &row.row {
        Some(Ok(row)) if row.kind != StandingKind::Pause => row
            .written_at()
            .is_some_and(|written_at| now.since(written_at) > UNUSED_AFTER),
        _ => false,
    }
}

impl Found {
    fn count(&mut self, deleted: Result<(), StoreError>) -> anyhow::Result<()> {
        match deleted {
            Err(StoreError::Conflict) => self.changed += 1,
            deleted => deleted.context("a row cannot be deleted")?,
        }
        Ok(())
    }

    /// Whether a row can be deleted: it can be trusted, and ended long enough ago.
    fn is_old(&mut self, row: &StoredRow, now: Timestamp, age: Duration) -> bool {
        let (count, last) = match &row.approval {
            _ if row.is_due => {
                self.open += 1;
                return false;
            }
            Ok(approval) => {
                let last = approval.history.iter().map(|event| event.at).max();
                (&mut self.old, last)
            }
            Err(StoreError::Legacy) => (&mut self.legacy, row.written_at),
            Err(_) => {
                self.untrusted += 1;
                return false;
            }
        };
        let is_old = last.is_some_and(|last| now.since(last) > age);
        *count += u64::from(is_old);
        is_old
    }

    fn summary(&self, days: u64, delete: bool) -> String {
        let Self {
            rows,
            old,
            legacy,
            open,
            untrusted,
            changed,
            unused,
        } = self;
        let what = format!(
            "{old} requests that ended, and {legacy} rows of the legacy Logic App that were written, more \
             than {days} days ago"
        );
        let what = match unused {
            0 => what,
            _ => format!("{what}, and {unused} standing rows unused for 30 days"),
        };
        let done = if delete {
            format!("{what}, were deleted; {changed} of them were written meanwhile and stay.")
        } else {
            format!("{what}, would be deleted. Nothing was: that takes --delete.")
        };
        format!(
            "{done}\n{rows} rows in all; {open} that are still due for something and {untrusted} that cannot \
             be trusted stay."
        )
    }
}
