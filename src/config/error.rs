//! What is wrong with a setting.

use crate::keys::KeyError;

/// Why the gate does not start: one line that names the setting.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// A setting that production needs.
    #[error("{name} is not set: {why}")]
    Missing {
        /// The setting.
        name: &'static str,
        /// What it is for.
        why: &'static str,
    },
    /// A setting whose value cannot be used.
    #[error("{name} cannot be used: {why}")]
    Unusable {
        /// The setting.
        name: &'static str,
        /// What is wrong with the value.
        why: String,
    },
    /// A setting that holds no usable keys.
    #[error("{name} cannot be used: {error}")]
    Keys {
        /// The setting.
        name: &'static str,
        /// What is wrong.
        error: KeyError,
    },
}
