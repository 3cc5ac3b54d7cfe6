//! Errors in the settings.

use std::fmt;

use crate::keys::KeyError;
use crate::policy::Fault;

/// What is wrong with a setting: one line that names it and its rule, and never contains its value.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    #[error("{name} is not set: {why}")]
    Missing {
        name: &'static str,
        why: &'static str,
    },
    #[error("{name} cannot be used: {why}")]
    Unusable { name: &'static str, why: String },
    #[error("{name} cannot be used: its value is not UTF-8")]
    NotText { name: String },
    /// The value is a reference to the vault, because the platform could not read the secret, or this program does
    /// not run there.
    #[error(
        "{name} cannot be used: the Key Vault reference was not resolved: check the name of the vault, the name of the secret, and the app's access to it"
    )]
    Unresolved { name: String },
    #[error("{name} cannot be used: {error}")]
    Keys { name: &'static str, error: KeyError },
    #[error("{name} cannot be used: {}{fault}", in_file(file))]
    Policy {
        name: &'static str,
        /// The policy file, if the text is not in the setting.
        file: Option<String>,
        fault: Fault,
    },
    #[error("{name} cannot be used: {why} (channel `{channel}`, line {line} of the policy)")]
    Channel {
        name: String,
        channel: String,
        /// The line of the policy that names the setting.
        line: usize,
        why: String,
    },
}

impl ConfigError {
    /// The name of the setting.
    pub fn name(&self) -> &str {
        match self {
            Self::Channel { name, .. } | Self::NotText { name } | Self::Unresolved { name } => name,
            Self::Missing { name, .. }
            | Self::Unusable { name, .. }
            | Self::Keys { name, .. }
            | Self::Policy { name, .. } => name,
        }
    }
}

fn in_file(file: &Option<String>) -> String {
    file.as_ref()
        .map_or_else(String::new, |file| format!("{file}, "))
}

/// Why the gate does not start: the first error of each setting, and all faults of a policy, in one line each.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct ConfigErrors(Vec<ConfigError>);

impl ConfigErrors {
    pub fn iter(&self) -> impl Iterator<Item = &ConfigError> {
        self.0.iter()
    }

    pub(super) fn push(&mut self, error: ConfigError) {
        if !self.contains(error.name()) {
            self.0.push(error);
        }
    }

    /// Records several errors of one setting.
    pub(super) fn push_all(&mut self, errors: impl IntoIterator<Item = ConfigError>) {
        self.0.extend(errors);
    }

    /// Records the only error of a setting, in place of those that it has.
    pub(super) fn replace(&mut self, error: ConfigError) {
        let of_setting = |it: &ConfigError| it.name() == error.name();
        let at = self.0.iter().position(of_setting);
        self.0.retain(|it| !of_setting(it));
        self.0.insert(at.unwrap_or(self.0.len()), error);
    }

    /// Whether the setting of this name has an error.
    pub(super) fn contains(&self, name: &str) -> bool {
        self.iter().any(|error| error.name() == name)
    }

    /// The value; without one, the error is recorded.
    pub(super) fn keep<T>(&mut self, read: Result<T, ConfigError>) -> Option<T> {
        read.map_err(|error| self.push(error)).ok()
    }

    /// The value; without one, the error is recorded, and a placeholder goes on in its place until
    /// [`ConfigErrors::finish`].
    pub(super) fn or<T>(&mut self, read: Result<T, ConfigError>, placeholder: T) -> T {
        self.keep(read).unwrap_or(placeholder)
    }

    /// The settings, if no error was recorded.
    pub(super) fn finish<T>(self, settings: T) -> Result<T, Self> {
        if self.0.is_empty() {
            Ok(settings)
        } else {
            Err(self)
        }
    }
}

impl IntoIterator for ConfigErrors {
    type Item = ConfigError;
    type IntoIter = std::vec::IntoIter<ConfigError>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.iter().enumerate() {
            let separator = if index == 0 { "" } else { "\n" };
            write!(f, "{separator}{error}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigErrors {}
