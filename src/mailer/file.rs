//! Mails as `.eml` files in a folder: the local inbox of development.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::email::MailError;

#[derive(Clone)]
pub(super) struct Folder(Arc<PathBuf>);

impl Folder {
    pub(super) fn new(dir: &Path) -> Self {
        Self(Arc::new(dir.to_owned()))
    }

    /// Under a temporary name first, so that nobody ever reads half a mail; a mail that is sent
    /// again takes the place of the first. A loss of power may take the last ones away. It is done at
    /// once: to hand so short a work to another thread takes longer.
    pub(super) fn put(&self, name: &str, mail: &[u8]) -> Result<(), MailError> {
        let path = self.0.join(format!("{name}.eml"));
        let partial = self.0.join(format!("{name}.part"));
        std::fs::create_dir_all(&*self.0)
            .and_then(|()| std::fs::write(&partial, mail))
            .and_then(|()| std::fs::rename(&partial, &path))
            .map_err(|error| MailError::Unavailable(error.to_string(), None))
    }
}
