//! Mails as `.eml` files in a folder: the local inbox of development.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::MailError;

#[derive(Clone)]
pub(super) struct Folder(Arc<PathBuf>);

impl Folder {
    pub(super) fn new(dir: &Path) -> Self {
        Self(Arc::new(dir.to_owned()))
    }

    /// Under a temporary name first, so that nobody ever reads half a mail; a mail that is sent
    /// again takes the place of the first. A loss of power may take the last ones away.
    pub(super) async fn put(&self, name: &str, mail: &[u8]) -> Result<(), MailError> {
        let path = self.0.join(format!("{name}.eml"));
        let partial = self.0.join(format!("{name}.part"));
        let mail = mail.to_owned();
        let write = move || {
            std::fs::create_dir_all(partial.parent().unwrap_or(&partial))?;
            std::fs::write(&partial, &mail)?;
            std::fs::rename(&partial, &path)
        };
        let written = tokio::task::spawn_blocking(write).await;
        written
            .unwrap_or_else(|panic| Err(io::Error::other(panic)))
            .map_err(|error| MailError::Unavailable(error.to_string(), None))
    }
}
