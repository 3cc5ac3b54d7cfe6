//! The rows of standing grants: reading, changing and listing them. The command line does it without the gate.

use std::collections::BTreeMap;

use human_oversight_protocol::types::KeySet;

use super::error::Error;
use super::retries::Retries;
use crate::domain::{Grant, GrantEnd, Grants, HeldGrant, PauseScope, SignedGrant};
use crate::keys::{ReceiptKeys, check_grant};
use crate::store::{StandingKind, StandingRow, Store, StoreError, decode_grants, encode_grants};
use crate::values::{ApprovalId, Timestamp};

/// All standing grants that can be read.
#[derive(Clone, Debug, Default)]
pub struct GrantList {
    pub grants: Vec<HeldGrant>,
    /// The rows, and the grants of others, that cannot be trusted; they approve nothing.
    pub unreadable: usize,
}

/// Lists the standing grants, also those that have ended, as long as their rows are kept. Without receipt keys, their
/// signatures are not checked.
///
/// # Errors
/// The store's own.
pub async fn list_grants(store: &Store, keys: Option<&ReceiptKeys>) -> Result<GrantList, Error> {
    let is_signed =
        |held: &HeldGrant| keys.is_none_or(|keys| check_grant(&held.signed, keys.public()).is_ok());
    store.prepare().await?;
    let mut list = GrantList::default();
    for row in store.standing_rows_of(StandingKind::Grant).await? {
        match row.and_then(|row| decode_grants(&row.columns)) {
            Ok(grants) => {
                let (signed, others): (Vec<_>, Vec<_>) =
                    grants.held.into_iter().partition(is_signed);
                list.grants.extend(signed);
                list.unreadable += others.len();
            }
            Err(_) => list.unreadable += 1,
        }
    }
    Ok(list)
}

/// Ends a grant for the operator, also one whose time seems to be over. Returns `false` if it was ended before.
///
/// # Errors
/// [`Error::NotFound`] if there is no such grant, or the store's own.
pub async fn end_grant(store: &Store, id: &str, now: Timestamp) -> Result<bool, Error> {
    store.prepare().await?;
    let is_meant = |grant: &Grant| grant.id == id;
    let (found, ended) = end_where(store, GrantEnd::Operator, now, is_meant).await?;
    if found {
        Ok(ended)
    } else {
        Err(Error::NotFound)
    }
}

/// Removes the grants of a row that these keys do not prove, and leaves the others.
///
/// # Errors
/// The store's own.
pub async fn remove_unproved_grants(
    store: &Store,
    name: &str,
    keys: &KeySet,
    clock: impl Fn() -> Timestamp,
) -> Result<(), StoreError> {
    let is_proved = |signed: &SignedGrant| check_grant(signed, keys).is_ok();
    let removed = change(store, name, clock, |grants, _| {
        grants.keep_only(is_proved).then_some(())
    });
    removed.await.map(drop)
}

/// Ends the grants that were given with the approval of a request. Returns whether one of them was active.
pub(super) async fn end_given_with(
    store: &Store,
    id: &ApprovalId,
    by: GrantEnd,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let is_meant = |grant: &Grant| grant.given_with == *id;
    let (_, ended) = end_where(store, by, now, is_meant).await?;
    Ok(ended)
}

/// Ends the grants that a pause may cover.
pub(super) async fn end_covered(
    store: &Store,
    scope: &PauseScope,
    now: Timestamp,
) -> Result<(), StoreError> {
    let is_meant = |grant: &Grant| scope.may_cover(Some(&grant.scope.owner), &grant.scope.agent);
    end_where(store, GrantEnd::Pause, now, is_meant).await?;
    Ok(())
}

/// Ends one grant of a row. Returns whether there was something to end.
pub(super) async fn end(
    store: &Store,
    name: &str,
    id: &str,
    by: GrantEnd,
    clock: impl Fn() -> Timestamp,
) -> Result<bool, StoreError> {
    let ending = change(store, name, clock, |grants, now| {
        grants.end(id, by, now).then_some(())
    });
    Ok(ending.await?.is_some())
}

