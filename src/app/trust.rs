//! Checks whether a stored row can be trusted, the same for `verify`, the lists and `purge`.

use human_oversight_protocol::types::KeySet;

use super::standing_damage::check_content;
use crate::domain::Approval;
use crate::keys::{check_grant, receipt};
use crate::store::{StandingKind, StandingRow, StoreError, StoredStandingRow, decode_grants};

/// Why a row cannot be trusted.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Distrust {
    /// It cannot be read, or is not as a gate with these link keys wrote it.
    #[error(transparent)]
    Row(#[from] StoreError),
    /// What people decided or gave is not proved by these receipt keys.
    #[error("{0}")]
    Unproved(String),
}

impl Distrust {
    /// Whether it was changed, or its key is gone or revoked. Else another version, or other settings, may trust it.
    pub fn is_damage(&self) -> bool {
        matches!(self, Self::Row(StoreError::Damaged(_)) | Self::Unproved(_))
    }
}

/// Checks the row of a request; without receipt keys, only that it could be read. A row of the legacy Logic App proves
/// nothing, and is not checked.
///
/// # Errors
/// Why it cannot be trusted.
pub fn check_request(
    read: &Result<Approval, StoreError>,
    keys: Option<&KeySet>,
) -> Result<(), Distrust> {
    let approval = match read {
        Ok(approval) => approval,
        Err(StoreError::Legacy) => return Ok(()),
        Err(error) => return Err(error.clone().into()),
    };
    let checked = keys.map_or(Ok(()), |keys| receipt::check(approval, keys));
    checked.map_err(|contradiction| Distrust::Unproved(contradiction.to_string()))
}

/// Checks a row of the standing table; without receipt keys, only that it could be read. One of an unknown kind is not
/// checked.
///
/// # Errors
/// Why it cannot be trusted.
pub fn check_standing(stored: &StoredStandingRow, keys: Option<&KeySet>) -> Result<(), Distrust> {
    match &stored.row {
        None => Ok(()),
        Some(Err(error)) => Err(error.clone().into()),
        Some(Ok(row)) if row.kind == StandingKind::Grant => check_grants(row, keys),
        Some(Ok(row)) => Ok(check_content(row)?),
    }
}

fn check_grants(row: &StandingRow, keys: Option<&KeySet>) -> Result<(), Distrust> {
    let grants = decode_grants(&row.columns)?;
    let Some(keys) = keys else { return Ok(()) };
    let mut held = grants.held.iter();
    match held.find_map(|held| check_grant(&held.signed, keys).err()) {
        None => Ok(()),
        Some(contradiction) => Err(Distrust::Unproved(contradiction.of_grant())),
    }
}
