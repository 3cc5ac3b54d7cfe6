//! Settings of the environment.

use crate::error::Error;

/// The trimmed value of a setting; an empty one counts as not set.
///
/// # Errors
/// When it is set to what is no text: nothing of it counts as not set.
pub(crate) fn setting(name: &str) -> Result<Option<String>, Error> {
    let Some(value) = std::env::var_os(name) else {
        return Ok(None);
    };
    let value = value
        .into_string()
        .map_err(|_| Error::Settings(format!("{name} is not UTF-8")))?;
    Ok(Some(value.trim().to_owned()).filter(|value| !value.is_empty()))
}
