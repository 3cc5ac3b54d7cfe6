//! Loading and storing the gate's id.
//!
//! It is loaded before the first row that needs it is written or verified. Until it is loaded, no such row
//! is written or trusted.

use std::sync::Arc;

use super::error::StoreError;
use super::gate_id::{GateId, OpenedBy, RowVersion, keys_of_row};
use super::handle::Store;
use super::observed_gate_id::RowWrite;
use super::row::{Columns, Scope};
use super::standing_loss::FoundId;
use super::versioned::ETag;

/// Maximum attempts at storing the id while other instances do the same.
const ATTEMPTS: u32 = 5;

impl Store {
    /// Loads or stores the id, if rows of version 2 are written, or the id of earlier ones is lost; otherwise only creates
    /// the table.
    pub(super) async fn prepare_gate_id(&self) -> Result<(), StoreError> {
        if self.rows.version == RowVersion::V2 {
            return self.gate_id_to_write().await.map(drop);
        }
        let stored = match self.find_gate_id().await? {
            FoundId::Lost => return self.gate_id_to_write().await.map(drop),
            FoundId::None => {
                self.backend.prepare_standing(false).await?;
                None
            }
            FoundId::Stored(columns, _) => match self.decode_gate_id(&columns) {
                // Standing rows are of version 2 all the same.
                Err(StoreError::GateIdOfOtherKey(_)) => {
                    return self.gate_id_to_write().await.map(drop);
                }
                stored => Some(stored?.id),
            },
        };
        GateId::next(stored.as_ref(), &self.rows).map(drop)
    }

    /// The id for writing rows. The first start of a gate stores it, or a command before that, which replaces none.
    pub(super) async fn gate_id_to_write(&self) -> Result<Arc<GateId>, StoreError> {
        let store = || self.load_or_store_gate_id(self.rows.default_gate_id.as_deref());
        self.gate_id.get_or_try_init(store).await.cloned()
    }

    /// As [`Self::gate_id_to_write`], with a `fallback` if neither the table nor the settings have an id.
    pub(super) async fn gate_id_or(&self, fallback: &str) -> Result<Arc<GateId>, StoreError> {
        let store = || self.load_or_store_gate_id(Some(fallback));
        self.gate_id.get_or_try_init(store).await.cloned()
    }

    /// The id for verifying rows: the stored one, or else the setting. Writes nothing.
    pub(super) async fn gate_id_to_read(&self) -> Result<Arc<GateId>, StoreError> {
        if let Some(id) = self.gate_id.get() {
            return Ok(id.clone());
        }
        let (stored, write) = match self.load_gate_id().await? {
            Some(StoredGateId { id, write, .. }) => (Some(id), Some(write)),
            None => (None, None),
        };
        let next = GateId::next(stored.as_ref(), &self.rows)?;
        let id = match (self.rows.opened_by, &stored) {
            // The gate has yet to replace it.
            (OpenedBy::Command, Some(stored)) => Some(stored.clone()),
            _ => next,
        };
        let id = Arc::new(id.ok_or_else(unknown)?);
        let is_stored = stored.as_ref() == Some(&*id) && !self.observed_id.was_lost();
        if let Some(write) = write.filter(|_| is_stored) {
            self.gate_id.set(id.clone()).ok();
            self.observed_id.observe(write);
        }
        Ok(id)
    }

