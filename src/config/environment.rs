//! Settings whose values are no text.

use std::ffi::OsString;

use super::error::{ConfigError, ConfigErrors};

/// What the program reads of the environment besides its own settings.
const OF_PLATFORM: [&str; 5] = [
    "AZURE_CLIENT_ID",
    "FUNCTIONS_CUSTOMHANDLER_PORT",
    "IDENTITY_ENDPOINT",
    "WEBSITE_AUTH_ENABLED",
    "WEBSITE_INSTANCE_ID",
];

/// Refuses settings that are set and cannot be read: none of them counts as not set.
///
/// # Errors
/// All whose values are not UTF-8.
pub fn ensure_text(
    environment: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<(), ConfigErrors> {
    let mut errors = ConfigErrors::default();
    for (name, value) in environment {
        if let Ok(name) = name.into_string()
            && is_read(&name)
            && value.to_str().is_none()
        {
            errors.push(ConfigError::NotText { name });
        }
    }
    errors.finish(())
}

fn is_read(name: &str) -> bool {
    name.starts_with(super::known::PREFIX) || OF_PLATFORM.contains(&name)
}
