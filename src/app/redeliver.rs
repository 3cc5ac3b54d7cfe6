//! Telling channels again, for the operator. The command line does it without the gate.

use std::str::FromStr;

use super::error::Error;
use super::grant_rows;
use super::pause_log::change_log;
use super::resend::queue_again;
use crate::store::{StandingKind, Store, StoreError, decode_grants};
use crate::values::{ApprovalId, Clock};

/// What channels were not told about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Untold {
    Request(ApprovalId),
    /// All standing grants, and pauses.
    Standing,
}

/// It is neither the id of a request nor `standing`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be the id of a request, or `standing` for standing grants and pauses")]
pub struct InvalidUntold;

const STANDING: &str = "standing";

impl FromStr for Untold {
    type Err = InvalidUntold;

    fn from_str(text: &str) -> Result<Self, InvalidUntold> {
        match text {
            STANDING => Ok(Self::Standing),
            id => id.parse().map(Self::Request).map_err(|_| InvalidUntold),
        }
    }
}

impl std::fmt::Display for Untold {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Request(id) => id.fmt(f),
            Self::Standing => f.write_str(STANDING),
        }
    }
}

/// Queues again what channels were not told, for the next sweep. Returns how many messages; 0 if there is nothing to tell
/// again.
///
/// # Errors
/// When the request does not exist, or a row cannot be trusted or read.
pub async fn redeliver(store: &Store, untold: &Untold, clock: &Clock) -> Result<usize, Error> {
    match untold {
        Untold::Request(id) => {
            queue_again(store, id, |approval| approval.queue_channels_again(clock())).await
        }
        Untold::Standing => Ok(redeliver_standing(store, clock).await?),
    }
}

async fn redeliver_standing(store: &Store, clock: &Clock) -> Result<usize, StoreError> {
    store.prepare().await?;
    let again = |queued: usize| (queued > 0).then_some(queued);
    let pauses = change_log(
        store,
        || clock(),
        |log, now| again(log.outbox.queue_again(now)),
    );
    let mut queued = pauses.await?.unwrap_or(0);
    for row in store.standing_rows_of(StandingKind::Grant).await? {
        // What cannot be trusted is of no grants.
        let Ok(row) = row else { continue };
        let Ok(mut grants) = decode_grants(&row.columns) else {
            continue;
        };
        if grants.outbox.queue_again(clock()) == 0 {
            continue;
        }
        let grants = grant_rows::change(
            store,
            &row.name,
            || clock(),
            |grants, now| again(grants.outbox.queue_again(now)),
        );
        queued += grants.await?.unwrap_or(0);
    }
    Ok(queued)
}
