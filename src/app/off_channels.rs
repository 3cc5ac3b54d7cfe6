//! The channels that are switched off, since their receiver answered that it is gone: a row of the table `standing…`
//! each. The command line switches them on again without the gate.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::time::Instant;

use super::error::Error;
use super::last_reading::LastReading;
use super::state::App;
use crate::store::{StandingKind, StandingRow, Store, StoreError};
use crate::values::Timestamp;

const OFF_SINCE: &str = "OffSince";

/// The channels that are switched off, by name, each with the time since when. A row that cannot be trusted, such as one
/// under a key that was removed, switches nothing off.
///
/// # Errors
/// The store's own.
pub async fn off_channels(store: &Store) -> Result<BTreeMap<String, Timestamp>, Error> {
    store.prepare().await?;
    Ok(look_for_off_channels(store).await?)
}

/// As [`off_channels`], for a check, which prepares no table.
///
/// # Errors
/// The store's own.
pub async fn look_for_off_channels(
    store: &Store,
) -> Result<BTreeMap<String, Timestamp>, StoreError> {
    let rows = store.standing_rows_of(StandingKind::Channel).await?;
    let rows = rows.into_iter().filter_map(Result::ok);
    let off = rows.filter_map(|row| {
        let since = row.columns.get(OFF_SINCE)?;
        Some((row.name, Timestamp::parse(since)?))
    });
    Ok(off.collect())
}

/// Switches a channel on again. Returns `false` if it was not off.
///
/// # Errors
/// The store's own.
pub async fn enable_channel(store: &Store, channel: &str) -> Result<bool, Error> {
    store.prepare().await?;
    Ok(store
        .remove_standing(StandingKind::Channel, channel)
        .await?)
}

impl LastReading<BTreeSet<String>> {
    /// The channels that are switched off, as read at most 60 s ago.
    pub fn of_off_channels() -> Self {
        Self::for_at_most(Duration::from_secs(60))
    }
}

impl App {
    /// Whether a channel is switched off: that it is not, as read at most 60 s ago; that it is, as read now, since the
    /// operator may have switched it on.
    pub(super) async fn is_off(&self, channel: &str) -> Result<bool, Error> {
        let last = self.last_off_channels.get();
        if last.is_some_and(|off| !off.contains(channel)) {
            return Ok(false);
        }
        let began_at = Instant::now();
        let off: BTreeSet<String> = off_channels(&self.store).await?.into_keys().collect();
        let is_off = off.contains(channel);
        self.last_off_channels.set(began_at, off.into());
        Ok(is_off)
    }

    /// Switches a channel off, until the operator switches it on.
    pub(super) async fn switch_off(&self, channel: &str, now: Timestamp) {
        let stored = self.store_off(channel, now).await;
        self.last_off_channels.clear();
        if !matches!(stored, Ok(false)) {
            tracing::error!(channel, "a channel is switched off: it answers 410 (gone)");
        }
        if let Err(error) = stored {
            tracing::warn!(channel, cause = %error, "that a channel is off could not be stored");
        }
    }

    /// Stores that a channel is off. Returns `false` if it was: another message was answered with 410, too.
    async fn store_off(&self, channel: &str, now: Timestamp) -> Result<bool, StoreError> {
        let columns = BTreeMap::from([(OFF_SINCE.to_owned(), now.to_string())]);
        let row = || StandingRow::new(StandingKind::Channel, channel, columns.clone());
        match self.store.put_standing(row(), now).await {
            Err(StoreError::AlreadyExists) => {}
            stored => return stored.map(|_| true),
        }
        if look_for_off_channels(&self.store)
            .await?
            .contains_key(channel)
        {
            return Ok(false);
        }
        // What is stored cannot be trusted.
        match self.store.overwrite_standing(row(), now).await {
            Ok(()) | Err(StoreError::Conflict) => Ok(true),
            Err(error) => Err(error),
        }
    }
}
