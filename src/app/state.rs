//! What the use cases share: the parts of the gate, and loading and updating an approval.

use std::collections::BTreeSet;
use std::sync::Arc;

use tokio::time::{Instant, timeout_at};
use tracing::Instrument;

use super::accounts::OwnerAccounts;
use super::calls::Calls;
use super::changes::ChangeNotifier;
use super::channel_sender::ChannelSender;
use super::code_turns::CodeTurns;
use super::error::Error;
use super::index_rebuild::IndexRebuild;
use super::last_reading::LastReading;
use super::retries::Retries;
use super::set_aside::SetAside;
use super::sweep_record::LastSweep;
use super::unseen_changes::UnseenChanges;
use super::waits::Waits;
use crate::config::Config;
use crate::domain::{Approval, EventKind, Pause};
use crate::keys::{LinkKeys, ReceiptKeys};
use crate::mailer::Mailer;
use crate::store::{Announcement, Store, StoreError, Versioned};
use crate::values::{ApprovalId, Clock, People, Timestamp};

/// The parts of the gate.
pub struct App {
    pub config: Config,
    /// The public address, without a trailing slash.
    pub base_url: String,
    pub store: Store,
    pub mailer: Mailer,
    /// Derive the secrets of approvers, and make the MACs of rows.
    pub link_keys: Arc<LinkKeys>,
    /// Signs receipts.
    pub receipt_keys: ReceiptKeys,
    pub clock: Clock,
    /// Whose addresses are one person's, by the policy and the operator's list.
    pub people: People,
    /// Wakes calls that wait for a decision.
    pub changes: Arc<ChangeNotifier>,
    /// The calls that are being answered.
    pub calls: Calls,
    /// The calls that wait, by caller.
    pub waits: Arc<Waits>,
    /// The forms with a code that are being applied, by person.
    pub code_turns: CodeTurns,
    /// What owners have used of their budgets.
    pub accounts: OwnerAccounts,
    /// The pause of `HO_PAUSED`.
    pub paused_by_setting: Option<Pause>,
    /// The pauses, for submits and pages.
    pub last_pauses: LastReading<[Pause]>,
    /// What the sweep cannot trust.
    pub set_aside: SetAside,
    pub last_sweep: LastSweep,
    pub index_rebuild: IndexRebuild,
    /// Tells channels.
    pub channel_sender: ChannelSender,
    /// The channels that are switched off.
    pub last_off_channels: LastReading<BTreeSet<String>>,
    /// The changes of standing grants and pauses by this process.
    pub unseen_changes: UnseenChanges,
}

impl App {
    pub fn now(&self) -> Timestamp {
        (self.clock)()
    }

    /// Fails while the clock of this machine is so far off that what it dates would count wrongly.
    pub(super) fn check_machine_clock(&self) -> Result<(), Error> {
        match self.store.clock_difference() {
            Some(it) if it.is_wrong() => Err(Error::Unavailable(format!(
                "the clock of this machine is {it}"
            ))),
            _ => Ok(()),
        }
    }

    /// Fails if the clock of this machine is wrong and the request has ended only by that clock: an instance whose clock is
    /// right may still show it as open.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub fn check_clock_of_end(&self, approval: &Approval) -> Result<(), Error> {
        let Err(wrong) = self.check_machine_clock() else {
            return Ok(());
        };
        let mut ended = approval.clone();
        ended.apply_timeouts(self.config.outcome_within, self.now());
        if ended == *approval {
            Ok(())
        } else {
            Err(wrong)
        }
    }

    /// Loads an approval and checks its receipt; the store has checked its row MAC.
    ///
    /// # Errors
    /// When the approval does not exist, cannot be trusted or cannot be read.
    pub async fn load(&self, id: &ApprovalId) -> Result<Versioned, Error> {
        self.check_receipt(self.store.get(id).await?)
    }

    pub(super) fn check_receipt(&self, row: Versioned) -> Result<Versioned, Error> {
        match self.receipt_keys.check(&row.approval) {
            Ok(()) => Ok(row),
            Err(contradiction) => Err(Error::Integrity(contradiction.to_string())),
        }
    }

    /// Applies a transition to a loaded approval and stores the result on condition that the row has not
    /// changed; after a conflict it is read again. If the response of a write is lost and another write follows
    /// it, the transition is applied again although it was stored.
    pub(super) async fn update<T>(
        &self,
        row: Versioned,
        transition: impl FnMut(&mut Approval, Timestamp) -> Result<T, Error>,
    ) -> Result<(Versioned, T), Error> {
        self.update_announced(row, None, transition).await
    }

    /// As [`App::update`], for a decision that may be announced. After a conflict it no longer is.
    pub(super) async fn update_announced<T>(
        &self,
        mut row: Versioned,
        mut announcement: Option<Announcement>,
        mut transition: impl FnMut(&mut Approval, Timestamp) -> Result<T, Error>,
    ) -> Result<(Versioned, T), Error> {
        let mut retries = Retries::new();
        loop {
            let before = row.clone();
            let result = transition(&mut row.approval, self.now())?;
            if row.approval == before.approval {
                return Ok((before, result));
            }
            let known = before.approval.history.len();
            let announcement = announcement.take();
            match self.replace(row, known, announcement, None).await {
                Ok(stored) => return Ok((stored, result)),
                Err(error) => retries.wait_after(error).await?,
            }
            row = self.load(&before.approval.request.id).await?;
        }
    }

    /// Stores a row, logs the events after the first `known`, and wakes waiting calls. Runs in its own task,
    /// so that a disconnected caller does not interrupt it. Nothing is sent after `send_by`: what is not stored
    /// by then is a conflict, although it may be stored nevertheless.
    pub(super) async fn replace(
        &self,
        row: Versioned,
        known: usize,
        announcement: Option<Announcement>,
        send_by: Option<Instant>,
    ) -> Result<Versioned, StoreError> {
        let due = match new_decision(&row.approval, known) {
            // The sweep ends that, once the decision is kept for later requests.
            Some(at) => Some(at),
            None => row.approval.next_due(self.config.outcome_within),
        };
        let (store, changes) = (self.store.clone(), self.changes.clone());
        // Boxed, since the task moves it.
        let storing = Box::pin(async move {
            let storing = store.replace_announced(row, due, announcement);
            let stored = match send_by {
                None => storing.await?,
                Some(send_by) => timeout_at(send_by, storing)
                    .await
                    .unwrap_or(Err(StoreError::Conflict))?,
            };
            log_events(&stored.approval, known);
            changes.wake(&stored.approval.request.id);
            Ok(stored)
        });
        let stored = tokio::spawn(storing.in_current_span()).await;
        stored.unwrap_or_else(|panic| Err(StoreError::Unavailable(panic.to_string())))
    }
}

/// The time of the decision, if it is among the events after the first `known`.
fn new_decision(approval: &Approval, known: usize) -> Option<Timestamp> {
    let decision = approval.decision()?;
    let mut new = approval.history.iter().skip(known);
    new.any(|event| matches!(event.what, EventKind::Approved | EventKind::Rejected))
        .then_some(decision.at)
}

/// Logs the events after the first `known`.
pub(super) fn log_events(approval: &Approval, known: usize) {
    let request = &approval.request;
    for event in approval.history.iter().skip(known) {
        // Seconds since the request: operators watch how long people take.
        let after_s = event.at.since(request.requested_at).as_secs();
        tracing::info!(
            event = event.what.word(),
            id = request.id.to_string(),
            after_s,
            "stored"
        );
    }
}
