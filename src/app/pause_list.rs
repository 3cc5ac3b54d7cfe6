//! Listing the pauses for operators: those that can be trusted, and the rows that cannot, each of which stops everything.

use super::error::Error;
use super::pause_rows::{decode, row_name};
use super::state::App;
use crate::domain::{Pause, PauseScope};
use crate::store::{StandingKind, Store, StoreError, StoredStandingRow};

/// The pauses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PauseList {
    pub standing: Vec<Pause>,
    pub damaged: Vec<DamagedPause>,
}

/// A row of a pause that cannot be trusted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DamagedPause {
    /// Its keys.
    pub row: (String, String),
    /// What it seems to pause.
    pub scope: Option<PauseScope>,
    pub cause: String,
}

/// Reads the rows of pauses.
///
/// # Errors
/// [`Error::Unavailable`] or [`Error::Untrusted`] if it cannot be read which there are.
pub async fn list_pauses(store: &Store) -> Result<PauseList, Error> {
    let list = list(store).await;
    list.map_err(|error| Error::without("the pauses", &error))
}

async fn list(store: &Store) -> Result<PauseList, StoreError> {
    store.prepare().await?;
    let rows = store.all_standing_of(StandingKind::Pause);
    let (rows, ()) = tokio::try_join!(rows, store.ensure_standing_is_whole())?;
    let mut list = PauseList::default();
    for stored in rows {
        let scope = scope_of(&stored);
        let Some(row) = stored.row else { continue };
        match row.and_then(|row| decode(&row)) {
            Ok(pause) => list.standing.push(pause),
            Err(error @ StoreError::Damaged(_)) => {
                list.damaged.push(DamagedPause {
                    row: stored.keys,
                    scope,
                    cause: error.to_string(),
                });
            }
            Err(error) => return Err(error),
        }
    }
    Ok(list)
}

/// What a row of a pause seems to cover, if it is in the place of just that: `pause` or `resume` with this scope replaces
/// or removes it.
pub fn scope_of(stored: &StoredStandingRow) -> Option<PauseScope> {
    let scope = PauseScope::from_word(stored.text("Scope")?, stored.text("ScopeName"))?;
    (row_name(&scope) == stored.keys.1).then_some(scope)
}

impl App {
    /// As [`list_pauses`], with the pause of `HO_PAUSED`.
    ///
    /// # Errors
    /// As [`list_pauses`].
    pub async fn list_pauses(&self) -> Result<PauseList, Error> {
        let mut list = list_pauses(&self.store).await?;
        list.standing.extend(self.paused_by_setting.clone());
        Ok(list)
    }
}