/// Ends all grants that are meant. Returns whether there are any, and whether one of them was active.
async fn end_where(
    store: &Store,
    by: GrantEnd,
    now: Timestamp,
    is_meant: impl Fn(&Grant) -> bool,
) -> Result<(bool, bool), StoreError> {
    let (mut found, mut ended) = (false, false);
    for row in store.standing_rows_of(StandingKind::Grant).await? {
        // What cannot be trusted approves nothing.
        let Ok(row) = row else { continue };
        let Ok(grants) = decode_grants(&row.columns) else {
            continue;
        };
        let meant = |held: &&HeldGrant| is_meant(&held.signed.grant);
        if !grants.held.iter().any(|held| meant(&held)) {
            continue;
        }
        found = true;
        let changed = change(
            store,
            &row.name,
            || now,
            |grants, now| {
                let can_end = |held: &HeldGrant| meant(&held) && held.can_end_by(by, now);
                let any = grants.held.iter().any(can_end);
                any.then(|| grants.void(by, now, &is_meant))
            },
        );
        ended |= changed.await?.is_some();
    }
    Ok((found, ended))
}

/// The grants of a row; none if there is none.
pub(super) async fn read(store: &Store, name: &str) -> Result<Grants, StoreError> {
    match store.standing(StandingKind::Grant, name).await? {
        None => Ok(Grants::default()),
        Some(row) => decode_grants(&row.columns),
    }
}

/// Changes the grants of a row, on condition that it has not changed since it was read, and retries after a
/// conflict. Nothing is written if `change` returns `None` or changes nothing. The time is the latest that any process
/// wrote, so that a clock that is behind does not prolong a grant.
pub(super) async fn change<T>(
    store: &Store,
    name: &str,
    clock: impl Fn() -> Timestamp,
    mut change: impl FnMut(&mut Grants, Timestamp) -> Option<T>,
) -> Result<Option<T>, StoreError> {
    let mut retries = Retries::new();
    loop {
        let row = store.standing(StandingKind::Grant, name).await?;
        let mut grants = match &row {
            None => Grants::default(),
            Some(row) => decode_grants(&row.columns)?,
        };
        let before = grants.clone();
        let written_at = row.as_ref().and_then(StandingRow::written_at);
        let now = written_at.map_or_else(&clock, |written_at| written_at.max(clock()));
        let Some(result) = change(&mut grants, now) else {
            return Ok(None);
        };
        if grants == before {
            return Ok(Some(result));
        }
        let new = || StandingRow::new(StandingKind::Grant, name, BTreeMap::new());
        let mut row = row.unwrap_or_else(new);
        row.columns = encode_grants(&grants);
        match store.put_standing(row, now).await {
            Ok(_) => {
                let lost = grants.outbox.lost_since(&before.outbox);
                if lost > 0 {
                    tracing::warn!(lost, "events of standing grants were dropped unsent");
                }
                return Ok(Some(result));
            }
            Err(error) => retries.wait_after(error).await?,
        }
    }
}

/// Ends all grants of a row, and those that are about to be added to it, since what reads the same was rejected; also of a
/// row that cannot be trusted. That of the request whose approval was `revoked` ends by its giver. A row that does not
/// exist is written only if one `may_be_added`. Returns whether one was active.
pub(super) async fn void(
    store: &Store,
    name: &str,
    revoked: Option<&ApprovalId>,
    may_be_added: bool,
    clock: impl Fn() -> Timestamp,
) -> Result<bool, StoreError> {
    let voided = change(store, name, &clock, |grants, now| {
        let is_needed = may_be_added || *grants != Grants::default();
        let any = grants.held.iter().any(|held| held.can_end(now));
        is_needed.then(|| {
            if let Some(id) = revoked {
                grants.end_given_with(id, now);
            }
            grants.void(GrantEnd::Rejection, now, |_| true);
            any
        })
    });
    match voided.await {
        Err(StoreError::Damaged(_)) => {
            let now = clock();
            let voided = now.unix_millis().unsigned_abs();
            let grants = Grants {
                voided,
                ..Grants::default()
            };
            let row = StandingRow::new(StandingKind::Grant, name, encode_grants(&grants));
            store.overwrite_standing(row, now).await?;
            Ok(false)
        }
        voided => voided.map(|any| any == Some(true)),
    }
}
