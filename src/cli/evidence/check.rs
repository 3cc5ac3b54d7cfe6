//! Checks a folder of evidence against its manifest.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, bail};
use human_oversight::reveal;
use human_oversight::values::Timestamp;
use human_oversight_protocol::manifest;
use human_oversight_protocol::types::KeySet;

use super::folder::MANIFEST;
use crate::cli::digest::sha256;
use crate::cli::output::show;

/// The largest manifest, in bytes.
const MOST_BYTES: u64 = 1024 * 1024;
/// The longest name of a file that is shown.
const NAME_CHARS: usize = 200;

/// Prints each file that is not as it was signed, and what the folder is of.
///
/// # Errors
/// When the manifest is missing or is not signed with one of the keys, or a file cannot be read.
pub(super) fn run(dir: &Path, keys: &KeySet) -> anyhow::Result<ExitCode> {
    let path = dir.join(MANIFEST);
    let cannot = || format!("{} cannot be read", path.display());
    let mut text = String::new();
    let file = File::open(&path).with_context(cannot)?;
    let length = file.take(MOST_BYTES + 1).read_to_string(&mut text);
    if length.with_context(cannot)? as u64 > MOST_BYTES {
        bail!("{} is longer than {MOST_BYTES} bytes", path.display());
    }
    let signed = manifest::verify(&text, keys)
        .with_context(|| format!("{} proves nothing", path.display()))?;
    let mut found = BTreeSet::new();
    list(dir, "", &mut found)?;
    let mut faults = 0_u64;
    let mut report = |name: &str, what: &str| {
        faults += 1;
        show(&format!("{}: {what}", reveal::line(name, NAME_CHARS)));
    };
    for (name, expected) in &signed.files {
        if !found.remove(name) {
            report(name, "missing");
        } else {
            let path = dir.join(name);
            let sum =
                sha256(&path).with_context(|| format!("{} cannot be read", path.display()))?;
            if sum != *expected {
                report(name, "changed");
            }
        }
    }
    for name in found.iter().filter(|name| *name != MANIFEST) {
        report(name, "added");
    }
    let (since, until, count) = (&signed.since, &signed.until, signed.files.len());
    show(&format!(
        "{count} files of requests from {since} to {until} are signed; {faults} are not as they were."
    ));
    let (iat, until) = (
        Timestamp::from_unix_millis(signed.iat.saturating_mul(1_000)),
        Timestamp::parse(until),
    );
    if let Some(iat) = iat.filter(|iat| until.is_some_and(|until| *iat < until)) {
        show(&not_ended(iat));
    }
    Ok(ExitCode::from(u8::from(faults > 0)))
}

/// What is said of a folder that was written at this time, before the end of the time that it is of.
pub(super) fn not_ended(at: Timestamp) -> String {
    format!(
        "It was written at {at}, before the end of that time: what was submitted later is missing."
    )
}

/// The names of all files below a folder. A link is its own name, and never followed: none is signed.
fn list(dir: &Path, prefix: &str, names: &mut BTreeSet<String>) -> anyhow::Result<()> {
    let cannot = || format!("{} cannot be read", dir.display());
    for entry in std::fs::read_dir(dir).with_context(cannot)? {
        let entry = entry.with_context(cannot)?;
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        let kind = entry.file_type().with_context(cannot)?;
        if kind.is_dir() {
            list(&entry.path(), &format!("{name}/"), names)?;
        } else if kind.is_file() {
            names.insert(name);
        } else {
            names.insert(format!("{name} (a link)"));
        }
    }
    Ok(())
}
