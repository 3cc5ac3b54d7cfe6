//! The gate's id, which the row MAC of version 2 covers. It is stored in a sealed row of the table
//! `standing…`, so that a new base address invalidates no row.

use super::error::StoreError;
use super::row::{self, Columns, Keys};

/// How rows are written.
#[derive(Clone, Debug)]
pub struct RowSettings {
    /// `HO_ROWS`.
    pub version: RowVersion,
    /// `HO_GATE_ID`, if it is set.
    pub gate_id: Option<GateIdSetting>,
    /// The id for the first start of a gate without `HO_GATE_ID`; `None` outside the gate itself.
    pub default_gate_id: Option<String>,
    /// Who opens the store.
    pub opened_by: OpenedBy,
}

/// Who opens the store: the keys of a gate are right by definition, those of a command may be another gate's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenedBy {
    /// The gate, which replaces its id and seals it anew; in the place of a lost one, only while `HO_PAUSED` pauses
    /// everything.
    Gate { is_paused: bool },
    /// A command, which leaves a stored id as it is.
    Command,
}

/// The version of the rows that are written. Both are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowVersion {
    /// Readable by gates up to 97a4bed.
    V1,
    /// With a row MAC over all columns, the gate and the table.
    V2,
}

/// `HO_GATE_ID`: the id, and a former one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GateIdSetting {
    /// The id.
    pub id: String,
    /// The stored id to be replaced, or one that was replaced before.
    pub replaces: Option<String>,
}

impl Default for RowSettings {
    /// Those of a gate in local development.
    fn default() -> Self {
        Self {
            version: RowVersion::V2,
            gate_id: None,
            default_gate_id: Some("local".to_owned()),
            opened_by: OpenedBy::Gate { is_paused: false },
        }
    }
}

/// Between ids, which have none.
pub(super) const SEPARATOR: &str = ",";

/// The id of a gate, and its former ids.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct GateId {
    pub(super) id: String,
    /// Rows sealed for a former id are read, and sealed for `id` at their next write.
    former: Vec<String>,
}

impl GateId {
    pub(super) fn new(id: &str) -> Self {
        Self {
            id: id.to_owned(),
            former: Vec::new(),
        }
    }

    /// Whether the settings give this id, or name it as the one to be replaced.
    pub(super) fn is_set_in(&self, settings: &RowSettings) -> bool {
        let id = Some(self.id.as_str());
        match &settings.gate_id {
            Some(setting) => id == Some(&setting.id) || id == setting.replaces.as_deref(),
            None => id == settings.default_gate_id.as_deref(),
        }
    }

    /// All ids whose rows are valid, the current one first.
    pub(super) fn all(&self) -> impl Iterator<Item = &str> {
        std::iter::once(&self.id)
            .chain(&self.former)
            .map(String::as_str)
    }

    pub(super) fn has(&self, id: &str) -> bool {
        self.all().any(|one| one == id)
    }

    /// How a copied row names them that may be sealed for any of them.
    pub(super) fn names(&self) -> String {
        self.all().collect::<Vec<_>>().join(SEPARATOR)
    }

    /// The id to store, given the stored one; `None` if no setting has one.
    pub(super) fn next(
        kept: Option<&Self>,
        settings: &RowSettings,
    ) -> Result<Option<Self>, StoreError> {
        let Some(setting) = &settings.gate_id else {
            let default = || settings.default_gate_id.as_deref().map(Self::new);
            return Ok(kept.cloned().or_else(default));
        };
        let replaced = setting.replaces.as_deref();
        let mut next = Self::new(&setting.id);
        if let Some(kept) = kept {
            if kept.id != setting.id && replaced != Some(&kept.id) {
                return Err(StoreError::GateId {
                    set: setting.id.clone(),
                    kept: kept.id.clone(),
                });
            }
            let former = kept.all().filter(|id| *id != setting.id);
            next.former.extend(former.map(str::to_owned));
        }
        // Where the stored id was lost, it is not among those.
        if let Some(replaced) = replaced.filter(|id| !next.has(id)) {
            next.former.push(replaced.to_owned());
        }
        Ok(Some(next))
    }

    pub(super) fn encode(&self) -> Columns {
        let mut columns = Columns::default();
        let (partition_key, row_key) = keys_of_row();
        columns.set("PartitionKey", &partition_key);
        columns.set("RowKey", &row_key);
        columns.set("GateId", &self.id);
        if !self.former.is_empty() {
            columns.set("FormerGateIds", &self.former.join(SEPARATOR));
        }
        columns.set("OperationId", &row::operation_id());
        columns
    }

    pub(super) fn decode(columns: &Columns) -> Result<Self, StoreError> {
        let id = columns.text("GateId");
        let former = columns.text("FormerGateIds").into_iter();
        Ok(Self {
            id: id.ok_or_else(|| StoreError::damaged("GateId"))?.to_owned(),
            former: former
                .flat_map(|ids| ids.split(SEPARATOR))
                .map(str::to_owned)
                .collect(),
        })
    }
}

/// The keys of the row that holds the id.
pub(super) fn keys_of_row() -> Keys {
    ("gate".to_owned(), "id".to_owned())
}
