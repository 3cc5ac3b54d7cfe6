//! The public addresses of the gate.

use reqwest::Url;

use super::error::ConfigError;
use super::lookup::{Lookup, first_unusable, unusable};

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
        let form = "it must be a list of earlier values of HO_BASE_URL, `https://HOST`, separated by commas";
        let wrong = first_unusable(&list, |it| address(it, production).is_some());
        let what = wrong.map(|(number, _)| format!("; entry {number} is none"));
        unusable("HO_ISSUERS", &(form.to_owned() + &what.unwrap_or_default()))
    })
}

/// A public address as a browser sends it in `Origin`: without a path and a default port, its host in lower
/// case and in ASCII.
fn address(text: &str, production: bool) -> Option<String> {
    let url = Url::parse(text).ok()?;
    // The parser leaves out ends of lines, and takes more for a name than a browser can reach.
    let is_host = |c: char| c.is_ascii_alphanumeric() || "-._[:]".contains(c);
    let is_plain = !text.contains(char::is_control) && url.host_str()?.chars().all(is_host);
    let is_scheme = url.scheme() == "https" || (url.scheme() == "http" && !production);
    let is_root = matches!(url.path().trim_end_matches('/'), "" | "/api");
    let has_more = url.query().is_some() || url.fragment().is_some();
    let has_user = !url.username().is_empty() || url.password().is_some();
    (is_plain && is_scheme && is_root && !has_more && !has_user)
        .then(|| url.origin().ascii_serialization())
}
