//! Files and folders that only their owner can read: the keys, requests and emails of local development,
//! and backups. Existing ones keep their permissions.

use std::fs::{DirBuilder, File, Metadata, OpenOptions};
use std::io;
use std::path::Path;

use uuid::Uuid;

/// Creates a folder and its missing parents, if it does not exist.
///
/// # Errors
/// When it cannot be created.
pub fn create_folder(path: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.recursive(true).create(path)
}

/// Creates a folder that does not exist, in one that does.
///
/// # Errors
/// When it cannot be created, or exists.
pub fn create_new_folder(path: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

/// Tries whether files can be made in a folder, or in the nearest one above it if it does not exist. Leaves nothing behind.
///
/// # Errors
/// When they cannot.
pub fn try_folder(path: &Path) -> io::Result<()> {
    let mut existing = path.ancestors();
    let existing = existing.find(|it| it.symlink_metadata().is_ok());
    // A relative path is in the current folder.
    let existing = existing.unwrap_or_else(|| Path::new("."));
    let file = existing.join(format!(".human-oversight-{}", Uuid::now_v7()));
    options().create_new(true).open(&file)?;
    std::fs::remove_file(&file)
}

/// Options that write a file, and with which a new one is private.
pub fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.write(true);
    options
}

/// A file without a name, in the folder for temporary files, to be written and read again. It is gone once it is closed.
///
/// # Errors
/// When it cannot be created, or keeps its name.
pub fn unnamed() -> io::Result<File> {
    let name = format!("human-oversight-{}", Uuid::now_v7());
    let path = std::env::temp_dir().join(name);
    let file = options().read(true).create_new(true).open(&path)?;
    std::fs::remove_file(&path)?;
    Ok(file)
}

/// Whether only the owner has access. On other systems than Unix that is not known.
pub fn is_private(file: &Metadata) -> bool {
    #[cfg(unix)]
    {
        std::os::unix::fs::PermissionsExt::mode(&file.permissions()) & 0o077 == 0
    }
    #[cfg(not(unix))]
    {
        let _ = file;
        true
    }
}
