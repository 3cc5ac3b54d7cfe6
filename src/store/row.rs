//! The row of an approval.
//!
//! Column names are those of the legacy Logic App where it had one. A row that contradicts itself does not
//! decode. The MAC of version 2 covers every stored column, whatever its name; that of version 1 a fixed
//! list (`v1`). Both decode from the same [`Columns`].

mod columns;
mod decode;
mod encode;
mod hand_overs;
mod key;
mod outbox;
mod plan;
pub(super) mod v1;
mod votes;

pub(super) use columns::{Columns, Format, Scope};
pub(super) use decode::{decode, unverified, unverified_columns};
pub(crate) use encode::COLUMN_LIMIT;
pub(super) use encode::encode;
pub(super) use key::{Keys, decode_key, encode_key, id, keys, operation_id};
pub(super) use outbox::{DeliveryEntry, delivery_entries};

use super::entry::IndexEntry;
use crate::values::Timestamp;

/// A sealed row, ready to be written.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) keys: Keys,
    pub(super) columns: Columns,
    pub(super) due: Option<Timestamp>,
    pub(super) entry: Option<IndexEntry>,
}
