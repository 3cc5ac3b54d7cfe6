//! The environment of the program.

use std::ffi::OsString;

/// The names of its variables.
pub(super) fn names() -> impl Iterator<Item = OsString> {
    std::env::vars_os().map(|(name, _)| name)
}
