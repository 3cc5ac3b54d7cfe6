//! The rows of the standing table without which calls are refused, where they cannot be trusted.

use futures_util::future::try_join_all;

use super::finding::Finding;
use crate::store::{StandingKind, Store, StoreError};

/// What rests on the rows of each kind.
const KINDS: [(StandingKind, &str); 3] = [
    (
        StandingKind::Pause,
        "pauses, each of which stops everything",
    ),
    (
        StandingKind::Budget,
        "budgets, whose owners can submit nothing",
    ),
    (
        StandingKind::Code,
        "people's wrong codes, without which they cannot decide by code",
    ),
];

/// Looks for a pause that cannot be trusted; `None` if there is none.
///
/// # Errors
/// The store's own.
pub(super) async fn check_pauses(store: &Store) -> Result<Option<Finding>, StoreError> {
    check_kinds(store, &KINDS[..1]).await
}

/// Looks for pauses, budgets and wrong codes that cannot be trusted; `None` if there are none.
///
/// # Errors
/// The store's own.
pub async fn check_standing_rows(store: &Store) -> Result<Option<Finding>, StoreError> {
    check_kinds(store, &KINDS).await
}

async fn check_kinds(
    store: &Store,
    kinds: &[(StandingKind, &str)],
) -> Result<Option<Finding>, StoreError> {
    let counts = kinds.iter().map(|(kind, _)| count_damaged(store, *kind));
    let counts = try_join_all(counts).await?;
    let damaged = counts.iter().zip(kinds).filter(|(count, _)| **count > 0);
    let damaged: Vec<_> = damaged
        .map(|(count, (_, what))| format!("{count} {what}"))
        .collect();
    if damaged.is_empty() {
        return Ok(None);
    }
    let detail = format!(
        "standing rows cannot be trusted: {}: see `list --damaged`",
        damaged.join("; ")
    );
    // The pauses are the first of the kinds.
    Ok(Some(if counts[0] == 0 {
        Finding::warning(detail)
    } else {
        Finding::failed(detail)
    }))
}

async fn count_damaged(store: &Store, kind: StandingKind) -> Result<usize, StoreError> {
    match store.standing_rows_of(kind).await {
        // A new store; or what is lost is said elsewhere.
        Err(StoreError::StandingLost) => Ok(0),
        rows => {
            let is_damaged = |row: &&Result<_, _>| matches!(row, Err(StoreError::Damaged(_)));
            Ok(rows?.iter().filter(is_damaged).count())
        }
    }
}
