//! The file of a program, and whether the system can start it as far as its beginning tells: no person is asked about a
//! command that cannot run.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf, absolute};

use anyhow::{Context, bail};

/// What the system reads of a script's first line.
const FIRST_LINE: u64 = 256;

/// Finds the file of a program as shells do.
pub(super) fn find_program(name: &str) -> anyhow::Result<PathBuf> {
    let is_executable = |file: &PathBuf| {
        let metadata = file.metadata();
        metadata.is_ok_and(|it| it.is_file() && it.permissions().mode() & 0o111 != 0)
    };
    if name.contains('/') {
        let file = PathBuf::from(name);
        // Of another file, the digest says what is wrong.
        if file.is_file() && !is_executable(&file) {
            bail!("{name} is not executable");
        }
        return Ok(file);
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut files = std::env::split_paths(&path).map(|folder| folder.join(name));
    let found = files.find(is_executable);
    let found = found.with_context(|| format!("there is no program {name} in PATH"))?;
    Ok(absolute(found)?)
}

/// # Errors
/// If the file is a script whose interpreter is not there, or a text without one. Of other files, and of those that
/// cannot be read, only the start tells.
pub(super) fn ensure_startable(program: &Path) -> anyhow::Result<()> {
    let mut start = Vec::new();
    let file = File::open(program).map(|file| file.take(FIRST_LINE).read_to_end(&mut start));
    if !program.is_file() || !file.is_ok_and(|read| read.is_ok()) {
        return Ok(());
    }
    let shown = program.display();
    let first = start.split(|b| *b == b'\n').next().unwrap_or_default();
    let Some(line) = first.strip_prefix(b"#!") else {
        if start.contains(&0) || start.starts_with(b"\x7fELF") {
            return Ok(());
        }
        bail!("{shown} is neither a program nor a script: its first line must begin with #!");
    };
    let line = String::from_utf8_lossy(line);
    // As the system does: a carriage return belongs to the name.
    let mut words = line.split([' ', '\t']).filter(|word| !word.is_empty());
    let interpreter = words.next().unwrap_or_default();
    let is_env = Path::new(interpreter)
        .file_name()
        .is_some_and(|name| name == "env");
    // `env -S` takes it for a blank.
    let is_split = words
        .clone()
        .any(|word| word.starts_with('-') && word.contains('S'));
    let by_env = words
        .find(|word| is_env && !word.starts_with('-') && !word.contains('='))
        .map(|word| word.trim_end_matches(|c| is_split && c == '\r'));
    for name in [Some(interpreter), by_env].into_iter().flatten() {
        let found = find_program(name).is_ok_and(|file| file.is_file());
        if !found {
            let name = name.escape_debug();
            bail!("{shown} is a script for {name}, which cannot be found");
        }
    }
    Ok(())
}
