//! The gate's id, for which rows of version 2 are sealed: kept in a sealed row of the table
//! `standing…`, so that another base address changes no row.
//!
//! It is loaded before the first row that needs it is written or checked. As long as it cannot be, no such
//! row is.

use std::sync::Arc;

use super::row::{self, Columns, Keys, Scope};
use super::{Backend, ETag, Store, StoreError};
use crate::token::LinkKeys;

/// How often a change of the id is tried while others change it.
const ATTEMPTS: u32 = 5;

/// How rows are written.
#[derive(Clone, Debug)]
pub struct RowSettings {
    /// `HO_ROWS`.
    pub version: RowVersion,
    /// `HO_GATE_ID`, if it is set.
    pub gate_id: Option<GateIdSetting>,
    /// The id of a gate that starts for the first time without `HO_GATE_ID`. Without one, none is made up.
    pub default_gate_id: Option<String>,
}

/// The version of the rows that are written. Both are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowVersion {
    /// As gates up to 97a4bed read it.
    V1,
    /// Sealed over all columns, for a gate and a table.
    V2,
}

/// `HO_GATE_ID`: the id, and the one that it replaces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GateIdSetting {
    /// The id.
    pub id: String,
    /// The id that was kept until now, if the setting names it.
    pub replaces: Option<String>,
}

impl Default for RowSettings {
    /// Those of a gate in local development.
    fn default() -> Self {
        Self {
            version: RowVersion::V2,
            gate_id: None,
            default_gate_id: Some("local".to_owned()),
        }
    }
}

/// The id of a gate, and those that it had before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct GateId {
    pub(super) id: String,
    /// Rows that were sealed for these are read, and sealed for `id` at their next write.
    former: Vec<String>,
}

impl GateId {
    pub(super) fn new(id: &str) -> Self {
        Self {
            id: id.to_owned(),
            former: Vec::new(),
        }
    }

    /// All ids whose seals count, the current one first.
    pub(super) fn all(&self) -> impl Iterator<Item = &str> {
        std::iter::once(&self.id)
            .chain(&self.former)
            .map(String::as_str)
    }

    /// What is kept from now on, given what was kept until now; none if nothing says so.
    fn next(kept: Option<&Self>, settings: &RowSettings) -> Result<Option<Self>, StoreError> {
        let Some(kept) = kept else {
            let set = settings.gate_id.as_ref().map(|setting| &setting.id);
            return Ok(set
                .or(settings.default_gate_id.as_ref())
                .map(|id| Self::new(id)));
        };
        match &settings.gate_id {
            Some(setting) if setting.id != kept.id => {
                if setting.replaces.as_deref() != Some(kept.id.as_str()) {
                    return Err(StoreError::GateId {
                        set: setting.id.clone(),
                        kept: kept.id.clone(),
                    });
                }
                let former = kept.all().filter(|id| *id != setting.id);
                Ok(Some(Self {
                    id: setting.id.clone(),
                    former: former.map(str::to_owned).collect(),
                }))
            }
            _ => Ok(Some(kept.clone())),
        }
    }

    fn encode(&self) -> Columns {
        let mut columns = Columns::default();
        let (partition_key, row_key) = keys_of_row();
        columns.set("PartitionKey", &partition_key);
        columns.set("RowKey", &row_key);
        columns.set("GateId", &self.id);
        if !self.former.is_empty() {
            columns.set("FormerGateIds", &self.former.join(","));
        }
        columns.set("OperationId", &row::operation_id());
        columns
    }

    fn decode(columns: &Columns) -> Result<Self, StoreError> {
        let id = columns.text("GateId");
        let former = columns.text("FormerGateIds").into_iter();
        Ok(Self {
            id: id
                .ok_or_else(|| StoreError::Damaged("GateId".to_owned()))?
                .to_owned(),
            former: former
                .flat_map(|ids| ids.split(','))
                .map(str::to_owned)
                .collect(),
        })
    }
}

/// The keys of the row that holds the id.
fn keys_of_row() -> Keys {
    ("gate".to_owned(), "id".to_owned())
}

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

    /// The id to check rows with: the one that is kept, or else the one that a first start would keep.
    /// Nothing is written.
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
            by_current_key: columns.sealed_with() == Some(keys.current()),
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

/// Whether the key of a row was taken out of the list: then nothing that it sealed counts any more.
fn is_orphaned(columns: &Columns, keys: &LinkKeys) -> bool {
    columns.sealed_with().is_some_and(|kid| !keys.has(kid))
}

/// Without an id, rows of version 2 can be neither written nor checked.
fn unknown() -> StoreError {
    let why = "no gate id is kept with this table: set HO_GATE_ID";
    StoreError::Unavailable(why.to_owned())
}

/// The table `standing…`: sealed rows that are no requests. So far the gate's id.
impl Backend {
    /// Creates the table if it is missed. Nothing that only reads does.
    async fn prepare_standing(&self) -> Result<(), StoreError> {
        match self {
            Self::Embedded(_) => Ok(()),
            Self::Tables(tables) => tables.prepare_standing().await,
        }
    }

    async fn get_standing(&self, keys: &Keys) -> Result<Option<(Columns, ETag)>, StoreError> {
        match self {
            Self::Embedded(embedded) => embedded.get_standing(keys),
            Self::Tables(tables) => tables.get_standing(keys).await,
        }
    }

    /// Replaces the row that was read at this version, or inserts one where there was none.
    async fn put_standing(
        &self,
        keys: Keys,
        columns: Columns,
        etag: Option<ETag>,
    ) -> Result<(), StoreError> {
        match self {
            Self::Embedded(embedded) => embedded.put_standing(keys, columns, etag).await,
            Self::Tables(tables) => tables.put_standing(&keys, &columns, etag).await,
        }
    }
}
