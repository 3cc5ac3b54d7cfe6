//! How long a caller prefers to wait, which a header says.

use std::time::Duration;

use axum::http::HeaderMap;
use human_oversight_protocol::types::WAIT_SECONDS;

/// `Prefer: wait=N` (RFC 7240, section 4.3). Of several, the first counts; an invalid one is ignored.
pub(super) fn prefer_wait(headers: &HeaderMap) -> Option<Duration> {
    let values = headers
        .get_all("prefer")
        .iter()
        .filter_map(|value| value.to_str().ok());
    let wait = values.flat_map(preferences).find_map(|preference| {
        // Parameters of the preference follow a semicolon.
        let preference = preference.split(';').next()?;
        let (name, value) = preference.split_once('=')?;
        let is_wait = name.trim().eq_ignore_ascii_case("wait");
        is_wait.then(|| value.trim().trim_matches('"'))
    })?;
    let is_number = !wait.is_empty() && wait.bytes().all(|byte| byte.is_ascii_digit());
    let seconds: u64 = is_number.then(|| wait.parse().unwrap_or(u64::MAX))?;
    (seconds >= 1).then(|| Duration::from_secs(seconds.min(*WAIT_SECONDS.end())))
}

/// The preferences of a header, which commas separate outside quotes.
fn preferences(value: &str) -> impl Iterator<Item = &str> {
    let mut is_quoted = false;
    value.split(move |c| {
        is_quoted ^= c == '"';
        c == ',' && !is_quoted
    })
}
