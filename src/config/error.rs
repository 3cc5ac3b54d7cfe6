//! Errors in the settings.

use crate::keys::KeyError;

/// Why the gate does not start: one line that names the setting and never contains its value.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    #[error("{name} is not set: {why}")]
    Missing {
        name: &'static str,
        why: &'static str,
    },
    #[error("{name} cannot be used: {why}")]
    Unusable { name: &'static str, why: String },
    #[error("{name} cannot be used: {error}")]
    Keys { name: &'static str, error: KeyError },
}
