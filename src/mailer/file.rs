//! Writes emails as `.eml` files into a folder, the inbox of local development.

use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use super::email::MailError;
use crate::private_files;

pub(super) struct Folder(PathBuf);

impl Folder {
    /// The folder is created with the first email.
    ///
    /// # Errors
    /// Why no email could be written there.
    pub(super) fn new(dir: &Path) -> Result<Self, String> {
        match private_files::try_folder(dir) {
            Ok(()) => Ok(Self(dir.to_owned())),
            Err(error) => Err(format!(
                "the folder {} cannot be written: {error}",
                dir.display()
            )),
        }
    }

    /// Writes under a temporary name first, so that no reader sees half an email; a later attempt replaces
    /// the file. Not synced to disk. Blocking on purpose: cheaper than `spawn_blocking`.
    pub(super) fn write(&self, name: &str, message: &[u8]) -> Result<(), MailError> {
        let path = self.0.join(format!("{name}.eml"));
        let partial = self.0.join(format!("{name}.part"));
        let open = || {
            let mut options = private_files::options();
            options.create(true).truncate(true).open(&partial)
        };
        let opened = match open() {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                private_files::create_folder(&self.0).and_then(|()| open())
            }
            opened => opened,
        };
        opened
            .and_then(|mut file| file.write_all(message))
            .and_then(|()| std::fs::rename(&partial, &path))
            .map_err(|error| MailError::Unavailable(error.to_string(), None))
    }
}
