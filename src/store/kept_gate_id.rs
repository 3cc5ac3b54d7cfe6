//! Whether the standing table is the one that this process, or the gate whose rows there are, has known.
//!
//! Each row of the table is sealed for the gate's id, which is stored in the same table before it. A table without the id
//! was deleted and made anew, but not by a gate, and what is not in it means nothing: no row of a pause is not "not
//! paused".

use super::backend::Backend;
use super::error::StoreError;
use super::gate_id::{GateId, OpenedBy, keys_of_row};
use super::handle::Store;
use super::row::Format;

impl Store {
    /// Looks for the id that this process has read or stored: at once after the table was missing, or else once a minute.
    /// Before the store is prepared, each time.
    ///
    /// # Errors
    /// [`StoreError::StandingLost`] if it is gone, until a gate that starts paused stores it again; or the store's own.
    pub async fn ensure_standing_is_whole(&self) -> Result<(), StoreError> {
        if !self.prepared.initialized() {
            return self.is_gate_id_lost().await.map(drop);
        }
        if self.gate_id.get().is_none() || self.id_seen.is_recent() {
            return Ok(());
        }
        match self.backend.get_standing(&keys_of_row()).await? {
            Some(_) => {
                self.id_seen.now();
                Ok(())
            }
            None => Err(StoreError::StandingLost),
        }
    }

    /// The result of reading the standing table, once it is remembered if the table was missing.
    pub(super) fn noting_loss<T>(&self, read: Result<T, StoreError>) -> Result<T, StoreError> {
        if matches!(read, Err(StoreError::StandingLost)) {
            self.id_seen.clear();
        }
        read
    }

    /// For a command, which creates nothing in the place of what is lost.
    ///
    /// # Errors
    /// [`StoreError::StandingLost`] if there are requests that are sealed for an id, and no id; why a stored one cannot be
    /// trusted; or the store's own.
    pub async fn ensure_gate_id_is_kept(&self) -> Result<(), StoreError> {
        let kept = match self.load_gate_id().await {
            Err(StoreError::StandingLost) => None,
            kept => kept?,
        };
        if kept.is_none() && self.has_requests_of_an_id().await? {
            return Err(StoreError::StandingLost);
        }
        GateId::next(kept.map(|kept| kept.id).as_ref(), &self.rows).map(drop)
    }

    /// Before anything is created in its place: whether the id is lost. It is, if there are requests that are sealed for
    /// one.
    ///
    /// # Errors
    /// [`StoreError::StandingLost`] then, except for a gate that pauses everything; or the store's own.
    pub(super) async fn is_gate_id_lost(&self) -> Result<bool, StoreError> {
        let kept = match self.backend.get_standing(&keys_of_row()).await {
            Err(StoreError::StandingLost) => None,
            kept => kept?,
        };
        if kept.is_some() || !self.has_requests_of_an_id().await? {
            return Ok(false);
        }
        match self.rows.opened_by {
            OpenedBy::Gate { is_paused: true } => Ok(true),
            OpenedBy::Gate { is_paused: false } | OpenedBy::Command => {
                Err(StoreError::StandingLost)
            }
        }
    }

    async fn has_requests_of_an_id(&self) -> Result<bool, StoreError> {
        let mut place = None;
        loop {
            let listed = match &self.backend {
                Backend::Embedded(embedded) => embedded.all(place),
                Backend::Tables(tables) => tables.all_or_none(place).await,
            };
            let (page, next) = listed?;
            if page.iter().any(|row| row.columns.format() == Format::V2) {
                return Ok(true);
            }
            place = next;
            if place.is_none() {
                return Ok(false);
            }
        }
    }
}
