//! Mails as `.eml` files in a folder: the local inbox of development.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::fs;
use tokio::io::AsyncWriteExt;

use super::MailError;

#[derive(Clone)]
pub(super) struct Folder(Arc<PathBuf>);

impl Folder {
    pub(super) fn new(dir: &Path) -> Self {
        Self(Arc::new(dir.to_owned()))
    }

    /// Under a temporary name first, so that nobody ever reads half a mail; a mail that is sent
    /// again takes the place of the first.
    pub(super) async fn put(&self, name: &str, mail: &[u8]) -> Result<(), MailError> {
        let path = self.0.join(format!("{name}.eml"));
        let partial = self.0.join(format!("{name}.part"));
        let written = async {
            fs::create_dir_all(&*self.0).await?;
            let mut file = fs::File::create(&partial).await?;
            file.write_all(mail).await?;
            // Without this an error of the last write would be lost.
            file.flush().await?;
            file.sync_all().await?;
            fs::rename(&partial, &path).await
        };
        written
            .await
            .map_err(|error| MailError::Unavailable(error.to_string(), None))
    }
}
