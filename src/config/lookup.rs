//! Reading one setting.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::error::ConfigError;
use crate::azure::Principal;

/// Where a developer's gate keeps what it keeps, unless it is told.
pub(super) const HOME: &str = ".oversight";

/// An Azure resource by its endpoint, with tokens, or by its connection string: one of two settings.
pub(super) fn resource<T>(
    get: &Lookup<'_>,
    [endpoint, connection_string]: [&'static str; 2],
    why: &'static str,
    at: impl Fn(&str) -> Result<T, &'static str>,
    from_connection_string: impl Fn(&str) -> Result<T, &'static str>,
) -> Result<T, ConfigError> {
    match (get(endpoint), get(connection_string)) {
        (Some(address), None) => at(&address).map_err(|why| unusable(endpoint, why)),
        (None, Some(text)) => {
            from_connection_string(&text).map_err(|why| unusable(connection_string, why))
        }
        (None, None) => Err(ConfigError::Missing {
            name: endpoint,
            why,
        }),
        (Some(_), Some(_)) => Err(unusable(
            connection_string,
            &format!("{endpoint} is set too, and only one of them can be meant"),
        )),
    }
}

/// Every Azure service that gives a program an identity says so by `IDENTITY_ENDPOINT`.
pub(super) fn principal(get: &Lookup<'_>, production: bool) -> Principal {
    match production || get("IDENTITY_ENDPOINT").is_some() {
        true => Principal::ManagedIdentity(get("AZURE_CLIENT_ID")),
        false => Principal::AzureCli,
    }
}

/// An empty setting counts as not set.
pub(super) fn set(lookup: impl Fn(&str) -> Option<String>, name: &str) -> Option<String> {
    let value = lookup(name).map(|value| value.trim().to_owned());
    value.filter(|value| !value.is_empty())
}

/// What a setting is, if it is set.
pub(super) type Lookup<'a> = dyn Fn(&'static str) -> Option<String> + 'a;

pub(super) fn unusable(name: &'static str, why: &str) -> ConfigError {
    ConfigError::Unusable {
        name,
        why: why.to_owned(),
    }
}

pub(super) fn seconds(
    get: &Lookup<'_>,
    name: &'static str,
    default: u64,
    range: RangeInclusive<u64>,
) -> Result<Duration, ConfigError> {
    number(get, name, default, range).map(Duration::from_secs)
}

pub(super) fn number(
    get: &Lookup<'_>,
    name: &'static str,
    default: u64,
    range: RangeInclusive<u64>,
) -> Result<u64, ConfigError> {
    get(name).map_or(Ok(default), |text| parse(name, &text, range))
}

pub(super) fn parse(
    name: &'static str,
    text: &str,
    range: RangeInclusive<u64>,
) -> Result<u64, ConfigError> {
    text.parse()
        .ok()
        .filter(|number| range.contains(number))
        .ok_or_else(|| {
            unusable(
                name,
                &format!(
                    "it must be a whole number from {} to {}",
                    range.start(),
                    range.end()
                ),
            )
        })
}
