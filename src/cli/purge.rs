//! `human-oversight purge`: deletes old rows, for the personal data in them.
//!
//! Without `--delete` it only reports what it would do. Rows in the due index, and
//! rows that cannot be trusted, stay: an operator should inspect those first.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use human_oversight::config::TableSettings;
use human_oversight::store::{Store, StoreError, StoredRow};
use human_oversight::values::{Clock, Timestamp};

use super::maintenance::{for_each_row, open, required_link_keys, say};

/// What can be deleted.
#[derive(Default)]
struct Found {
    rows: u64,
    old: u64,
    legacy: u64,
    open: u64,
    untrusted: u64,
    changed: u64,
}

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
            delete_row(&store, &row, &mut found).await?;
        }
        Ok(())
    })
    .await?;
    say(&found.summary(days, delete));
    Ok(ExitCode::SUCCESS)
}

async fn delete_row(store: &Store, row: &StoredRow, found: &mut Found) -> anyhow::Result<()> {
    match store.delete(row).await {
        Ok(()) => Ok(()),
        Err(StoreError::Conflict) => {
            found.changed += 1;
            Ok(())
        }
        Err(error) => Err(error).context("a row cannot be deleted"),
    }
}

impl Found {
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
        } = self;
        let what = format!(
            "{old} requests that ended, and {legacy} rows of the legacy Logic App that were written, more \
             than {days} days ago"
        );
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
