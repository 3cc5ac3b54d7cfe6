//! The public addresses of the gate.

use super::error::ConfigError;
use super::lookup::{Lookup, unusable};

pub(super) fn base_url(get: &Lookup<'_>, production: bool) -> Result<Option<String>, ConfigError> {
    let url = get("HO_BASE_URL").map(|url| {
        address(&url, production)
            .ok_or_else(|| unusable("HO_BASE_URL", "it must be `https://HOST`, without a path"))
    });
    url.transpose()
}

pub(super) fn issuers(get: &Lookup<'_>, production: bool) -> Result<Vec<String>, ConfigError> {
    let list = get("HO_ISSUERS").unwrap_or_default();
    let items = list.split(',').map(str::trim).filter(|it| !it.is_empty());
    let addresses: Option<_> = items.map(|it| address(it, production)).collect();
    addresses.ok_or_else(|| {
        unusable(
            "HO_ISSUERS",
            "it must be a list of earlier values of HO_BASE_URL, `https://HOST`, separated by commas",
        )
    })
}

/// A public address, without a trailing slash.
fn address(url: &str, production: bool) -> Option<String> {
    let url = url.trim_end_matches('/');
    let url = url.strip_suffix("/api").unwrap_or(url);
    let host = url
        .strip_prefix("https://")
        .or_else(|| url.strip_prefix("http://").filter(|_| !production))?;
    let is_host = !host.is_empty() && !host.contains(['/', '?', '#', '@', ' ']);
    is_host.then(|| url.to_owned())
}
