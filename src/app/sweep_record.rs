//! What the last sweep of any instance found: when it ended, whether email gets through, and since when each key has
//! been in use. It is one standing row, which each sweep replaces.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

use super::sweep_report::SweepReport;
use crate::mailer::MailFailing;
use crate::store::text_json::{json, optional_text, text};
use crate::store::{StandingKind, StandingRow, Store, StoreError};
use crate::values::Timestamp;

/// The row's name, and its column.
pub(super) const NAME: &str = "last";
const COLUMN: &str = "Sweep";

/// What the last sweep found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SweepRecord {
    /// When it ended.
    pub ended_at: Timestamp,
    /// When the last complete one ended.
    pub completed_at: Option<Timestamp>,
    pub report: SweepReport,
    /// When an email was last accepted, as far as the sweeps know.
    pub mail_accepted_at: Option<Timestamp>,
    /// Failures of email, of which none was followed by a success.
    pub mail_failing: Option<MailFailing>,
    /// The keys, such as `link 1a2b3c4d`, and when a sweep first had each.
    pub keys: BTreeMap<String, Timestamp>,
}

/// The row as this process last wrote it.
#[derive(Default)]
pub struct LastSweep(pub(super) Mutex<Option<StandingRow>>);

/// The column's JSON.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Stored {
    #[serde(with = "text")]
    ended: Timestamp,
    #[serde(
        with = "optional_text",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    completed: Option<Timestamp>,
    processed: u32,
    sent: usize,
    unsent: usize,
    failed: u32,
    set_aside: u32,
    complete: bool,
    #[serde(
        with = "optional_text",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    mail_accepted: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    mail: Option<StoredFailing>,
    keys: BTreeMap<String, String>,
}

#[derive(Serialize, Deserialize)]
struct StoredFailing {
    #[serde(with = "text")]
    since: Timestamp,
    #[serde(with = "text")]
    last: Timestamp,
    cause: String,
}

/// Reads what the last sweep of any instance found; `None` if there was none.
///
/// # Errors
/// [`StoreError::Damaged`] if it cannot be trusted, or the store's own.
pub async fn last_sweep(store: &Store) -> Result<Option<SweepRecord>, StoreError> {
    let row = store.standing(StandingKind::Sweep, NAME).await?;
    row.as_ref().map(decode).transpose()
}

pub(super) fn encode(record: &SweepRecord) -> BTreeMap<String, String> {
    let report = record.report;
    let keys = record.keys.iter();
    let stored = Stored {
        ended: record.ended_at,
        completed: record.completed_at,
        processed: report.processed,
        sent: report.sent,
        unsent: report.unsent,
        failed: report.failed,
        set_aside: report.set_aside,
        complete: report.complete,
        mail_accepted: record.mail_accepted_at,
        mail: record.mail_failing.as_ref().map(|failing| StoredFailing {
            since: failing.since,
            last: failing.last,
            cause: failing.cause.clone(),
        }),
        keys: keys
            .map(|(key, since)| (key.clone(), since.to_string()))
            .collect(),
    };
    BTreeMap::from([(COLUMN.to_owned(), json(&stored))])
}

pub(super) fn decode(row: &StandingRow) -> Result<SweepRecord, StoreError> {
    let damaged = || StoreError::damaged(COLUMN);
    let json = row.columns.get(COLUMN).ok_or_else(damaged)?;
    let stored: Stored = serde_json::from_str(json).map_err(|_| damaged())?;
    let time = |text: &String| Timestamp::parse(text).ok_or_else(damaged);
    let keys = stored.keys.iter();
    Ok(SweepRecord {
        ended_at: stored.ended,
        completed_at: stored.completed,
        report: SweepReport {
            processed: stored.processed,
            sent: stored.sent,
            unsent: stored.unsent,
            failed: stored.failed,
            set_aside: stored.set_aside,
            complete: stored.complete,
        },
        mail_accepted_at: stored.mail_accepted,
        mail_failing: stored.mail.map(|it| MailFailing {
            since: it.since,
            last: it.last,
            cause: it.cause,
        }),
        keys: keys
            .map(|(key, since)| Ok((key.clone(), time(since)?)))
            .collect::<Result<_, StoreError>>()?,
    })
}
