//! The rows of the standing table without which calls are refused, where they cannot be trusted.

use futures_util::future::try_join_all;

use super::finding::Finding;
use super::pause_rows;
use crate::store::{StandingKind, StandingRow, Store, StoreError, StoredStandingRow};

/// A kind of rows, and what a damaged one stops.
type Kind = (StandingKind, &'static str);

const PAUSES: Kind = (
    StandingKind::Pause,
    "pauses, each of which stops everything",
);

const KINDS: [Kind; 5] = [
    PAUSES,
    (
        StandingKind::Budget,
        "budgets, whose owners can submit nothing",
    ),
    (
        StandingKind::Code,
        "people's wrong codes, without which they cannot decide by code",
    ),
    (
        StandingKind::Rejection,
        "rejections, whose content cannot be submitted where a rule refuses what was rejected",
    ),
    (
        StandingKind::Limit,
        "limits of rules, which approve nothing by themselves",
    ),
];

/// Looks for a pause that cannot be trusted; `None` if there is none.
///
/// # Errors
/// The store's own.
pub(super) async fn check_pauses(store: &Store) -> Result<Option<Finding>, StoreError> {
    check_kinds(store, &[PAUSES]).await
}

/// Looks for rows of any of these kinds that cannot be trusted; `None` if there are none.
///
/// # Errors
/// The store's own.
pub async fn check_standing_rows(store: &Store) -> Result<Option<Finding>, StoreError> {
    check_kinds(store, &KINDS).await
}

async fn check_kinds(store: &Store, kinds: &[Kind]) -> Result<Option<Finding>, StoreError> {
    let counts = kinds.iter().map(|(kind, _)| count_damaged(store, *kind));
    let counts = try_join_all(counts).await?;
    let damaged = counts.iter().zip(kinds).filter(|(count, _)| **count > 0);
    let (mut stops_everything, mut said) = (false, Vec::new());
    for (count, (kind, what)) in damaged {
        stops_everything |= *kind == StandingKind::Pause;
        said.push(format!("{count} {what}"));
    }
    if said.is_empty() {
        return Ok(None);
    }
    let detail = format!(
        "standing rows cannot be trusted: {}: see `list --damaged`",
        said.join("; ")
    );
    Ok(Some(if stops_everything {
        Finding::failed(detail)
    } else {
        Finding::warning(detail)
    }))
}

async fn count_damaged(store: &Store, kind: StandingKind) -> Result<usize, StoreError> {
    let rows = match store.all_standing_of(kind).await {
        // The table does not exist yet. If it was lost, `ensure_standing_is_whole` reports that.
        Err(StoreError::StandingLost) => return Ok(0),
        rows => rows?,
    };
    // Of a key that is gone, a count begins anew, and a rejection is no longer found; a pause stops everything.
    let stop = |row: &StoredStandingRow| kind == StandingKind::Pause || !row.is_of_other_key;
    let checked = rows
        .into_iter()
        .filter(stop)
        .filter_map(|stored| stored.row);
    let checked = checked.map(|row| row.and_then(|row| check_content(&row)));
    let damaged = checked.filter(|it| matches!(it, Err(StoreError::Damaged(_))));
    Ok(damaged.count())
}

/// Whether what a sealed row says can be read.
pub(super) fn check_content(row: &StandingRow) -> Result<(), StoreError> {
    match row.kind {
        StandingKind::Pause => pause_rows::decode(row).map(drop),
        _ => Ok(()),
    }
}