    /// As [`Self::gate_id_to_read`], for a listing, which reports with each row what is wrong with the id.
    pub(super) async fn gate_id_to_list(&self) -> Result<Option<Arc<GateId>>, StoreError> {
        match self.gate_id_to_read().await {
            Ok(id) => Ok(Some(id)),
            // Without keys nothing is checked.
            Err(StoreError::Unavailable(_)) if self.keys.is_none() => Ok(None),
            Err(
                StoreError::GateIdDamaged(_)
                | StoreError::GateIdOfOtherKey(_)
                | StoreError::StandingLost,
            ) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn load_or_store_gate_id(
        &self,
        fallback: Option<&str>,
    ) -> Result<Arc<GateId>, StoreError> {
        // After a conflict with another instance, its row is read.
        for _ in 0..ATTEMPTS {
            let (found, is_lost) = match self.find_gate_id().await? {
                FoundId::Stored(columns, etag) => (Some((columns, etag)), false),
                missing => {
                    let is_lost = matches!(missing, FoundId::Lost);
                    self.backend.prepare_standing(is_lost).await?;
                    (None, is_lost)
                }
            };
            let stored = match &found {
                None => None,
                Some((columns, _)) => match self.decode_gate_id(columns) {
                    Err(StoreError::GateIdOfOtherKey(id)) => {
                        Some(self.taken_over(id, RowWrite::of(columns))?)
                    }
                    stored => Some(stored?),
                },
            };
            let next = GateId::next(stored.as_ref().map(|stored| &stored.id), &self.rows)?;
            let next = next
                .or_else(|| fallback.map(GateId::new))
                .ok_or_else(unknown)?;
            match stored {
                Some(stored) if self.rows.opened_by == OpenedBy::Command => {
                    return Ok(self.observe_gate_id(stored.id, stored.write));
                }
                Some(stored) if stored.by_current_key && stored.id == next => {
                    return Ok(self.observe_gate_id(next, stored.write));
                }
                _ => {}
            }
            match self.store_gate_id(&next, found).await {
                Ok(write) => {
                    if is_lost {
                        tracing::error!("the gate's id was lost: it is stored anew");
                    }
                    return Ok(self.observe_gate_id(next, write));
                }
                Err(StoreError::AlreadyExists | StoreError::Conflict) => {}
                Err(error) => return Err(error),
            }
        }
        Err(StoreError::Conflict)
    }

    fn observe_gate_id(&self, id: GateId, write: RowWrite) -> Arc<GateId> {
        self.observed_id.observe(write);
        Arc::new(id)
    }

    pub(super) async fn load_gate_id(&self) -> Result<Option<StoredGateId>, StoreError> {
        let found = self.backend.get_standing(&keys_of_row()).await?;
        found
            .map(|(columns, _)| self.decode_gate_id(&columns))
            .transpose()
    }

    pub(super) fn decode_gate_id(&self, columns: &Columns) -> Result<StoredGateId, StoreError> {
        let damaged = |error| match error {
            StoreError::Damaged(cause) => StoreError::GateIdDamaged(cause),
            error => error,
        };
        let id = GateId::decode(columns).map_err(damaged)?;
        let Some(keys) = &self.keys else {
            return Ok(StoredGateId {
                id,
                by_current_key: true,
                write: RowWrite::of(columns),
            });
        };
        if columns.is_orphaned(keys) {
            return Err(StoreError::GateIdOfOtherKey(id.id));
        }
        let checked = columns.check([id.id.as_str()], &self.standing, keys);
        checked.map_err(damaged)?;
        Ok(StoredGateId {
            id,
            by_current_key: columns.sealed_with() == Some(keys.current_kid()),
            write: RowWrite::of(columns),
        })
    }

    /// An id whose key is gone, which a gate stores anew if its own settings give the same one: the row proves
    /// nothing.
    fn taken_over(&self, id: String, write: RowWrite) -> Result<StoredGateId, StoreError> {
        let own = GateId::new(&id);
        if self.rows.opened_by == OpenedBy::Command || !own.is_set_in(&self.rows) {
            return Err(StoreError::GateIdOfOtherKey(id));
        }
        tracing::warn!("the gate's id is sealed with a key that is gone: it is kept anew");
        Ok(StoredGateId {
            id: own,
            by_current_key: false,
            write,
        })
    }

    /// Stores an id in place of the row that was found.
    async fn store_gate_id(
        &self,
        id: &GateId,
        found: Option<(Columns, ETag)>,
    ) -> Result<RowWrite, StoreError> {
        let (columns, etag) = found.unzip();
        let revision = columns.map_or(Ok(0), |columns| columns.revision())?;
        let scope = Scope {
            gate: &id.id,
            table: &self.standing,
        };
        let columns = id
            .encode()
            .seal(revision.saturating_add(1), scope, self.link_keys()?);
        let write = RowWrite::of(&columns);
        let stored = self.backend.put_standing(keys_of_row(), columns, etag);
        stored.await.map(|_| write)
    }
}

/// The stored id.
pub(super) struct StoredGateId {
    pub(super) id: GateId,
    /// If not, it is sealed again, so that the older key can be retired.
    by_current_key: bool,
    write: RowWrite,
}

/// Without an id, rows of version 2 can be neither written nor verified.
fn unknown() -> StoreError {
    let why = "no gate id is kept with this table: set HO_GATE_ID";
    StoreError::Unavailable(why.to_owned())
}
