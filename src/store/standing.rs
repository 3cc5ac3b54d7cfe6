//! The rows of the table `standing…`: facts that outlive one request. They are sealed as rows of version 2,
//! whatever `HO_ROWS` says.

use std::collections::BTreeMap;

use serde_json::Value;

use super::error::StoreError;
use super::handle::Store;
use super::row::{self, Columns, Keys, Scope};
use super::versioned::ETag;
use crate::values::Timestamp;
use crate::values::word::words;

words! {
    /// What a row of the standing table is about; its partition.
    pub enum StandingKind {
        /// A pause of claims and submits.
        Pause = "pause",
        /// What an owner's budgets have left.
        Budget = "budget",
        /// A rejection, for a request that asks the same again.
        Rejection = "rejection",
        /// How often a rule of the policy has approved for an owner.
        Limit = "limit",
        /// What the last sweep of any instance found.
        Sweep = "sweep",
        /// The standing grants for what reads the same.
        Grant = "grant",
        /// The wrong codes that were entered with a person's links.
        Code = "code",
        /// A channel that is switched off.
        Channel = "channel",
        /// Which request the emails are about that delivery reports name.
        Delivery = "delivery",
        /// What channels get of pauses.
        PauseLog = "pause-log",
    }
}

/// A row of the standing table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StandingRow {
    pub kind: StandingKind,
    /// Unique within the kind; any text, but at most 512 characters once encoded as a key.
    pub name: String,
    /// The columns by name. Those of the store itself are not among them.
    pub columns: BTreeMap<String, String>,
    /// `None` if it was not stored yet.
    version: Option<Version>,
}

/// The version that a row was read or written at.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Version {
    etag: ETag,
    revision: u32,
    written_at: Timestamp,
}

/// The columns that each of these rows has besides its own.
const WRITTEN: &str = "WrittenTimestamp";
const COMMON: [&str; 6] = [
    "PartitionKey",
    "RowKey",
    "OperationId",
    "Revision",
    "RowSeal",
    WRITTEN,
];

/// The longest row key, in characters: half of the service's 1 KiB.
const ROW_KEY_CHARS: usize = 512;

impl StandingKind {
    /// Whether its rows are counts, without which less is held back for a time. Such a count begins anew once its key
    /// is gone; who can write the table could also delete it.
    fn is_count(self) -> bool {
        matches!(self, Self::Budget | Self::Code)
    }
}

impl StandingRow {
    /// A row that is not stored yet.
    pub fn new(kind: StandingKind, name: &str, columns: BTreeMap<String, String>) -> Self {
        Self {
            kind,
            name: name.to_owned(),
            columns,
            version: None,
        }
    }

    /// The time of its last write, as the writer's clock had it.
    pub fn written_at(&self) -> Option<Timestamp> {
        self.version.as_ref().map(|version| version.written_at)
    }
}

impl Store {
    /// Reads a row of the standing table; `None` if there is none. The table must exist. A count whose key is not
    /// among the link keys any more is a row without columns.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] if its seal or its form is not that of a row of this gate, or the store's own.
    pub async fn standing(
        &self,
        kind: StandingKind,
        name: &str,
    ) -> Result<Option<StandingRow>, StoreError> {
        let keys = keys_of(kind, name)?;
        match self.find_standing(kind, name).await? {
            None => Ok(None),
            Some((columns, etag)) => {
                let row = self.read_standing(kind, &keys, columns, etag);
                row.await.map(Some)
            }
        }
    }

    /// Reads all rows of a kind, in the order of their keys. The table must exist.
    ///
    /// # Errors
    /// As [`Store::standing`], for any of them.
    pub async fn standing_of(&self, kind: StandingKind) -> Result<Vec<StandingRow>, StoreError> {
        let rows = self.standing_rows_of(kind).await?;
        rows.into_iter().collect()
    }

    /// The same, with the error of each row that cannot be trusted.
    ///
    /// # Errors
    /// The store's own.
    pub async fn standing_rows_of(
        &self,
        kind: StandingKind,
    ) -> Result<Vec<Result<StandingRow, StoreError>>, StoreError> {
        let (mut rows, mut place) = (Vec::new(), None);
        loop {
            let listed = self.backend.list_standing_of(kind.word(), place).await;
            let (page, next) = self.noting_loss(listed)?;
            for raw in page {
                let row = self.read_standing(kind, &raw.keys, raw.columns, raw.etag);
                rows.push(row.await);
            }
            // Of many rows, so that others get their turn.
            tokio::task::yield_now().await;
            place = next;
            if place.is_none() {
                return Ok(rows);
            }
        }
    }

    /// Inserts a new row, or replaces the one that was read, if it is unchanged. Returns it as stored.
    ///
    /// # Errors
    /// [`StoreError::AlreadyExists`] for a new row, [`StoreError::Conflict`] for one that was read, or the
    /// store's own.
    pub async fn put_standing(
        &self,
        row: StandingRow,
        now: Timestamp,
    ) -> Result<StandingRow, StoreError> {
        let keys = keys_of(row.kind, &row.name)?;
        check_size(&row)?;
        let (etag, revision) = match &row.version {
            None => (None, 0),
            Some(version) => (Some(version.etag.clone()), version.revision),
        };
        let revision = revision.saturating_add(1);
        let gate = self.gate_id_to_write().await?;
        let scope = Scope {
            gate: &gate.id,
            table: &self.standing,
        };
        let columns = encode(&keys, &row, now).seal(revision, scope, self.link_keys()?);
        let etag = self.backend.put_standing(keys, columns, etag).await?;
        let version = Version {
            etag,
            revision,
            written_at: now,
        };
        Ok(StandingRow {
            version: Some(version),
            ..row
        })
    }

