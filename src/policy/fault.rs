//! Faults and warnings, each with its line.

use std::fmt;

/// Why a policy cannot be used, or what is likely a mistake in it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fault {
    /// The line in the file, from 1.
    pub line: usize,
    /// What is wrong; it names no person.
    pub message: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.message)
    }
}
