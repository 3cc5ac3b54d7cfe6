//! Whether the standing table is the one that this process, or the gate whose rows there are, has known.
//!
//! Each row of the table is sealed for the gate's id, which is stored in the same table before it. A table without the id
//! was deleted and made anew, but not by a gate, and what is not in it means nothing: no row of a pause is not "not
//! paused".

use super::backend::Backend;
use super::error::StoreError;
use super::gate_id::{GateId, OpenedBy, keys_of_row};
use super::handle::Store;
use super::observed_gate_id::RowWrite;
use super::row::{Columns, Format};
use super::versioned::ETag;

impl Store {
    /// Looks for the id that this process has read or stored: at once after the table was missing, or else once a minute.
    /// Before the store is prepared, each time.
    ///
    /// # Errors
    /// [`StoreError::StandingLost`] if it is gone, or was stored anew since: this process may not be paused, as the one that
    /// stored it is. Or the store's own.
    pub async fn ensure_standing_is_whole(&self) -> Result<(), StoreError> {
        if !self.prepared.initialized() {
            return self.find_gate_id().await.map(drop);
        }
        if self.gate_id.get().is_none() || self.observed_id.is_recent() {
            return Ok(());
        }
        match self.backend.get_standing(&keys_of_row()).await? {
            Some((columns, _)) if self.observed_id.observe(RowWrite::of(&columns)) => Ok(()),
            _ => Err(StoreError::StandingLost),
        }
    }

    /// Passes on the result of a read. If the table was missing, the next check reads the row of the id again.
    pub(super) fn note_loss<T>(&self, read: Result<T, StoreError>) -> Result<T, StoreError> {
        if matches!(read, Err(StoreError::StandingLost)) {
            self.observed_id.expire();
        }
        read
    }

    /// For a command, which creates nothing in the place of what is lost.
    ///
    /// # Errors
    /// [`StoreError::StandingLost`] if there are requests that are sealed for an id, and no id; why a stored one cannot be
    /// trusted; or the store's own.
    pub async fn ensure_gate_id_is_kept(&self) -> Result<(), StoreError> {
        let stored = match self.find_gate_id().await? {
            FoundId::Stored(columns, _) => Some(self.decode_gate_id(&columns)?.id),
            FoundId::None | FoundId::Lost => None,
        };
        GateId::next(stored.as_ref(), &self.rows).map(drop)
    }

    /// Looks for the id, before anything is created in its place.
    ///
    /// # Errors
    /// [`StoreError::StandingLost`] if it is lost, or was when this process looked before, except for a gate that pauses
    /// everything; or the store's own.
    pub(super) async fn find_gate_id(&self) -> Result<FoundId, StoreError> {
        if self.observed_id.was_lost() {
            return Err(StoreError::StandingLost);
        }
        if let Some((columns, etag)) = self.read_gate_id().await? {
            return Ok(FoundId::Stored(columns, etag));
        }
        if !self.has_requests_of_an_id().await? {
            return Ok(FoundId::None);
        }
        // Another instance stores the id before its first request.
        if let Some((columns, etag)) = self.read_gate_id().await? {
            return Ok(FoundId::Stored(columns, etag));
        }
        match self.rows.opened_by {
            OpenedBy::Gate { is_paused: true } => Ok(FoundId::Lost),
            OpenedBy::Gate { is_paused: false } | OpenedBy::Command => {
                self.observed_id.mark_lost();
                Err(StoreError::StandingLost)
            }
        }
    }

    /// The row of the id, if there is one; none without the table.
    pub(super) async fn read_gate_id(&self) -> Result<Option<(Columns, ETag)>, StoreError> {
        match self.backend.get_standing(&keys_of_row()).await {
            Err(StoreError::StandingLost) => Ok(None),
            found => found,
        }
    }

    async fn has_requests_of_an_id(&self) -> Result<bool, StoreError> {
        let mut cursor = None;
        loop {
            let listed = match &self.backend {
                Backend::Embedded(embedded) => embedded.all(cursor),
                Backend::Tables(tables) => tables.all_or_none(cursor).await,
            };
            let (page, next) = listed?;
            if page.iter().any(|row| row.columns.format() == Format::V2) {
                return Ok(true);
            }
            cursor = next;
            if cursor.is_none() {
                return Ok(false);
            }
        }
    }
}

/// What is found where the id is stored.
pub(super) enum FoundId {
    Stored(Columns, ETag),
    /// Nothing, and no request that is sealed for an id.
    None,
    /// Nothing, though there are such requests.
    Lost,
}
