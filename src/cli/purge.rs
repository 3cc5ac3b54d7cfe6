//! `human-oversight purge`: deletes old rows, for the personal data in them, with their kept decisions.
//!
//! Without `--delete` it only reports what it would do. Rows in the due index stay; and, without `--damaged`, rows that
//! cannot be trusted, since an operator should inspect those first.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use human_oversight::app::{
    Distrust, check_request, check_standing, remove_unproved_grants, scope_of,
};
use human_oversight::config::StoreSettings;
use human_oversight::domain::{Approval, Decider};
use human_oversight::keys::ReceiptKeys;
use human_oversight::policy::MAX_GRANT;
use human_oversight::store::{
    StandingKind, StandingRow, Store, StoreError, StoredRow, StoredStandingRow,
};
use human_oversight::values::{Clock, Timestamp};
use human_oversight_protocol::types::KeySet;

use super::maintenance::{
    Access, check_clock, for_each_decided_row, for_each_row, for_each_standing_row, open_existing,
    receipt_keys,
};
use super::output::{plain, plain_keys, say};
use super::value_parsers;

/// Count the requests that ended long ago, or delete them
///
/// With --damaged and without --older-than, it names or deletes the standing rows that cannot be trusted, whatever their age,
/// and nothing else: such as the budgets of an owner, the wrong codes of a person, or a pause that does not say what it
/// pauses.
#[derive(Args)]
pub(crate) struct Options {
    /// Only requests that ended more than this number of days ago; 0 for all that ended
    #[arg(long, value_name = "DAYS", value_parser = value_parsers::days, required_unless_present = "damaged")]
    older_than: Option<u64>,
    /// Also what cannot be trusted and was last written before that, such as what was sealed or signed with a key that is
    /// gone or revoked
    #[arg(long)]
    damaged: bool,
    /// Delete them, instead of only counting them
    #[arg(long)]
    delete: bool,
}

/// What can be deleted.
#[derive(Default)]
struct Found<'a> {
    /// Whether damaged rows count.
    takes_damaged: bool,
    /// Without them, receipts are not checked.
    keys: Option<&'a KeySet>,
    rows: u64,
    old: u64,
    legacy: u64,
    open: u64,
    /// Those that a standing grant approved, and that stay for it.
    granted: u64,
    /// Rows that cannot be trusted and stay.
    untrusted: u64,
    /// Rows of any table that cannot be trusted and do not stay.
    damaged: u64,
    changed: u64,
    /// Rows of the standing table.
    unused: u64,
}

const DAY: Duration = Duration::from_secs(86_400);

/// From when on a row of the standing table that was not written counts as unused.
const UNUSED_AFTER: Duration = DAY.saturating_mul(30);

/// From when on the row of a rule's uses counts as unused: its limit counts those of up to 31 days, by clocks that may
/// differ.
const UNUSED_LIMIT_AFTER: Duration = DAY.saturating_mul(32);

/// Deletes requests that ended long ago, or reports how many those are.
///
/// # Errors
/// When the table cannot be read or written; what was deleted before is deleted.
pub(crate) async fn run(
    settings: StoreSettings,
    clock: Clock,
    options: Options,
) -> anyhow::Result<ExitCode> {
    let Options {
        older_than: days,
        damaged,
        delete,
    } = options;
    let store = open_existing(&settings, clock.clone()).await?;
    let access = if delete {
        Access::Writes
    } else {
        Access::Reads
    };
    check_clock(&store, access).await?;
    // Without the gate's id, every sound row is one that cannot be trusted.
    let kept = store.ensure_gate_id_is_kept().await;
    kept.context("nothing was counted or deleted")?;
    let receipt_keys = receipt_keys(&settings)?;
    let keys = receipt_keys.as_ref().map(ReceiptKeys::public);
    let Some(days) = days else {
        return purge_damaged_standing(&store, keys, delete).await;
    };
    let (now, age) = (clock(), Duration::from_secs(days.saturating_mul(86_400)));
    let mut found = Found {
        takes_damaged: damaged,
        keys,
        ..Found::default()
    };
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
    purge_standing(&store, &mut found, age, delete, &clock, now).await?;
    if damaged {
        found.damaged += purge_damaged_decisions(&store, now, age, delete).await?;
    }
    say(&found.summary(days, delete));
    Ok(ExitCode::SUCCESS)
}

