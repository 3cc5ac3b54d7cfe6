//! The row of what channels get of pauses. The rows of pauses themselves know nothing of it: each observation compares the
//! pauses that stand with those that stood, so that the next one finds what the command line did, or a process that died.

use std::collections::BTreeMap;

use super::pause_rows;
use super::retries::Retries;
use crate::domain::PauseLog;
use crate::store::{
    StandingKind, StandingRow, Store, StoreError, decode_pause_log, encode_pause_log,
};
use crate::values::Timestamp;

/// The row's name.
const NAME: &str = "all";

/// Adds an event for each pause that was set or has ended since the last observation. Without `channels`, which only the gate
/// knows, they are those of the row; where there is no row, no channel gets pauses.
///
/// # Errors
/// The store's own, also where a pause cannot be trusted.
pub(super) async fn observe(
    store: &Store,
    channels: Option<&[String]>,
    now: Timestamp,
) -> Result<(), StoreError> {
    let mut retries = Retries::new();
    loop {
        let row = read(store).await?;
        if row.is_none() && channels.is_none() {
            return Ok(());
        }
        // After the row, so that a write on what is older than the last observation is a conflict.
        let standing = pause_rows::standing(store).await?;
        let (mut log, row) = row.unwrap_or_else(new);
        let before = log.clone();
        if let Some(channels) = channels {
            log.channels = channels.to_vec();
        }
        log.observe(&standing, now);
        if log == before {
            return Ok(());
        }
        match write(store, row, &log, now).await {
            Ok(()) if log.is_full() && !before.is_full() => {
                let most = PauseLog::MOST;
                tracing::warn!(most, "channels get no further pauses");
                return Ok(());
            }
            Ok(()) => return Ok(()),
            Err(error) => retries.wait_after(error).await?,
        }
    }
}

/// Changes the log, on condition that it has not changed since it was read, and retries after a conflict. Nothing is written
/// if there is none, or `change` returns `None`.
pub(super) async fn change_log<T>(
    store: &Store,
    clock: impl Fn() -> Timestamp,
    mut change: impl FnMut(&mut PauseLog, Timestamp) -> Option<T>,
) -> Result<Option<T>, StoreError> {
    let mut retries = Retries::new();
    loop {
        let Some((mut log, row)) = read(store).await? else {
            return Ok(None);
        };
        let now = clock();
        let Some(result) = change(&mut log, now) else {
            return Ok(None);
        };
        match write(store, row, &log, now).await {
            Ok(()) => return Ok(Some(result)),
            Err(error) => retries.wait_after(error).await?,
        }
    }
}

/// The log and its row. One that cannot be trusted, such as one under a key that was removed, begins anew: what it had is
/// sent again under the same ids.
async fn read(store: &Store) -> Result<Option<(PauseLog, StandingRow)>, StoreError> {
    let row = store.standing(StandingKind::PauseLog, NAME).await;
    let read = row.and_then(|row| {
        let read = row.map(|row| Ok((decode_pause_log(&row.columns)?, row)));
        read.transpose()
    });
    if let Err(StoreError::Damaged(_)) = read {
        store.remove_standing(StandingKind::PauseLog, NAME).await?;
        return Ok(None);
    }
    read
}

fn new() -> (PauseLog, StandingRow) {
    let row = StandingRow::new(StandingKind::PauseLog, NAME, BTreeMap::new());
    (PauseLog::default(), row)
}

async fn write(
    store: &Store,
    mut row: StandingRow,
    log: &PauseLog,
    now: Timestamp,
) -> Result<(), StoreError> {
    row.columns = encode_pause_log(log);
    store.put_standing(row, now).await.map(drop)
}
