//! Settings that are set and have no effect beside the others, that an operator may have forgotten, or that blind alerts.

use super::approvers::allowed_approvers;
use super::known::settings_of;
use super::log::{hides_events, parse};
use super::lookup::non_empty;

const HIDES_EVENTS: &str =
    "it leaves out lines that alerts and saved queries look for: they need `info`";

/// The names of such settings, each with the reason.
pub fn idle_settings(lookup: impl Fn(&str) -> Option<String>) -> Vec<(String, &'static str)> {
    let get = |name| non_empty(&lookup, name);
    let is_set = |name: &str| non_empty(&lookup, name).is_some();
    let mail = get("HO_MAIL").unwrap_or_default();
    let is_embedded = get("HO_STORE").is_none_or(|store| store != "tables");
    let has_pattern = allowed_approvers(&get).is_ok_and(|list| list.has_pattern());
    let of_others = [
        (
            "SMTP_",
            mail != "smtp",
            "it has no effect: HO_MAIL is not smtp",
        ),
        (
            "ACS_",
            mail != "acs",
            "it has no effect: HO_MAIL is not acs",
        ),
        (
            "GRAPH_",
            mail != "graph",
            "it has no effect: HO_MAIL is not graph",
        ),
        (
            "TABLE",
            is_embedded,
            "it has no effect: HO_STORE is not tables",
        ),
        (
            "SWEEP_SECONDS",
            is_set("HO_SWEEP_SCHEDULE"),
            "it has no effect beside HO_SWEEP_SCHEDULE: the host triggers the sweep",
        ),
        (
            "ALLOW_WILDCARD_LINKS",
            !has_pattern,
            "it has no effect: HO_ALLOWED_APPROVERS has no pattern",
        ),
        ("PAUSED", true, "everything is paused until it is removed"),
        (
            "ROWS",
            get("HO_ROWS").as_deref() == Some("1"),
            "rows of version 1 keep no revocation, permit, vote or earlier decision",
        ),
    ];
    let found = of_others.into_iter().filter(|(_, is_idle, _)| *is_idle);
    let named =
        found.flat_map(|(beginning, _, why)| settings_of(beginning).map(move |name| (name, why)));
    let log = get("HO_LOG").filter(|filter| parse(filter).is_some_and(|it| hides_events(&it)));
    let log = log.map(|_| ("HO_LOG".to_owned(), HIDES_EVENTS));
    named.filter(|(name, _)| is_set(name)).chain(log).collect()
}