/// Counts the rows of the standing table that are unused, or damaged where those count; with `delete`, deletes them.
async fn purge_standing(
    store: &Store,
    found: &mut Found<'_>,
    age: Duration,
    delete: bool,
    clock: &Clock,
    now: Timestamp,
) -> anyhow::Result<()> {
    for_each_standing_row(store, async |row| {
        let keys = found.keys;
        let damage = damage(&row, keys, now, age).filter(|_| found.takes_damaged);
        let is_unused = is_unused(&row, now);
        found.damaged += u64::from(damage.is_some());
        found.unused += u64::from(damage.is_none() && is_unused);
        if delete && (damage.is_some() || is_unused) {
            let deleted = match (&row.row, damage, keys) {
                // Of the grants for what reads the same, others may be proved.
                (Some(Ok(row)), Some(Distrust::Unproved(_)), Some(keys)) if !is_unused => {
                    remove_unproved_grants(store, &row.name, keys, &**clock).await
                }
                _ => store.delete_stored_standing(&row).await,
            };
            found.count(deleted)?;
        }
        Ok(())
    })
    .await
}

/// Names the standing rows that were changed, of any age, or deletes them. What the gate needs, it writes anew. One of a
/// key that is missing may be sound: it stays.
async fn purge_damaged_standing(
    store: &Store,
    keys: Option<&KeySet>,
    delete: bool,
) -> anyhow::Result<ExitCode> {
    let mut found = Found::default();
    for_each_standing_row(store, async |row| {
        let Err(damage) = check_standing(&row, keys) else {
            return Ok(());
        };
        // `resume` ends it, and what came with it.
        let is_of_scope = row.kind == Some(StandingKind::Pause) && scope_of(&row).is_some();
        let is_changed = matches!(damage, Distrust::Row(StoreError::Damaged(_)));
        if !is_changed || row.is_of_other_key || is_of_scope {
            found.untrusted += 1;
            return Ok(());
        }
        found.damaged += 1;
        let (named, cause) = (plain_keys(&row.keys), plain(&damage.to_string()));
        say(&format!("standing row {named}: {cause}"));
        if delete {
            found.count(store.delete_stored_standing(&row).await)?;
        }
        Ok(())
    })
    .await?;
    let Found {
        damaged,
        changed,
        untrusted,
        ..
    } = found;
    let done = if delete {
        format!("were deleted; {changed} of them were written meanwhile and stay.")
    } else {
        "would be deleted. Nothing was: that takes --delete.".to_owned()
    };
    say(&format!(
        "{damaged} standing rows that cannot be trusted {done}"
    ));
    if untrusted > 0 {
        say(&format!(
            "{untrusted} others stay: pauses that `executing` names, and `resume` removes; rows of keys that are not in the \
             settings; or rows that a later version may trust."
        ));
    }
    Ok(ExitCode::SUCCESS)
}

/// Returns how many there are.
async fn purge_damaged_decisions(
    store: &Store,
    now: Timestamp,
    age: Duration,
    delete: bool,
) -> anyhow::Result<u64> {
    let mut damaged = 0;
    for_each_decided_row(store, async |row| {
        let checked = row.checked.clone().map_err(Distrust::from);
        if checked.is_err_and(|it| it.is_damage()) && is_older(row.written_at, now, age) {
            damaged += 1;
            if delete {
                let deleted = store.delete_stored_decided(&row).await;
                deleted.context("a kept decision cannot be deleted")?;
            }
        }
        Ok(())
    })
    .await?;
    Ok(damaged)
}

/// Why a row of the standing table is to be deleted although it may have been used. A damaged pause stops everything until
/// an operator replaces it.
fn damage(
    stored: &StoredStandingRow,
    keys: Option<&KeySet>,
    now: Timestamp,
    age: Duration,
) -> Option<Distrust> {
    let damage = check_standing(stored, keys).err()?;
    let row = stored.row.as_ref().and_then(|row| row.as_ref().ok());
    let written_at = stored
        .written_at
        .or_else(|| row.and_then(StandingRow::written_at));
    let is_meant = damage.is_damage() && stored.kind != Some(StandingKind::Pause);
    (is_meant && is_older(written_at, now, age)).then_some(damage)
}

