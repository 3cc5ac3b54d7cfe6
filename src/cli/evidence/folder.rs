//! A new folder that only its owner can read, with the SHA-256 of each file in it.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use human_oversight::private_files;
use human_oversight_protocol::parameters::hex;
use ring::digest::{self, SHA256};

/// The file with the signed list of all others.
pub(super) const MANIFEST: &str = "manifest.jws";

/// A folder that is being written.
pub(super) struct Folder {
    path: PathBuf,
    sums: BTreeMap<String, String>,
}

/// A file in it.
pub(super) struct NewFile {
    name: String,
    file: BufWriter<File>,
    digest: digest::Context,
}

impl Folder {
    /// # Errors
    /// When it exists, or cannot be created.
    pub(super) fn create(path: &Path) -> anyhow::Result<Self> {
        let cannot = || format!("{} cannot be made", path.display());
        if path.try_exists().with_context(cannot)? && !path.join(MANIFEST).exists() {
            bail!(
                "{}: it exists without a {MANIFEST}: name a new folder; if an earlier run was stopped there, delete \
                 what it left",
                cannot()
            );
        }
        private_files::create_new_folder(path).with_context(cannot)?;
        Ok(Self {
            path: path.to_owned(),
            sums: BTreeMap::new(),
        })
    }

    /// A file in the folder; a `/` in the name is that of a folder in it.
    pub(super) fn open(&self, name: &str) -> anyhow::Result<NewFile> {
        let path = self.path.join(name);
        let cannot = || format!("{} cannot be made", path.display());
        private_files::create_folder(path.parent().unwrap_or(&self.path)).with_context(cannot)?;
        let file = private_files::options().create_new(true).open(&path);
        Ok(NewFile {
            name: name.to_owned(),
            file: BufWriter::new(file.with_context(cannot)?),
            digest: digest::Context::new(&SHA256),
        })
    }

    /// Ends a file: it is on the disk.
    pub(super) fn close(&mut self, file: NewFile) -> anyhow::Result<()> {
        let written = file.file.into_inner().map_err(|error| error.into_error());
        written?.sync_all()?;
        let digest = file.digest.finish();
        self.sums.insert(file.name, hex(digest.as_ref()));
        Ok(())
    }

    pub(super) fn write(&mut self, name: &str, content: &[u8]) -> anyhow::Result<()> {
        let mut file = self.open(name)?;
        file.write_all(content)?;
        self.close(file)
    }

    /// The SHA-256 of each file by its name.
    pub(super) fn sums(&self) -> BTreeMap<String, String> {
        self.sums.clone()
    }

    /// Deletes the folder with what is in it, as far as that is possible.
    pub(super) fn discard(self) {
        let _ = std::fs::remove_dir_all(self.path);
    }
}

impl Write for NewFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.file.write(bytes)?;
        self.digest.update(&bytes[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}
