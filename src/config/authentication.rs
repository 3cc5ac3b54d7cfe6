//! The platform's authentication, on which sign-in and the identities of agents rely.

use uuid::Uuid;

use super::error::ConfigError;
use super::lookup::{Lookup, unusable};

/// The setting that names the directory.
pub(super) const TENANT: &str = "HO_ENTRA_TENANT";

/// Whether the platform authenticates callers before the Functions host, and removes what they say themselves.
pub(super) fn is_authentication_on(get: &Lookup<'_>, behind_host: bool) -> bool {
    behind_host && get("WEBSITE_AUTH_ENABLED").is_some_and(|on| on.eq_ignore_ascii_case("true"))
}

/// The directory; `why` says what needs it.
pub(super) fn tenant(get: &Lookup<'_>, why: &'static str) -> Result<Uuid, ConfigError> {
    let id = get(TENANT).ok_or(ConfigError::Missing { name: TENANT, why })?;
    Uuid::parse_str(&id).map_err(|_| unusable(TENANT, "it must be the id of a directory, a GUID"))
}
