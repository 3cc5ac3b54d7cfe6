//! Reading one setting.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::error::{ConfigError, ConfigErrors};
use crate::azure::Principal;

/// The default folder of local development.
pub(super) const HOME: &str = ".oversight";

/// Reads an Azure resource from one of two settings: its endpoint (with access tokens) or its connection
/// string.
pub(super) fn resource<T>(
    get: &Lookup<'_>,
    [endpoint, connection_string]: [&'static str; 2],
    why: &'static str,
    from_endpoint: impl Fn(&str) -> Result<T, &'static str>,
    from_connection_string: impl Fn(&str) -> Result<T, &'static str>,
) -> Result<T, ConfigError> {
    for name in [endpoint, connection_string] {
        if get(name).is_some_and(|text| text.contains(['"', '\''])) {
            return Err(unusable(name, "it has a quote"));
        }
    }
    match (get(endpoint), get(connection_string)) {
        (Some(address), None) => from_endpoint(&address).map_err(|why| unusable(endpoint, why)),
        (None, Some(text)) => {
            from_connection_string(&text).map_err(|why| unusable(connection_string, why))
        }
        (None, None) => Err(ConfigError::Missing {
            name: endpoint,
            why,
        }),
        (Some(_), Some(_)) => Err(unusable(
            connection_string,
            &format!("{endpoint} is also set; set only one of them"),
        )),
    }
}

/// Azure sets `IDENTITY_ENDPOINT` for every program that has a managed identity.
pub(super) fn principal(get: &Lookup<'_>, production: bool) -> Principal {
    if production || get("IDENTITY_ENDPOINT").is_some() {
        Principal::ManagedIdentity(get("AZURE_CLIENT_ID"))
    } else {
        Principal::AzureCli
    }
}

/// The value of a setting, trimmed; an empty one counts as not set.
pub(super) fn non_empty(lookup: impl Fn(&str) -> Option<String>, name: &str) -> Option<String> {
    let value = lookup(name).map(|value| value.trim().to_owned());
    value.filter(|value| !value.is_empty())
}

/// The first entry of a list that cannot be used, with its number.
pub(super) fn first_unusable(
    list: &str,
    is_usable: impl Fn(&str) -> bool,
) -> Option<(usize, &str)> {
    let entries = list.split(',').map(str::trim).filter(|it| !it.is_empty());
    (1..).zip(entries).find(|(_, entry)| !is_usable(entry))
}

/// Whether a value is in quotes, which a shell takes away and a file of settings or a portal does not.
fn is_quoted(value: &str) -> bool {
    let value = value.trim();
    let in_quotes = |quote| value.len() > 1 && value.starts_with(quote) && value.ends_with(quote);
    in_quotes('"') || in_quotes('\'')
}

/// Says of each setting that cannot be used, and is in quotes, that they are the reason.
pub(super) fn explain_quotes(errors: &mut ConfigErrors, lookup: impl Fn(&str) -> Option<String>) {
    let of_quotes = |error: &ConfigError| match error {
        ConfigError::Unusable { name, .. } | ConfigError::Keys { name, .. } => Some(*name),
        _ => None,
    };
    let names: Vec<&'static str> = errors.iter().filter_map(of_quotes).collect();
    for name in names {
        if lookup(name).as_deref().is_some_and(is_quoted) {
            errors.replace(unusable(name, "its value is in quotes: leave them out"));
        }
    }
}

/// Returns the value of a setting, if it is set.
pub(super) type Lookup<'a> = dyn Fn(&'static str) -> Option<String> + 'a;

pub(super) fn unusable(name: &'static str, why: &str) -> ConfigError {
    ConfigError::Unusable {
        name,
        why: why.to_owned(),
    }
}

/// A setting that is `1` or not set.
pub(super) fn flag(get: &Lookup<'_>, name: &'static str) -> Result<bool, ConfigError> {
    match get(name).as_deref() {
        None => Ok(false),
        Some("1") => Ok(true),
        Some(_) => Err(unusable(name, "it must be `1`, or not set")),
    }
}

pub(super) fn seconds(
    get: &Lookup<'_>,
    name: &'static str,
    default: u64,
    range: RangeInclusive<u64>,
) -> Result<Duration, ConfigError> {
    number(get, name, "seconds", default, range).map(Duration::from_secs)
}

/// A whole number of `unit`.
pub(super) fn number(
    get: &Lookup<'_>,
    name: &'static str,
    unit: &str,
    default: u64,
    range: RangeInclusive<u64>,
) -> Result<u64, ConfigError> {
    let Some(text) = get(name) else {
        return Ok(default);
    };
    let number = text.parse().ok().filter(|number| range.contains(number));
    number.ok_or_else(|| {
        let (least, most) = range.into_inner();
        let rule = format!("it must be a whole number of {unit} from {least} to {most}");
        unusable(name, &rule)
    })
}

/// The number of a port.
pub(super) fn port(
    get: &Lookup<'_>,
    name: &'static str,
    default: u16,
    least: u16,
) -> Result<u16, ConfigError> {
    let Some(text) = get(name) else {
        return Ok(default);
    };
    let number = text.parse().ok().filter(|number| *number >= least);
    number.ok_or_else(|| {
        let rule = format!(
            "it must be the number of a port, from {least} to {}",
            u16::MAX
        );
        unusable(name, &rule)
    })
}
