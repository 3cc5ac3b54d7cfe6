//! The environment of the program.

use std::ffi::OsString;

/// The names of its variables.
pub(super) fn names() -> impl Iterator<Item = OsString> {
    std::env::vars_os().map(|(name, _)| name)
}

/// The value of one of them.
pub(super) fn value(name: &str) -> Option<String> {
    std::env::var(name).ok()
}
