//! An index entry that is written before it is known whether a row will name it, so that no caller waits for it.

use super::entry::IndexEntry;
use super::tables::Tables;
use std::sync::Arc;

/// The entry of a coming decision. It is removed when this is dropped, unless a write takes it over. One that a
/// crash leaves behind is orphaned.
pub struct Announcement {
    pub(super) entry: IndexEntry,
    tables: Arc<Tables>,
    is_taken_over: bool,
}

impl Announcement {
    /// Of an entry that is being written.
    pub(super) fn new(tables: Arc<Tables>, entry: IndexEntry) -> Self {
        Self {
            entry,
            tables,
            is_taken_over: false,
        }
    }

    /// Leaves the entry to a write, which removes it if it fails.
    pub(super) fn take_over(mut self) {
        self.is_taken_over = true;
    }
}

impl Drop for Announcement {
    fn drop(&mut self) {
        if !self.is_taken_over {
            self.tables.begin_removal(&self.entry);
        }
    }
}
