//! The state of a rebuilding of the due index.

use tokio::sync::Mutex;

use crate::store::Cursor;

/// A rebuilding that is not finished.
#[derive(Default)]
pub struct IndexRebuild(pub(super) Mutex<Option<Progress>>);

pub(super) struct Progress {
    pub(super) cursor: Option<Cursor>,
    /// The number of entries written.
    pub(super) entries: usize,
    /// Whether sweeps had used the index before.
    pub(super) was_lost: bool,
}
