//! The rows of the standing table without which calls are refused, where they cannot be trusted.

use futures_util::future::try_join_all;

use super::finding::Finding;
use crate::store::{StandingKind, Store, StoreError};

/// Looks for rows of pauses, budgets and wrong codes that cannot be trusted; `None` if there are none.
///
/// # Errors
/// The store's own.
pub async fn check_standing_rows(store: &Store) -> Result<Option<Finding>, StoreError> {
    let kinds = [
        StandingKind::Pause,
        StandingKind::Budget,
        StandingKind::Code,
    ];
    let counts = kinds.map(async |kind| count_damaged(store, kind).await);
    let counts = try_join_all(counts).await?;
    let said = [
        "pauses, each of which stops everything",
        "budgets, whose owners can submit nothing",
        "people's wrong codes, without which they cannot decide by code",
    ];
    let damaged = counts.iter().zip(said).filter(|(count, _)| **count > 0);
    let damaged: Vec<_> = damaged
        .map(|(count, what)| format!("{count} {what}"))
        .collect();
    if damaged.is_empty() {
        return Ok(None);
    }
    let detail = format!(
        "standing rows cannot be trusted: {}: see `list --damaged`",
        damaged.join("; ")
    );
    Ok(Some(match counts[0] {
        0 => Finding::warning(detail),
        _ => Finding::failed(detail),
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
