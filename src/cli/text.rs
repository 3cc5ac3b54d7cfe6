//! Files of text that other programs wrote.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use anyhow::{Context, bail};

/// The content of a file in UTF-8.
///
/// # Errors
/// When it cannot be read, or is in UTF-16.
pub(crate) fn read(file: &Path) -> anyhow::Result<Vec<u8>> {
    let cannot = || format!("{} cannot be read", file.display());
    let bytes = std::fs::read(file).with_context(cannot)?;
    Ok(without_mark(&bytes).with_context(cannot)?.to_vec())
}

/// Reads a text in UTF-8, of any length.
///
/// # Errors
/// When it cannot be read, or is in UTF-16.
pub(crate) fn buffered<R: Read>(source: R) -> anyhow::Result<BufReader<R>> {
    let mut text = BufReader::new(source);
    let start = text.fill_buf()?;
    let mark = start.len() - without_mark(start)?.len();
    text.consume(mark);
    Ok(text)
}

/// A text without the byte order mark that PowerShell and Excel put before it.
fn without_mark(text: &[u8]) -> anyhow::Result<&[u8]> {
    if text.starts_with(b"\xff\xfe") || text.starts_with(b"\xfe\xff") {
        bail!("it is in UTF-16: save it in UTF-8");
    }
    Ok(text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text))
}
