//! Recording a sweep, and what it says about email.

use std::collections::BTreeMap;
use std::time::Duration;

use super::state::App;
use super::sweep_record::{NAME, SweepRecord, decode, encode};
use super::sweep_report::SweepReport;
use crate::keys::KeyKind;
use crate::mailer::{MailFailing, MailHealth};
use crate::store::{StandingKind, StandingRow, StoreError};
use crate::values::Timestamp;

/// Email that has failed for this long is a failure, which each sweep reports.
pub(super) const MAIL_GRACE: Duration = Duration::from_secs(300);

/// A failure is forgotten after this time without an attempt: longer than the longest pause between two.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(3_600);

impl App {
    /// Whether a sweep of any instance has left a record.
    pub(super) async fn has_swept(&self) -> Result<bool, StoreError> {
        self.store.prepare().await?;
        let mut last = self.last_sweep.0.lock().await;
        if last.is_none() {
            match self.store.standing(StandingKind::Sweep, NAME).await {
                Ok(row) => *last = row,
                Err(StoreError::Damaged(_)) => return Ok(true),
                Err(error) => return Err(error),
            }
        }
        Ok(last.is_some())
    }

    /// Stores what a sweep found, in place of what the one before did. Of sweeps that end at the same time, one is
    /// stored.
    ///
    /// # Errors
    /// The store's own.
    pub(super) async fn record_sweep(&self, report: SweepReport) -> Result<(), StoreError> {
        let mut last = self.last_sweep.0.lock().await;
        // Taken, so that after any failure the row is read again.
        let row = match last.take() {
            None => self.store.standing(StandingKind::Sweep, NAME).await,
            last => Ok(last),
        };
        let now = self.now();
        let (row, is_damaged) = match row {
            Ok(row) => (row, false),
            // Such as one under a key that was removed: nothing in it is worth keeping.
            Err(StoreError::Damaged(_)) => (None, true),
            Err(error) => return Err(error),
        };
        let before = row.as_ref().and_then(|row| decode(row).ok());
        let record = self.next_record(before.as_ref(), report, now);
        let new = || StandingRow::new(StandingKind::Sweep, NAME, BTreeMap::new());
        let mut changed = row.unwrap_or_else(new);
        changed.columns = encode(&record);
        let stored = if is_damaged {
            let overwritten = self.store.overwrite_standing(changed, now).await;
            overwritten.map(|()| None)
        } else {
            self.store.put_standing(changed, now).await.map(Some)
        };
        match stored {
            Ok(stored) => *last = stored,
            Err(StoreError::Conflict | StoreError::AlreadyExists) => return Ok(()),
            Err(error) => return Err(error),
        }
        let was_failing = before.and_then(|before| before.mail_failing);
        log_mail(was_failing.as_ref(), &record);
        Ok(())
    }

    fn next_record(
        &self,
        before: Option<&SweepRecord>,
        report: SweepReport,
        now: Timestamp,
    ) -> SweepRecord {
        let completed_before = before.and_then(|before| before.completed_at);
        let health = all_mail_health(before, self.mailer.health(), now);
        let mut keys = before.map_or_else(BTreeMap::new, |before| before.keys.clone());
        for key in self.key_names() {
            keys.entry(key).or_insert(now);
        }
        SweepRecord {
            ended_at: now,
            completed_at: Some(now).filter(|_| report.complete).or(completed_before),
            report,
            mail_accepted_at: health.accepted_at,
            mail_failing: health.failing,
            keys,
        }
    }

    /// The keys by setting and id, with what ends the use of a receipt key at this time.
    pub fn key_states(&self, now: Timestamp) -> Vec<String> {
        let mut names = self.key_names();
        let receipt = &self.receipt_keys.public().keys;
        let first = names.len() - receipt.len();
        for (name, key) in names[first..].iter_mut().zip(receipt) {
            if key.life.revoked {
                name.push_str(" (revoked)");
            } else if !key.life.covers(now.unix_seconds()) {
                name.push_str(" (not in force)");
            }
        }
        names
    }

    /// The keys in use, by setting and id.
    pub fn key_names(&self) -> Vec<String> {
        let link = self.link_keys.kids();
        let link = link.map(|kid| KeyKind::Link.name_key(kid));
        let receipt = self.receipt_keys.public().keys.iter();
        let receipt = receipt.map(|key| KeyKind::Receipt.name_key(&key.kid));
        link.chain(receipt).collect()
    }
}

/// Whether email gets through, as far as this process and the sweeps of all know: failures count until an email was
/// accepted after them, by whichever instance.
pub(super) fn all_mail_health(
    record: Option<&SweepRecord>,
    own: MailHealth,
    now: Timestamp,
) -> MailHealth {
    let recorded_at = record.and_then(|record| record.mail_accepted_at);
    let accepted_at = own.accepted_at.max(recorded_at);
    let goes_on = |failing: &MailFailing| {
        Some(failing.last) > accepted_at && now.since(failing.last) < FORGOTTEN_AFTER
    };
    let recorded = record.and_then(|record| record.mail_failing.clone());
    let (own, recorded) = (own.failing.filter(goes_on), recorded.filter(goes_on));
    let failing = match (own, recorded) {
        (Some(own), Some(recorded)) => {
            let since = own.since.min(recorded.since);
            Some(MailFailing { since, ..own })
        }
        (own, recorded) => own.or(recorded),
    };
    MailHealth {
        accepted_at,
        failing,
    }
}

/// Says in each sweep that email fails, and once that it works again.
fn log_mail(before: Option<&MailFailing>, record: &SweepRecord) {
    match (&record.mail_failing, before) {
        (Some(failing), _) if record.ended_at.since(failing.since) >= MAIL_GRACE => {
            let since = failing.since.to_string();
            tracing::error!(since, cause = failing.cause, "email keeps failing");
        }
        (None, Some(failing)) if record.mail_accepted_at >= Some(failing.last) => {
            let since = failing.since.to_string();
            tracing::info!(since, "email works again");
        }
        _ => {}
    }
}
