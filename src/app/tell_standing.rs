//! Tells channels what happens to standing grants and pauses, and queues the notices to givers of grants in the rows of their
//! requests: at once after what this process changes, and by the sweep, also after the command line changed it.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use tokio::time::Instant;
use tracing::Instrument;

use super::error::Error;
use super::grant_rows;
use super::pause_log::{self, change_log};
use super::state::App;
use super::tell::Outgoing;
use crate::channels::{Channel, Message, Receiver, standing_event};
use crate::domain::{
    ChannelAttempt, ChannelResult, Grants, StandingEvent, StandingFact, StandingOutbox,
};
use crate::render::render_standing_card;
use crate::store::{StandingKind, StoreError, decode_grants};
use crate::values::Timestamp;

/// What the log lines about pauses have in place of an id.
const PAUSES: &str = "pauses";

/// The rows that are processed side by side.
const CONCURRENCY: usize = 8;

/// The time for queueing notices to givers; the next sweep continues.
const FIND_WITHIN: Duration = Duration::from_secs(10);

/// The time for telling channels what changed; the next sweep continues.
const TELL_WITHIN: Duration = Duration::from_secs(50);

impl App {
    /// Finds the rows of grants that have something for channels, by their names, and queues the notices to givers in the
    /// rows of their requests.
    pub(super) async fn find_standing_work(self: &Arc<Self>) -> Vec<String> {
        let found = self.find_due_grants().await;
        found.unwrap_or_else(|error| {
            tracing::warn!(cause = %error, "the events of standing grants cannot be read");
            Vec::new()
        })
    }

    /// Tells channels what is due of these grants and of pauses, and begins nothing after `until`.
    pub(super) async fn tell_standing(self: &Arc<Self>, grants: Vec<String>, until: Instant) {
        if self.check_machine_clock().is_err() {
            return;
        }
        let grants = grants.into_iter();
        let grants = grants.take_while(|_| Instant::now() < until);
        let telling = stream::iter(grants).map(async |name| {
            if let Err(error) = self.tell_of_grants(&name).await {
                tracing::warn!(cause = %error, "the events of standing grants cannot be stored");
            }
        });
        let telling = telling.buffer_unordered(CONCURRENCY).collect::<()>();
        let (pauses, ()) = tokio::join!(self.tell_of_pauses(), telling);
        if let Err(error) = pauses {
            tracing::warn!(
                cause = error.cause(),
                "the events of pauses cannot be stored"
            );
        }
    }

    /// Runs [`App::find_standing_work`] and [`App::tell_standing`] in the background. One search is under way at a time.
    pub(super) fn tell_standing_in_background(self: &Arc<Self>) {
        if !self.unseen_changes.add() {
            return;
        }
        let app = self.clone();
        let looking = async move {
            loop {
                let count = app.unseen_changes.count();
                let finder = app.clone();
                let finding = async move { finder.find_standing_work().await };
                // In its own task, so that a panic does not end the loop.
                let finding = tokio::spawn(finding.in_current_span());
                if let Ok(grants) = finding.await {
                    let sender = app.clone();
                    let until = Instant::now() + TELL_WITHIN;
                    let telling = async move { sender.tell_standing(grants, until).await };
                    app.calls.in_background(telling);
                }
                if app.unseen_changes.are_seen(count) {
                    return;
                }
            }
        };
        self.calls.in_background(looking);
    }

    async fn find_due_grants(self: &Arc<Self>) -> Result<Vec<String>, StoreError> {
        // Without a policy there are no grants.
        if self.config.policy.is_none() {
            return Ok(Vec::new());
        }
        self.store.prepare().await?;
        let rows = self.store.standing_rows_of(StandingKind::Grant).await?;
        // The reading has measured the clock.
        if self.check_machine_clock().is_err() {
            return Ok(Vec::new());
        }
        let (now, until) = (self.now(), Instant::now() + FIND_WITHIN);
        // What cannot be trusted approves nothing.
        let rows = rows.into_iter().filter_map(Result::ok);
        let due = rows.filter_map(|row| {
            let grants = decode_grants(&row.columns).ok()?;
            grants.is_due(now).then_some((row.name, grants))
        });
        let due = due.take_while(|_| Instant::now() < until);
        let notifying = stream::iter(due).map(async |(name, grants)| {
            if let Err(error) = self.notify_givers(&name, &grants).await {
                tracing::warn!(cause = %error, "the events of standing grants cannot be stored");
            }
            name
        });
        Ok(notifying.buffer_unordered(CONCURRENCY).collect().await)
    }

