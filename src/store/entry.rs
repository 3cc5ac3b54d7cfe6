//! An entry of the due index.

use std::collections::BTreeSet;

use crate::keys::LinkKeys;
use crate::values::{Address, Timestamp};

/// The entry that a row names in the due index, where that is a table of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct IndexEntry {
    pub(super) due: Timestamp,
    pub(super) key: String,
    pub(super) people: Option<People>,
}

/// An entry as the sweep read it from the index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SeenEntry {
    pub(super) key: String,
    pub(super) written_at: Timestamp,
}

/// The hashes of the people whom a pending request may ask, now or later; of none once it is decided. An entry
/// without them, such as one of an earlier gate, may be about anyone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct People(BTreeSet<String>);

impl People {
    /// The most hashes of an entry. A request of more people has an entry without any.
    const MOST: usize = 20;

    pub(super) fn none() -> Self {
        Self(BTreeSet::new())
    }

    pub(super) fn of<'a>(
        addresses: impl IntoIterator<Item = &'a Address>,
        keys: &LinkKeys,
    ) -> Option<Self> {
        let addresses = addresses.into_iter();
        let hashes: BTreeSet<String> = addresses.map(|it| keys.person_hash(it)).collect();
        (hashes.len() <= Self::MOST).then_some(Self(hashes))
    }

    /// From the column of an entry.
    pub(super) fn parse(column: &str) -> Self {
        Self(column.split_whitespace().map(str::to_owned).collect())
    }

    /// The column of an entry.
    pub(super) fn column(&self) -> String {
        let hashes: Vec<&str> = self.0.iter().map(String::as_str).collect();
        hashes.join(" ")
    }

    /// Whether one of these hashes is among them.
    pub(super) fn has_any(&self, hashes: &BTreeSet<String>) -> bool {
        !self.0.is_disjoint(hashes)
    }
}
