//! The sweep: applies the transitions that are due by time, and sends the deliveries that are due.
//!
//! Deadlines count without it. Concurrent sweeps are harmless.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use tokio::time::Instant;
use tracing::Instrument;

use super::error::Error;
use super::state::App;
use crate::store::Due;
use crate::values::ApprovalId;

/// The time for one sweep; the next one continues.
const TIME_BUDGET: Duration = Duration::from_secs(50);

/// How many requests are processed concurrently.
const CONCURRENCY: usize = 8;

/// The result of a sweep.
#[derive(Clone, Copy, Debug, Default)]
pub struct SweepReport {
    /// Index entries processed.
    pub processed: u32,
    /// Emails attempted.
    pub emails: usize,
    /// Entries that failed.
    pub failed: u32,
    /// Whether everything due was processed.
    pub complete: bool,
}

/// Sweeps at the configured interval, for a gate without the Functions host.
pub async fn sweep_forever(app: Arc<App>) {
    loop {
        // In its own task, so that a panic does not end the loop.
        let sweeper = app.clone();
        let sweeping = async move { sweeper.sweep().await };
        let call = tracing::info_span!("call", function = "sweep");
        tokio::spawn(sweeping.instrument(call)).await.ok();
        tokio::time::sleep(app.config.sweep_every).await;
    }
}

impl App {
    /// Processes everything due at the start of the sweep.
    pub async fn sweep(&self) -> SweepReport {
        let until = Instant::now() + TIME_BUDGET;
        let started_at = self.now();
        let mut report = SweepReport::default();
        let mut position = None;
        loop {
            let (page, next) = match self.store.due(started_at, position).await {
                Ok(page) => page,
                Err(error) => {
                    tracing::error!(cause = %error, "the sweep could not read the due index");
                    report.failed += 1;
                    break;
                }
            };
            // Concurrently: a mail service that does not respond must not delay other requests.
            let page = page.into_iter().take_while(|_| Instant::now() < until);
            let processing = page.map(|due| self.process(due));
            let mut processing = pin!(stream::iter(processing).buffer_unordered(CONCURRENCY));
            while let Some(emails) = processing.next().await {
                report.processed += 1;
                match emails {
                    Some(emails) => report.emails += emails,
                    None => report.failed += 1,
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
        if report.processed > 0 {
            tracing::info!(
                looked_at = report.processed,
                mails = report.emails,
                failed = report.failed,
                complete = report.complete,
                "swept"
            );
        }
        report
    }

    /// Processes an index entry. Returns the number of emails attempted, or `None` after an error, which it logs.
    async fn process(&self, due: Due) -> Option<usize> {
        let Some(id) = &due.id else {
            tracing::error!("unrecognised row in the due index");
            return None;
        };
        match self.process_due(id, &due).await {
            Ok(emails) => Some(emails),
            Err(error) => {
                let (id, cause) = (id.to_string(), error.cause());
                tracing::error!(id, cause, "the sweep could not process a request");
                None
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
            .update_loaded(self.check_receipt(row)?, |approval, now| {
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
