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

/// The people whom a pending request may ask, now or later; none once it is decided. They are hashed only when
/// the entry is written: most rows that are read are not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct People(BTreeSet<String>);

impl People {
    /// The most hashes of an entry. A request of more people has an entry without any.
    const MOST: usize = 20;

    pub(super) fn none() -> Self {
        Self(BTreeSet::new())
    }

    pub(super) fn of<'a>(addresses: impl IntoIterator<Item = &'a Address>) -> Option<Self> {
        let people: BTreeSet<String> = addresses.into_iter().map(Address::name).collect();
        (people.len() <= Self::MOST).then_some(Self(people))
    }

    /// The column of an entry: their hashes.
    pub(super) fn column(&self, keys: &LinkKeys) -> String {
        let hashes: BTreeSet<String> = self.0.iter().map(|it| keys.person_hash(it)).collect();
        let hashes: Vec<&str> = hashes.iter().map(String::as_str).collect();
        hashes.join(" ")
    }
}

/// Whether the column of an entry has one of these hashes. An entry without the column, such as one of an earlier
/// gate, may be about anyone.
pub(super) fn may_be_about(column: Option<&str>, hashes: &BTreeSet<String>) -> bool {
    column.is_none_or(|column| column.split_whitespace().any(|it| hashes.contains(it)))
}
