//! The sweep: applies the transitions that are due by time, and sends the deliveries that are due.
//!
//! Deadlines count without it. Concurrent sweeps are harmless.

use std::collections::{HashMap, HashSet};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use tokio::time::Instant;
use tracing::Instrument;

use super::error::Error;
use super::state::App;
use crate::store::{Due, Place, StoreError};
use crate::values::{ApprovalId, Timestamp};

/// The time for one sweep; the next one continues.
const TIME_BUDGET: Duration = Duration::from_secs(50);

/// How many requests are processed concurrently. Their emails take turns by owner, so one owner whose emails
/// are slow does not hold up the others.
const CONCURRENCY: usize = 32;

/// How many due entries are collected before they are processed in turn.
const COLLECTED: usize = 5_000;

/// The result of a sweep.
#[derive(Clone, Copy, Debug, Default)]
pub struct SweepReport {
    /// Index entries processed.
    pub processed: u32,
    /// Emails attempted.
    pub emails: usize,
    /// Entries that failed, and are processed by the next sweep.
    pub failed: u32,
    /// Entries that cannot be trusted. They stay, and become due again once they are repaired.
    pub set_aside: u32,
    /// Whether everything else that was due was processed.
    pub complete: bool,
}

/// What became of an index entry.
enum Processed {
    /// With the number of emails attempted.
    Done(usize),
    Failed,
    /// The name of what cannot be trusted.
    SetAside(String),
}

/// Sweeps at the configured interval until the process ends, for a gate without the Functions host.
pub async fn sweep_forever(app: Arc<App>) {
    loop {
        // In its own task, so that a panic does not end the loop.
        let sweeper = app.clone();
        let sweeping = async move { sweeper.sweep().await };
        let call = tracing::info_span!("call", function = "sweep");
        tokio::spawn(sweeping.instrument(call)).await.ok();
        tokio::select! {
            () = tokio::time::sleep(app.config.sweep_every) => {}
            () = app.calls.ending() => return,
        }
    }
}

impl App {
    /// Processes everything due at the start of the sweep.
    pub async fn sweep(&self) -> SweepReport {
        let until = Instant::now() + TIME_BUDGET;
        let started_at = self.now();
        let mut report = SweepReport::default();
        let mut set_aside = HashSet::new();
        let mut position = None;
        loop {
            let (due, next) = match self.collect_due(started_at, position).await {
                Ok(collected) => collected,
                Err(error) => {
                    tracing::error!(cause = %error, "the sweep could not read the due index");
                    report.failed += 1;
                    break;
                }
            };
            // Concurrently: a mail service that does not respond must not delay other requests.
            let due = in_turn(due).take_while(|_| Instant::now() < until);
            let processing = due.map(|due| self.process(due));
            let mut processing = pin!(stream::iter(processing).buffer_unordered(CONCURRENCY));
            while let Some(processed) = processing.next().await {
                report.processed += 1;
                match processed {
                    Processed::Done(emails) => report.emails += emails,
                    Processed::Failed => report.failed += 1,
                    Processed::SetAside(entry) => {
                        report.set_aside += 1;
                        set_aside.insert(entry);
                    }
                }
            }
            position = next;
            if Instant::now() >= until {
                break;
            }
            if position.is_none() {
                report.complete = report.failed == 0;
                break;
            }
        }
        if report.complete {
            self.set_aside.retain(set_aside);
        }
        if report.processed > 0 {
            tracing::info!(
                looked_at = report.processed,
                mails = report.emails,
                failed = report.failed,
                set_aside = report.set_aside,
                complete = report.complete,
                "swept"
            );
        }
        report
    }

    /// Reads pages of what is due, up to a number of entries, from a position on; and the next position.
    async fn collect_due(
        &self,
        started_at: Timestamp,
        mut position: Option<Place>,
    ) -> Result<(Vec<Due>, Option<Place>), StoreError> {
        let mut collected = Vec::new();
        loop {
            let (page, next) = self.store.due(started_at, position).await?;
            collected.extend(page);
            position = next;
            if position.is_none() || collected.len() >= COLLECTED {
                return Ok((collected, position));
            }
        }
    }

    /// Processes an index entry. Logs an error, and once what it sets aside.
    async fn process(&self, due: Due) -> Processed {
        let id = match &due.id {
            Ok(id) => id,
            Err(entry) => {
                if self.set_aside.add(entry.clone()) {
                    tracing::error!(entry, "integrity problem: a due entry is not of the gate");
                }
                return Processed::SetAside(entry.clone());
            }
        };
        match self.process_due(id, &due).await {
            Ok(emails) => Processed::Done(emails),
            Err(Error::Integrity(cause)) => {
                let id = id.to_string();
                if self.set_aside.add(id.clone()) {
                    tracing::error!(id, cause, "integrity problem");
                }
                Processed::SetAside(id)
            }
            Err(error) => {
                let (id, cause) = (id.to_string(), error.cause());
                tracing::error!(id, cause, "the sweep could not process a request");
                Processed::Failed
            }
        }
    }

    /// Processes a due request: a write of timeouts and leases, the emails, a write of their results.
    async fn process_due(&self, id: &ApprovalId, due: &Due) -> Result<usize, Error> {
        let Some(row) = self.store.get_if_due(id, due, self.now()).await? else {
            return Ok(0);
        };
        let before = row.approval.clone();
        let (row, attempts) = self
            .update(self.check_receipt(row)?, |approval, now| {
                approval.apply_timeouts(self.config.outcome_within, now);
                Ok(approval.lease_deliveries(self.config.notifications, now))
            })
            .await?;
        if row.approval == before {
            // Due by a stored time that today's settings no longer give: store the new one.
            self.replace(row, before.history.len(), None).await?;
            return Ok(0);
        }
        // The process that stored the decision may have died before it kept the rejection.
        self.keep_rejection(&row.approval).await;
        let emails = attempts.len();
        let earlier = self.earlier_rejections_for(&row.approval, &attempts).await;
        self.notify(row, attempts, &earlier).await?;
        Ok(emails)
    }
}

/// The first entry of each agent, then the second of each, and so on. Whose an entry is shows only in its row.
fn in_turn(due: Vec<Due>) -> impl Iterator<Item = Due> {
    let mut seen: HashMap<Option<String>, usize> = HashMap::new();
    let mut ranked: Vec<(usize, Due)> = due
        .into_iter()
        .map(|due| {
            let agent = due.id.as_ref().ok().map(|id| id.agent().to_owned());
            let count = seen.entry(agent).or_default();
            *count += 1;
            (*count, due)
        })
        .collect();
    ranked.sort_by_key(|(rank, _)| *rank);
    ranked.into_iter().map(|(_, due)| due)
}
