//! What people approve and `ask` runs: a command, its working directory, and the contents of its files.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf, absolute};

use anyhow::{Context, anyhow, bail};
use serde::Serialize;
use tokio::process::{Child, Command};

use super::super::digest;
use super::program::{ensure_startable, find_program};

/// The parameters of the request.
#[derive(PartialEq, Serialize)]
pub(crate) struct CommandLine {
    command: Vec<String>,
    directory: String,
    /// The digests of the program's file and of those given by `--file`, by absolute path.
    sha256: BTreeMap<String, String>,
}

impl CommandLine {
    pub(crate) fn read(command: &[String], files: &[PathBuf]) -> anyhow::Result<Self> {
        let directory = std::env::current_dir().context("the working directory is unknown")?;
        let program = find_program(&command[0])?;
        ensure_startable(&program)?;
        let mut digests = BTreeMap::new();
        for file in files.iter().chain([&program]) {
            digests.insert(utf8(absolute(file)?)?, sha256(file)?);
        }
        Ok(Self {
            command: command.to_vec(),
            directory: utf8(directory)?,
            sha256: digests,
        })
    }

    /// Fails if what `read` returns now differs.
    pub(crate) fn ensure_unchanged(&self, files: &[PathBuf]) -> anyhow::Result<()> {
        let current = Self::read(&self.command, files)?;
        for (file, digest) in &self.sha256 {
            if current.sha256.get(file) != Some(digest) {
                bail!("{file} has changed");
            }
        }
        if current != *self {
            bail!("the working directory has changed");
        }
        Ok(())
    }

    /// Starts the command in the process group of `ask`, so that it receives the terminal's signals.
    pub(crate) fn start(&self) -> anyhow::Result<Child> {
        let mut command = Command::new(find_program(&self.command[0])?);
        command.arg0(&self.command[0]).args(&self.command[1..]);
        Ok(command.spawn()?)
    }
}

fn sha256(file: &Path) -> anyhow::Result<String> {
    let shown = file.display();
    let metadata = file.metadata();
    let metadata = metadata.with_context(|| format!("{shown} cannot be found"))?;
    // Reading a pipe or a device may never end.
    if !metadata.is_file() {
        bail!("{shown} is not a regular file");
    }
    digest::sha256(file).with_context(|| format!("{shown} cannot be read"))
}

/// A path as text. Another one could not be shown to approvers exactly.
fn utf8(path: PathBuf) -> anyhow::Result<String> {
    let text = path.into_os_string().into_string();
    text.map_err(|path| anyhow!("the path {} is not UTF-8", path.display()))
}
