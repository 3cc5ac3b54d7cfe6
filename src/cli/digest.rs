//! Digests of files.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use human_oversight_protocol::parameters::hex;
use ring::digest::{self, SHA256};

/// The SHA-256 of a file, which need not fit in memory.
pub(super) fn sha256(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let mut digest = digest::Context::new(&SHA256);
    let mut bytes = vec![0; 64 * 1024];
    loop {
        match file.read(&mut bytes)? {
            0 => return Ok(hex(digest.finish().as_ref())),
            count => digest.update(&bytes[..count]),
        }
    }
}