/// "Older than 0 days" is everything, also what has no time that is known.
fn is_older(at: Option<Timestamp>, now: Timestamp, age: Duration) -> bool {
    age.is_zero() || at.is_some_and(|at| now.since(at) > age)
}

/// Whether a row of the standing table can be deleted: not a pause, nor what channels got of it, nor that a channel is
/// off, nor what cannot be trusted or is of an unknown kind.
fn is_unused(row: &StoredStandingRow, now: Timestamp) -> bool {
    let Some(Ok(row)) = &row.row else {
        return false;
    };
    let unused_after = match row.kind {
        StandingKind::Pause | StandingKind::PauseLog | StandingKind::Channel => return false,
        StandingKind::Limit => UNUSED_LIMIT_AFTER,
        _ => UNUSED_AFTER,
    };
    let written_at = row.written_at();
    written_at.is_some_and(|written_at| now.since(written_at) > unused_after)
}

fn is_of_grant(approval: &Approval) -> bool {
    let decision = approval.decision();
    decision.is_some_and(|decision| matches!(decision.by, Decider::Grant(_)))
}

impl Found<'_> {
    fn count(&mut self, deleted: Result<(), StoreError>) -> anyhow::Result<()> {
        match deleted {
            Err(StoreError::Conflict) => self.changed += 1,
            deleted => deleted.context("a row cannot be deleted")?,
        }
        Ok(())
    }

    /// Whether what a row says is not proved: it was changed, or its key is gone or revoked.
    fn is_damaged(&self, row: &StoredRow) -> bool {
        check_request(&row.approval, self.keys).is_err_and(|it| it.is_damage())
    }

    /// Whether a row can be deleted: it can be trusted, unless damaged rows count, and ended long enough ago.
    fn is_old(&mut self, row: &StoredRow, now: Timestamp, age: Duration) -> bool {
        let approval = row.approval.as_ref();
        let last = approval.map(|it| it.history.iter().map(|event| event.at).max());
        let last = last.ok().flatten();
        let is_damaged = self.is_damaged(row);
        let (count, last) = match approval {
            // What is due for a row that is gone is taken out of the index by the sweep.
            _ if is_damaged && self.takes_damaged => {
                let is_old = is_older(row.written_at.or(last), now, age);
                self.damaged += u64::from(is_old);
                self.untrusted += u64::from(!is_old);
                return is_old;
            }
            _ if is_damaged => {
                self.untrusted += 1;
                return false;
            }
            _ if row.is_due => {
                self.open += 1;
                return false;
            }
            // As long as the grant may be in force, which knows the request by its id, the row is what shows its use.
            Ok(approval) if is_of_grant(approval) && !is_older(last, now, MAX_GRANT) => {
                self.granted += 1;
                return false;
            }
            Ok(_) => (&mut self.old, last),
            Err(StoreError::Legacy) => (&mut self.legacy, row.written_at),
            Err(_) => {
                self.untrusted += 1;
                return false;
            }
        };
        let is_old = is_older(last, now, age);
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
            damaged,
            granted,
            ..
        } = self;
        let what = format!(
            "{old} requests that ended, and {legacy} rows of the legacy Logic App that were written, more \
             than {days} days ago"
        );
        let what = match unused {
            0 => what,
            _ => format!("{what}, and {unused} standing rows unused for 30 days"),
        };
        let what = match damaged {
            0 => what,
            _ => format!("{what}, and {damaged} rows that cannot be trusted"),
        };
        let done = if delete {
            format!("{what}, were deleted; {changed} of them were written meanwhile and stay.")
        } else {
            format!("{what}, would be deleted. Nothing was: that takes --delete.")
        };
        let granted = match granted {
            0 => String::new(),
            _ => format!(
                " So do {granted} that a standing grant approved in the last 7 days, and without which their ids could be \
                 approved again."
            ),
        };
        format!(
            "{done}\n{rows} rows in all; {open} that are still due for something and {untrusted} that cannot \
             be trusted stay.{granted}"
        )
    }
}
