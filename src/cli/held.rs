//! Output that a reader gets whole, or not at all.

use std::fs::File;
use std::io::{BufWriter, Seek, Write, stdout};

use anyhow::Context;
use human_oversight::private_files;

/// Lines that are printed at the end. Until then they are in a file without a name: there may be more of them than fits
/// in memory.
pub(crate) struct HeldOutput(BufWriter<File>);

impl HeldOutput {
    /// # Errors
    /// When there is no folder for temporary files.
    pub(crate) fn new() -> anyhow::Result<Self> {
        let file = private_files::unnamed().context("no temporary file can be made")?;
        Ok(Self(BufWriter::new(file)))
    }

    /// # Errors
    /// When the file cannot be written.
    pub(crate) fn line(&mut self, line: &str) -> anyhow::Result<()> {
        Ok(writeln!(self.0, "{line}")?)
    }

    /// # Errors
    /// When the file cannot be read, or the lines cannot be printed.
    pub(crate) fn print(self) -> anyhow::Result<()> {
        let mut file = self.0.into_inner().map_err(|error| error.into_error())?;
        file.rewind()?;
        std::io::copy(&mut file, &mut stdout().lock())?;
        Ok(())
    }
}
