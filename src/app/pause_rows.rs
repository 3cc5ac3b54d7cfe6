//! The rows of pauses: their names and columns.

use std::collections::BTreeMap;

use human_oversight_protocol::parameters::{hex, sha256};

use crate::domain::{Pause, PauseScope};
use crate::store::{StandingKind, StandingRow, Store, StoreError};
use crate::values::Timestamp;

/// The pauses that stand.
///
/// # Errors
/// The store's own, also where one of them cannot be trusted.
pub(super) async fn standing(store: &Store) -> Result<Vec<Pause>, StoreError> {
    // A gate creates the table here, once; its loss later on is an error, never an empty list.
    store.prepare().await?;
    let rows = store.standing_of(StandingKind::Pause);
    let (rows, ()) = tokio::try_join!(rows, store.ensure_standing_is_whole())?;
    rows.iter().map(decode).collect()
}

/// The name of the row. Names of owners and agents can be longer than keys.
pub(super) fn row_name(scope: &PauseScope) -> String {
    match scope.key() {
        (word, None) => word.to_owned(),
        (word, Some(name)) => format!("{word}-{}", hex(&sha256(name.as_bytes()))),
    }
}

pub(super) fn encode(pause: &Pause) -> BTreeMap<String, String> {
    let columns = [
        ("Scope", Some(pause.scope.word().to_owned())),
        ("ScopeName", pause.scope.name()),
        ("PausedTimestamp", Some(pause.since.to_string())),
        ("Reason", pause.reason.clone()),
    ];
    let columns = columns.into_iter();
    columns
        .filter_map(|(name, text)| Some((name.to_owned(), text?)))
        .collect()
}

pub(super) fn decode(row: &StandingRow) -> Result<Pause, StoreError> {
    let text = |name: &str| row.columns.get(name).map(String::as_str);
    let scope = text("Scope").and_then(|word| PauseScope::from_word(word, text("ScopeName")));
    let since = text("PausedTimestamp").and_then(Timestamp::parse);
    Ok(Pause {
        scope: scope.ok_or_else(|| StoreError::damaged("Scope"))?,
        since: since.ok_or_else(|| StoreError::damaged("PausedTimestamp"))?,
        reason: text("Reason").map(str::to_owned),
    })
}
