//! Loading and storing the gate's id.
//!
//! It is loaded before the first row that needs it is written or checked. As long as it cannot be, no such
//! row is.

use std::sync::Arc;

use super::error::StoreError;
use super::gate_id::{GateId, RowVersion, keys_of_row};
use super::handle::Store;
use super::row::{Columns, Scope};
use super::versioned::ETag;
use crate::keys::LinkKeys;

/// How often a change of the id is tried while others change it.
const ATTEMPTS: u32 = 5;

impl Store {
    /// Keeps or reads the id, if rows of version 2 are written; else only creates the table.
    pub(super) async fn prepare_gate_id(&self) -> Result<(), StoreError> {
        if self.rows.version == RowVersion::V2 {
            return self.gate_id_to_write().await.map(drop);
        }
        self.backend.prepare_standing().await?;
        let kept = self.load_gate_id().await?;
        let id = kept.as_ref().map(|kept| &kept.id);
        GateId::next(id, &self.rows).map(drop)
    }

    /// The id for rows that are written. The first start of a gate keeps it.
    pub(super) async fn gate_id_to_write(&self) -> Result<Arc<GateId>, StoreError> {
        let keep = || self.load_or_keep_gate_id(self.rows.default_gate_id.as_deref());
        self.gate_id.get_or_try_init(keep).await.cloned()
    }

    /// The same, but where nothing else says what it is, it is `fallback`.
    pub(super) async fn gate_id_or(&self, fallback: &str) -> Result<Arc<GateId>, StoreError> {
        let keep = || self.load_or_keep_gate_id(Some(fallback));
        self.gate_id.get_or_try_init(keep).await.cloned()
    }

    /// The id to check rows with: the one that is kept, or else the setting. Nothing is written.
    pub(super) async fn gate_id_to_read(&self) -> Result<Arc<GateId>, StoreError> {
        if let Some(id) = self.gate_id.get() {
            return Ok(id.clone());
        }
        let kept = self.load_gate_id().await?.map(|kept| kept.id);
        let id = match GateId::next(kept.as_ref(), &self.rows)? {
            Some(id) => Arc::new(id),
            None => return Err(unknown()),
        };
        if kept.as_ref() == Some(&id) {
            self.gate_id.set(id.clone()).ok();
        }
        Ok(id)
    }

    async fn load_or_keep_gate_id(
        &self,
        fallback: Option<&str>,
    ) -> Result<Arc<GateId>, StoreError> {
        let keys = self.link_keys()?;
        self.backend.prepare_standing().await?;
        // Another instance may do the same at the same time; then its row is read.
        for _ in 0..ATTEMPTS {
            let found = self.backend.get_standing(&keys_of_row()).await?;
            let kept = match &found {
                None => None,
                Some((columns, _)) if is_orphaned(columns, keys) => {
                    tracing::warn!(
                        "the gate's id is sealed with a key that is gone: it is kept anew"
                    );
                    None
                }
                Some((columns, _)) => Some(self.kept(columns)?),
            };
            let is_current = kept.as_ref().is_some_and(|kept| kept.by_current_key);
            let kept = kept.map(|kept| kept.id);
            let next = GateId::next(kept.as_ref(), &self.rows)?;
            let next = next
                .or_else(|| fallback.map(GateId::new))
                .ok_or_else(unknown)?;
            if is_current && kept.as_ref() == Some(&next) {
                return Ok(Arc::new(next));
            }
            match self.keep_gate_id(&next, found).await {
                Ok(()) => return Ok(Arc::new(next)),
                Err(StoreError::AlreadyExists | StoreError::Conflict) => {}
                Err(error) => return Err(error),
            }
        }
        Err(StoreError::Conflict)
    }

    async fn load_gate_id(&self) -> Result<Option<Kept>, StoreError> {
        let found = self.backend.get_standing(&keys_of_row()).await?;
        found.map(|(columns, _)| self.kept(&columns)).transpose()
    }

    fn kept(&self, columns: &Columns) -> Result<Kept, StoreError> {
        let id = GateId::decode(columns)?;
        let Some(keys) = &self.keys else {
            return Ok(Kept {
                id,
                by_current_key: true,
            });
        };
        let checked = columns.check([id.id.as_str()], &self.standing, keys);
        checked.map_err(|error| StoreError::Damaged(format!("the gate's id: {error}")))?;
        Ok(Kept {
            id,
            by_current_key: columns.sealed_with() == Some(keys.current_kid()),
        })
    }

    /// Keeps an id in the place of what was found.
    async fn keep_gate_id(
        &self,
        id: &GateId,
        found: Option<(Columns, ETag)>,
    ) -> Result<(), StoreError> {
        let (columns, etag) = found.unzip();
        let revision = columns.map_or(Ok(0), |columns| columns.revision())?;
        let scope = Scope {
            gate: &id.id,
            table: &self.standing,
        };
        let columns = id
            .encode()
            .seal(revision.saturating_add(1), scope, self.link_keys()?);
        self.backend
            .put_standing(keys_of_row(), columns, etag)
            .await
    }
}

/// The id as it is kept.
struct Kept {
    id: GateId,
    /// Else it is sealed anew, so that an older key can be retired.
    by_current_key: bool,
}

/// Whether a row can no longer be checked by anyone: its key was taken out of the list, and with that all
/// that it had sealed.
fn is_orphaned(columns: &Columns, keys: &LinkKeys) -> bool {
    columns.sealed_with().is_some_and(|kid| !keys.has(kid))
}

/// Without an id, rows of version 2 can be neither written nor checked.
fn unknown() -> StoreError {
    let why = "no gate id is kept with this table: set HO_GATE_ID";
    StoreError::Unavailable(why.to_owned())
}
