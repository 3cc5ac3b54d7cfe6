//! Settings whose values are references to the vault: the platform replaces them before the gate starts.

use std::cell::RefCell;

use super::error::{ConfigError, ConfigErrors};

/// Whether the value of a setting is a Key Vault reference that the platform has not replaced.
pub fn is_vault_reference(value: &str) -> bool {
    value.trim_start().starts_with("@Microsoft.KeyVault(")
}

/// The settings that were read and whose values are references.
#[derive(Default)]
pub(super) struct References(RefCell<Vec<String>>);

impl References {
    /// Reads settings through `lookup`, and notes those that are references.
    pub(super) fn noting(
        &self,
        lookup: impl Fn(&str) -> Option<String>,
    ) -> impl Fn(&str) -> Option<String> {
        move |name| {
            let value = lookup(name);
            let mut noted = self.0.borrow_mut();
            if value.as_deref().is_some_and(is_vault_reference)
                && !noted.iter().any(|it| it == name)
            {
                noted.push(name.to_owned());
            }
            value
        }
    }

    /// Says of each that it was not resolved, in place of what was found wrong with the text of the reference.
    pub(super) fn refuse(self, errors: &mut ConfigErrors) {
        for name in self.0.into_inner() {
            errors.replace(ConfigError::Unresolved { name });
        }
    }
}
