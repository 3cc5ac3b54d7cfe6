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

use super::budgets::emails_to;
use super::error::Error;
use super::notify::BACKGROUND_SEND_TIMEOUT;
use super::state::App;
use super::sweep_report::SweepReport;
use crate::domain::{Approval, Charge};
use crate::store::{Cursor, Due, DuePage, StoreError, Versioned};
use crate::values::{ApprovalId, Owner, Timestamp};

/// The time for one sweep; the next one continues.
const TIME_BUDGET: Duration = Duration::from_secs(50);

/// How many requests are processed concurrently. Their emails take turns by owner, so one owner whose emails
/// are slow does not hold up the others.
const CONCURRENCY: usize = 32;

/// How many due entries are collected before they are processed in turn.
const COLLECTED: usize = 5_000;

/// What became of an index entry.
enum Processed {
    /// With the numbers of emails that were accepted and that were not.
    Done(Emails),
    Failed,
    /// The name of what cannot be trusted.
    SetAside(String),
}

/// The emails about one request.
#[derive(Clone, Copy, Default)]
struct Emails {
    sent: usize,
    unsent: usize,
}

/// Whether a request may be escalated if that is due.
enum Escalating {
    /// No one is to be asked by it, or no owner pays.
    Free,
    Charged(Owner, Charge),
    /// The owner's budget is used up.
    Delayed,
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
    /// Processes everything due at the start of the sweep, and leaves a record of it.
    ///
    /// # Errors
    /// When the due index cannot be read to its end, or the clock of this machine is wrong: the sweeps of others,
    /// whose clocks are right, count. What was processed until then is stored.
    pub async fn sweep(self: &Arc<Self>) -> Result<SweepReport, Error> {
        let until = Instant::now() + TIME_BUDGET;
        self.end_grants_paused_by_setting().await;
        let mut report = SweepReport::default();
        // Before the due index is read, so that this sweep sends the notices that it queues.
        let standing = self.find_standing_work().await;
        let (swept, ()) = tokio::join!(
            self.process_all_due(&mut report, until),
            self.tell_standing(standing, until)
        );
        if report.processed > 0 {
            tracing::info!(
                looked_at = report.processed,
                mails = report.sent,
                unsent = report.unsent,
                failed = report.failed,
                set_aside = report.set_aside,
                complete = report.complete,
                "swept"
            );
        }
        if let Err(error) = &swept {
            let cause = error.to_string();
            tracing::error!(cause, "the sweep could not read the due index");
        }
        if let Err(error) = self.check_machine_clock() {
            let cause = error.cause();
            tracing::error!(cause, "the sweep ends nothing and sends nothing");
            return Err(error);
        }
        let has_marker = *swept.as_ref().unwrap_or(&false);
        if let Err(error) = self.finish_sweep(report, has_marker, until).await {
            let cause = error.to_string();
            tracing::error!(cause, "the sweep could not be recorded");
        }
        swept?;
        Ok(report)
    }

    /// Looks whether the due index is whole, then records the sweep.
    async fn finish_sweep(
        &self,
        report: SweepReport,
        has_marker: bool,
        until: Instant,
    ) -> Result<(), StoreError> {
        let has_swept = self.has_swept().await?;
        self.restore_index(has_swept, has_marker, until).await?;
        self.record_sweep(report).await
    }

    /// Returns whether it has seen the marker of the due index.
    async fn process_all_due(
        self: &Arc<Self>,
        report: &mut SweepReport,
        until: Instant,
    ) -> Result<bool, StoreError> {
        let started_at = self.now();
        let mut set_aside = HashSet::new();
        let (mut position, mut has_marker) = (None, false);
        loop {
            let page = self.collect_due(started_at, position).await?;
            has_marker |= page.has_marker;
            if self.check_machine_clock().is_err() {
                return Ok(has_marker);
            }
            // Concurrently: a mail service that does not respond must not delay other requests.
            let due = in_turn(page.due).take_while(|_| Instant::now() < until);
            let processing = due.map(|due| self.process(due));
            let mut processing = pin!(stream::iter(processing).buffer_unordered(CONCURRENCY));
            while let Some(processed) = processing.next().await {
                report.processed += 1;
                match processed {
                    Processed::Done(Emails { sent, unsent }) => {
                        report.sent += sent;
                        report.unsent += unsent;
                    }
                    Processed::Failed => report.failed += 1,
                    Processed::SetAside(entry) => {
                        report.set_aside += 1;
                        set_aside.insert(entry);
                    }
                }
            }
            position = page.next;
            if Instant::now() >= until {
                return Ok(has_marker);
            }
            if position.is_none() {
                report.complete = report.failed == 0;
                break;
            }
        }
        if report.complete {
            self.set_aside.retain(set_aside);
        }
        Ok(has_marker)
    }

