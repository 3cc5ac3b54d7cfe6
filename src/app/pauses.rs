//! The pauses in the store: the operator stops claims and submits, and lets them go on. The command line
//! does it without the gate.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::{StreamExt, stream};

use super::error::Error;
use super::grant_rows;
use super::pause_log;
use super::pause_rows::{decode, encode, row_name, standing};
use super::retries::Retries;
use crate::domain::{Approval, Execution, Pause, PauseScope, Request, State};
use crate::store::{StandingKind, StandingRow, Store, StoreError};
use crate::values::{ApprovalId, Timestamp};

/// Rows read at a time for the list of what is executing.
const CONCURRENT_READS: usize = 16;

/// An action that an agent may be running.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Running {
    pub id: ApprovalId,
    /// When it was claimed.
    pub since: Timestamp,
}

/// What agents may be running, and what may still come to that.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Executing {
    pub actions: Vec<Running>,
    /// The number of requests that wait for a decision or a claim.
    pub open: usize,
    /// Requests that could not be read; each may be open or executing.
    pub unreadable: usize,
}

/// Reads the pauses that stand.
///
/// # Errors
/// [`Error::Unavailable`] or [`Error::Untrusted`] if one of them cannot be read or trusted: that is never "not paused".
pub async fn pauses(store: &Store) -> Result<Vec<Pause>, Error> {
    let pauses = standing(store).await;
    pauses.map_err(|error| Error::without("the pauses", &error))
}

/// Sets a pause, from the moment at which this returns. One with the same scope keeps its time and gets the
/// new reason.
///
/// # Errors
/// The store's own. The pause may stand nevertheless.
pub async fn pause(store: &Store, mut pause: Pause, now: Timestamp) -> Result<Pause, StoreError> {
    let name = row_name(&pause.scope);
    match store.standing(StandingKind::Pause, &name).await {
        Ok(Some(row)) => pause.since = decode(&row).map_or(pause.since, |earlier| earlier.since),
        // One that cannot be trusted stops everything, until it is replaced.
        Ok(None) | Err(StoreError::Damaged(_)) => {}
        Err(error) => return Err(error),
    }
    let mut retries = Retries::new();
    loop {
        let row = StandingRow::new(StandingKind::Pause, &name, encode(&pause));
        match store.overwrite_standing(row, now).await {
            Ok(()) => {
                // None of them is used after this returns, nor after the resume.
                grant_rows::end_covered(store, &pause.scope, now).await?;
                log_pauses(store, now).await;
                return Ok(pause);
            }
            Err(error) => retries.wait_after(error).await?,
        }
    }
}

/// Ends the pause with exactly this scope, even one that cannot be trusted. Returns whether there was one.
///
/// # Errors
/// [`StoreError::Conflict`] if it was set again meanwhile, or the store's own. The pause may have ended
/// nevertheless.
pub async fn resume(store: &Store, scope: &PauseScope, now: Timestamp) -> Result<bool, StoreError> {
    let name = row_name(scope);
    match store.standing(StandingKind::Pause, &name).await {
        // Grants that no pause has covered go on.
        Ok(None) => return Ok(false),
        Ok(Some(_)) | Err(StoreError::Damaged(_)) => {}
        Err(error) => return Err(error),
    }
    // Also those that were given meanwhile.
    grant_rows::end_covered(store, scope, now).await?;
    // A pause that no one has seen yet has a beginning, too.
    log_pauses(store, now).await;
    let done = store.remove_standing(StandingKind::Pause, &name).await?;
    log_pauses(store, now).await;
    Ok(done)
}

/// What cannot be stored, the next sweep finds.
async fn log_pauses(store: &Store, now: Timestamp) {
    if let Err(error) = pause_log::observe(store, None, now).await {
        tracing::warn!(cause = %error, "the events of pauses cannot be stored");
    }
}

/// What agents may be running now: claimed, and no outcome reported yet; and how many requests are open.
///
/// # Errors
/// The store's own.
pub async fn executing(
    store: &Store,
    scope: &PauseScope,
    now: Timestamp,
) -> Result<Executing, StoreError> {
    // What is executing is due at some time, for its outcome.
    let end_of_time = Timestamp::from_unix_millis(0).expect("1970") + Duration::MAX;
    let (mut ids, mut cursor) = (BTreeSet::new(), None);
    loop {
        let page = store.due(end_of_time, cursor).await?;
        ids.extend(page.due.into_iter().filter_map(|due| due.id.ok()));
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    let may_cover = |request: &Request| scope.may_cover(request.owner.as_ref(), request.id.agent());
    // Not those of agents whose credential it may be: that would hide a name with a fault.
    let is_counted = |request: &Request| {
        let owner = request.owner.as_ref();
        let is_anyones = owner.is_none() && matches!(scope, PauseScope::Owner(_));
        is_anyones || scope.covers(owner, request.id.agent())
    };
    let mut executing = Executing::default();
    let rows = stream::iter(ids).map(async |id| store.get(&id).await);
    let mut rows = std::pin::pin!(rows.buffered(CONCURRENT_READS));
    while let Some(row) = rows.next().await {
        match row {
            Ok(row) if may_cover(&row.approval.request) => {
                executing.actions.extend(running(&row.approval));
                let is_open = is_counted(&row.approval.request) && row.approval.is_open(now);
                executing.open += usize::from(is_open);
            }
            Ok(_) => {}
            Err(StoreError::NotFound | StoreError::Legacy) => {}
            Err(_) => executing.unreadable += 1,
        }
    }
    Ok(executing)
}

fn running(approval: &Approval) -> Option<Running> {
    match &approval.state {
        State::Approved {
            execution: Execution::Executing { at, .. },
            ..
        } => Some(Running {
            id: approval.request.id.clone(),
            since: *at,
        }),
        _ => None,
    }
}