    /// Deletes a row, if it is unchanged since it was read.
    ///
    /// # Errors
    /// [`StoreError::Conflict`], also for a row that was not read, or the store's own.
    pub async fn delete_standing(&self, row: &StandingRow) -> Result<(), StoreError> {
        let version = row.version.as_ref().ok_or(StoreError::Conflict)?;
        let keys = keys_of(row.kind, &row.name)?;
        self.backend.delete_standing(&keys, &version.etag).await
    }

    /// Writes a row in place of whatever is stored under its name, also of what cannot be trusted.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] if another write came in between, or the store's own.
    pub async fn overwrite_standing(
        &self,
        row: StandingRow,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let found = self.find_standing(row.kind, &row.name).await?;
        let version = found.map(|(columns, etag)| Version {
            etag,
            revision: columns.revision().unwrap_or(0),
            written_at: now,
        });
        let stored = self.put_standing(StandingRow { version, ..row }, now).await;
        stored.map(drop).map_err(|error| match error {
            StoreError::AlreadyExists => StoreError::Conflict,
            error => error,
        })
    }

    /// Deletes what is stored under a name, also what cannot be trusted. Returns whether there was a row.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] if another write came in between, or the store's own.
    pub async fn remove_standing(
        &self,
        kind: StandingKind,
        name: &str,
    ) -> Result<bool, StoreError> {
        let Some((_, etag)) = self.find_standing(kind, name).await? else {
            return Ok(false);
        };
        let keys = keys_of(kind, name)?;
        self.backend.delete_standing(&keys, &etag).await?;
        Ok(true)
    }

    async fn find_standing(
        &self,
        kind: StandingKind,
        name: &str,
    ) -> Result<Option<(Columns, ETag)>, StoreError> {
        let found = self.backend.get_standing(&keys_of(kind, name)?).await;
        self.noting_loss(found)
    }

    /// Verifies and decodes a row. A count whose key is gone has no columns.
    async fn read_standing(
        &self,
        kind: StandingKind,
        keys: &Keys,
        columns: Columns,
        etag: ETag,
    ) -> Result<StandingRow, StoreError> {
        if kind.is_count() && columns.is_orphaned(self.link_keys()?) {
            let mut row = decode(kind, keys, &columns, etag)?;
            row.columns.clear();
            return Ok(row);
        }
        self.verify_standing(kind, keys, columns, etag).await
    }

    /// Verifies the seal of a row and decodes it.
    pub(super) async fn verify_standing(
        &self,
        kind: StandingKind,
        keys: &Keys,
        columns: Columns,
        etag: ETag,
    ) -> Result<StandingRow, StoreError> {
        let link_keys = self.link_keys()?;
        let gate = self.gate_id_to_read().await?;
        columns.check(gate.all(), &self.standing, link_keys)?;
        decode(kind, keys, &columns, etag)
    }
}

fn keys_of(kind: StandingKind, name: &str) -> Result<Keys, StoreError> {
    let key = row::encode_key(name);
    if key.len() > ROW_KEY_CHARS {
        return Err(StoreError::TooLarge {
            column: "RowKey",
            size: key.len(),
            limit: ROW_KEY_CHARS,
        });
    }
    Ok((kind.word().to_owned(), key))
}

/// Holds every store to the limit of Azure Tables.
fn check_size(row: &StandingRow) -> Result<(), StoreError> {
    let sizes = row.columns.values().map(|text| text.encode_utf16().count());
    match sizes.max() {
        Some(size) if size > row::COLUMN_LIMIT => Err(StoreError::TooLarge {
            column: row.kind.word(),
            size,
            limit: row::COLUMN_LIMIT,
        }),
        _ => Ok(()),
    }
}

fn encode((partition, key): &Keys, row: &StandingRow, now: Timestamp) -> Columns {
    let mut columns = Columns::default();
    for (name, text) in &row.columns {
        columns.set(name, text);
    }
    columns.set("PartitionKey", partition);
    columns.set("RowKey", key);
    columns.set("OperationId", &row::operation_id());
    columns.set(WRITTEN, &now.to_string());
    columns
}

fn decode(
    kind: StandingKind,
    keys: &Keys,
    columns: &Columns,
    etag: ETag,
) -> Result<StandingRow, StoreError> {
    let (row, written_at) = decode_copy(kind, keys, columns)?;
    let version = Version {
        etag,
        revision: columns.revision()?,
        written_at,
    };
    Ok(StandingRow {
        version: Some(version),
        ..row
    })
}

/// The row as if it were not stored, and the time of its last write.
pub(super) fn decode_copy(
    kind: StandingKind,
    keys: &Keys,
    columns: &Columns,
) -> Result<(StandingRow, Timestamp), StoreError> {
    columns.check_keys(keys)?;
    let name = row::decode_key(&keys.1).ok_or_else(|| StoreError::damaged("RowKey"))?;
    let own = columns.0.iter();
    let own = own.filter(|(name, _)| !COMMON.contains(&name.as_str()));
    let own = own.map(|(name, value)| match value {
        Value::String(text) => Ok((name.clone(), text.clone())),
        _ => Err(StoreError::damaged(name)),
    });
    let written_at = columns.text(WRITTEN).and_then(Timestamp::parse);
    Ok((
        StandingRow::new(kind, &name, own.collect::<Result<_, _>>()?),
        written_at.ok_or_else(|| StoreError::damaged(WRITTEN))?,
    ))
}