    /// Queues the notice of a grant's end in the row of the request with which it was given. A repetition after a crash
    /// changes nothing.
    async fn notify_givers(
        self: &Arc<Self>,
        name: &str,
        grants: &Grants,
    ) -> Result<(), StoreError> {
        let mut done = Vec::new();
        for event in grants.outbox.for_givers() {
            match self.notify_giver(event).await {
                Ok(()) => done.push(event.number),
                Err(error) => {
                    tracing::warn!(cause = error.cause(), "a notice could not be queued");
                    if matches!(error, Error::Integrity(_)) {
                        done.push(event.number);
                    }
                }
            }
        }
        if done.is_empty() {
            return Ok(());
        }
        let recording = grant_rows::change(
            &self.store,
            name,
            || self.now(),
            |grants, _| {
                grants.outbox.record_givers(&done);
                Some(())
            },
        );
        recording.await.map(drop)
    }

    async fn notify_giver(self: &Arc<Self>, event: &StandingEvent) -> Result<(), Error> {
        let (StandingFact::GrantGiven(grant) | StandingFact::GrantEnded(grant, _)) = &event.fact
        else {
            return Ok(());
        };
        let row = match self.load(&grant.given_with).await {
            // It was purged.
            Err(Error::NotFound) => return Ok(()),
            row => row?,
        };
        let updating = self.update(row, |approval, now| {
            match &event.fact {
                StandingFact::GrantEnded(grant, by) => approval.hasten_grant_end(grant, *by, now),
                _ => approval.queue_grant_end(&grant.giver, grant.until),
            }
            Ok(())
        });
        updating.await.map(drop)
    }

    async fn tell_of_grants(self: &Arc<Self>, name: &str) -> Result<(), StoreError> {
        let (store, clock) = (&self.store, || self.now());
        let leasing = grant_rows::change(store, name, clock, |grants, now| {
            let before = grants.clone();
            grants.expire(now);
            let leased = self.lease_standing(&mut grants.outbox, now);
            (*grants != before).then(|| (leased, grants.outbox.clone()))
        });
        let Some((leased, outbox)) = leasing.await? else {
            return Ok(());
        };
        if leased.is_empty() {
            return Ok(());
        }
        let results = self.tell_standing_events(&outbox, leased).await;
        let recording = grant_rows::change(store, name, clock, |grants, now| {
            record(&mut grants.outbox, &results, now);
            Some(())
        });
        recording.await.map(drop)
    }

    async fn tell_of_pauses(self: &Arc<Self>) -> Result<(), Error> {
        let channels = self.config.channels.iter();
        let channels = channels.filter(|channel| channel.gets_pauses);
        let channels: Vec<String> = channels.map(|channel| channel.name.clone()).collect();
        if channels.is_empty() {
            return Ok(());
        }
        let (store, clock) = (&self.store, || self.now());
        // What is queued is sent also while a pause cannot be read.
        if let Err(error) = pause_log::observe(store, Some(&channels), self.now()).await {
            tracing::warn!(cause = %error, "the events of pauses cannot be stored");
        }
        let leasing = change_log(store, clock, |log, now| {
            let before = log.clone();
            let leased = self.lease_standing(&mut log.outbox, now);
            (*log != before).then(|| (leased, log.outbox.clone()))
        });
        let Some((leased, outbox)) = leasing.await? else {
            return Ok(());
        };
        if leased.is_empty() {
            return Ok(());
        }
        let results = self.tell_standing_events(&outbox, leased).await;
        let recording = change_log(store, clock, |log, now| {
            record(&mut log.outbox, &results, now);
            Some(())
        });
        recording.await?;
        Ok(())
    }

    fn lease_standing(&self, outbox: &mut StandingOutbox, now: Timestamp) -> Vec<ChannelAttempt> {
        outbox.lease(|name| self.readiness_of(name, now), now)
    }

    async fn tell_standing_events(
        self: &Arc<Self>,
        outbox: &StandingOutbox,
        leased: Vec<ChannelAttempt>,
    ) -> Vec<(ChannelAttempt, ChannelResult)> {
        let messages = leased.into_iter().map(|attempt| {
            let event = outbox.event(attempt.event);
            Outgoing {
                id: event.map_or("", |event| id_of(&event.fact)).to_owned(),
                message: event.and_then(|it| self.standing_message(it, &attempt.channel)),
                attempt,
            }
        });
        self.tell(messages.collect()).await
    }

    /// The channel and the message for it; `None` where the policy no longer has the channel.
    fn standing_message(&self, event: &StandingEvent, name: &str) -> Option<(Channel, Message)> {
        let channel = self.channel(name)?.clone();
        let mut message = standing_event(event, name, &self.base_url);
        if matches!(channel.receiver, Receiver::Teams) {
            message.body = render_standing_card(event, &self.base_url, &self.config.brand);
        }
        Some((channel, message))
    }
}

fn id_of(fact: &StandingFact) -> &str {
    match fact {
        StandingFact::GrantGiven(grant) | StandingFact::GrantEnded(grant, _) => &grant.id,
        StandingFact::PauseStarted(_) | StandingFact::PauseEnded(_) => PAUSES,
    }
}

fn record(
    outbox: &mut StandingOutbox,
    results: &[(ChannelAttempt, ChannelResult)],
    now: Timestamp,
) {
    for (attempt, result) in results {
        outbox.record(attempt, *result, now);
    }
}
