//! Which file is open: a folder can be deleted or replaced under a gate, which would go on with a file that no one finds
//! again.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A file, whatever its name: its device and its number there; `None` where the system has no such numbers.
type FileId = Option<(u64, u64)>;

/// The file that this process has opened. Locked while one is opened: SQLite refuses one of two connections that make a
/// new file a WAL at the same time, without a wait.
#[derive(Clone, Default)]
pub(super) struct OpenFile(Arc<Mutex<State>>);

#[derive(Default)]
pub(super) struct State {
    id: Option<FileId>,
    is_gone: bool,
}

impl OpenFile {
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Whether the file at the path is the one that was opened, or none was yet. That it is not is logged once.
    pub(super) fn is_at(&mut self, path: &Path) -> bool {
        let is_gone = self.id.is_some_and(|id| id_at(path) != Some(id));
        if is_gone && !self.is_gone {
            tracing::error!("the file of the store is gone: it was deleted or replaced");
        }
        self.is_gone = is_gone;
        !is_gone
    }

    /// Remembers the file at the path, which is open.
    pub(super) fn opened(&mut self, path: &Path) {
        self.id = self.id.or_else(|| id_at(path));
    }
}

/// `None` if there is no file.
fn id_at(path: &Path) -> Option<FileId> {
    let metadata = std::fs::metadata(path).ok()?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        Some(Some((metadata.dev(), metadata.ino())))
    }
    #[cfg(not(unix))]
    {
        drop(metadata);
        Some(None)
    }
}