    /// Reads pages of what is due, up to a number of entries, from a position on, as one page.
    async fn collect_due(
        &self,
        started_at: Timestamp,
        cursor: Option<Cursor>,
    ) -> Result<DuePage, StoreError> {
        let mut collected = self.store.due(started_at, cursor).await?;
        while collected.next.is_some() && collected.due.len() < COLLECTED {
            let page = self.store.due(started_at, collected.next).await?;
            collected.due.extend(page.due);
            collected.next = page.next;
            collected.has_marker |= page.has_marker;
        }
        Ok(collected)
    }

    /// Processes an index entry. Logs an error, and once what it sets aside.
    async fn process(self: &Arc<Self>, due: Due) -> Processed {
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
    async fn process_due(self: &Arc<Self>, id: &ApprovalId, due: &Due) -> Result<Emails, Error> {
        let Some(row) = self.store.get_if_due(id, due, self.now()).await? else {
            return Ok(Emails::default());
        };
        let row = self.check_receipt(row)?;
        // First, since the write below can clear the due time, and the process that stored the decision may have died before
        // it kept it.
        let mut is_kept = self.keep_for_later(&row.approval).await;
        // Even after an error: its first write may have cleared the due time.
        let applied = self.apply_due(row, &mut is_kept).await;
        if !is_kept {
            self.keep_decision_later(id).await?;
        }
        applied
    }

    /// Keeps the decision of a request, and its rejection, if it has one; returns whether that is done.
    async fn keep_for_later(&self, approval: &Approval) -> bool {
        let (decision, rejection) = tokio::join!(
            self.keep_decision(approval),
            self.keep_rejection(approval, None)
        );
        decision && rejection
    }

    /// Clears `is_kept` if it finds a decision that cannot be kept.
    async fn apply_due(
        self: &Arc<Self>,
        row: Versioned,
        is_kept: &mut bool,
    ) -> Result<Emails, Error> {
        let before = row.approval.clone();
        let escalating = self.charge_escalation(&before).await;
        let may_escalate = !matches!(escalating, Escalating::Delayed);
        let updated = self
            .update(row, |approval, now| {
                approval.apply_timeouts(self.config.outcome_within, now);
                let is_escalated = may_escalate && approval.escalate(now);
                Ok((is_escalated, self.lease_all(approval, now)))
            })
            .await;
        let is_escalated = matches!(updated, Ok((_, (true, _))));
        if let (false, Escalating::Charged(owner, charge)) = (is_escalated, escalating) {
            // Another sweep escalated it, it ended meanwhile, or it could not be stored.
            self.refund(&owner, &charge).await;
        }
        let (row, (_, leased)) = updated?;
        if row.approval == before {
            if may_escalate {
                self.store_due_time(row).await?;
            }
            return Ok(Emails::default());
        }
        if before.decision().is_none() {
            // It was decided meanwhile, by a process that may have died since.
            *is_kept = self.keep_for_later(&row.approval).await;
        }
        let attempted = leased.emails.len();
        let earlier = self.earlier_for(&row.approval, &leased.emails).await;
        let (_, sent) = self
            .notify(row, leased, &earlier, BACKGROUND_SEND_TIMEOUT)
            .await?;
        let unsent = attempted - sent;
        Ok(Emails { sent, unsent })
    }

    /// Stores when a request is due next: it was due for its decision, which is kept now, or by other settings than
    /// today's.
    async fn store_due_time(&self, row: Versioned) -> Result<(), StoreError> {
        let known = row.approval.history.len();
        match self.replace(row, known, None, None).await {
            // The other writer has stored it.
            Ok(_) | Err(StoreError::Conflict) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Charges the emails of an escalation that is due.
    async fn charge_escalation(&self, approval: &Approval) -> Escalating {
        let mut people = approval.people_to_escalate_to(self.now());
        people.retain(|it| self.config.allowed_approvers.allows(&it.address));
        let owner = approval.request.owner.as_ref();
        let Some(owner) = owner.filter(|_| !people.is_empty()) else {
            return Escalating::Free;
        };
        let charge = emails_to(people);
        match self.charge(owner, &charge).await {
            Ok(()) => Escalating::Charged(owner.clone(), charge),
            Err(refused) => {
                let (id, error) = (approval.request.id.to_string(), Error::from(refused));
                let cause = error.cause();
                tracing::warn!(id, cause, "an escalation is delayed");
                Escalating::Delayed
            }
        }
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
