//! The columns of a row of the table `standing…`.

use std::collections::BTreeMap;

use serde_json::Value;

use super::error::StoreError;
use super::row::{self, Columns, Keys};
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
    pub(super) version: Option<Version>,
}

/// The version that a row was read or written at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Version {
    pub(super) etag: ETag,
    pub(super) revision: u32,
    pub(super) written_at: Timestamp,
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

impl StandingKind {
    /// Whether its rows are counts, without which less is held back for a time. Such a count begins anew once its key
    /// is gone; who can write the table could also delete it.
    pub(super) fn is_count(self) -> bool {
        matches!(self, Self::Budget | Self::Code | Self::Limit)
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

/// Holds every store to the limit of Azure Tables.
pub(super) fn check_size(row: &StandingRow) -> Result<(), StoreError> {
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

pub(super) fn encode((partition, key): &Keys, row: &StandingRow, now: Timestamp) -> Columns {
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

pub(super) fn decode(
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
