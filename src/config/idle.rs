//! Settings that are set and have no effect beside the others, that an operator may have forgotten, or that blind alerts.

use human_oversight_protocol::types::{AGENT_BYTES, AGENT_CHARS};

use super::agent_keys::agent_keys;
use super::approvers::allowed_approvers;
use super::error::ConfigErrors;
use super::known::settings_of;
use super::log::{hides_events, parse};
use super::lookup::{Lookup, non_empty};
use crate::keys::AgentKeys;
use crate::reveal;

const HIDES_EVENTS: &str =
    "it leaves out lines that alerts and saved queries look for: they need `info`";

/// The names of such settings, each with the reason. None depends on a setting that has an error.
pub fn idle_settings(
    lookup: impl Fn(&str) -> Option<String>,
    errors: &ConfigErrors,
) -> Vec<(String, &'static str)> {
    let get = |name| non_empty(&lookup, name);
    let is_set = |name: &str| non_empty(&lookup, name).is_some();
    let found = candidates(&get).into_iter();
    let found =
        found.filter(|(_, depends_on, is_idle, _)| *is_idle && !errors.contains(depends_on));
    let named = found
        .flat_map(|(beginning, _, _, why)| settings_of(beginning).map(move |name| (name, why)));
    let log = get("HO_LOG").filter(|filter| parse(filter).is_some_and(|it| hides_events(&it)));
    let log = log.map(|_| ("HO_LOG".to_owned(), HIDES_EVENTS));
    named.filter(|(name, _)| is_set(name)).chain(log).collect()
}

/// How the names of settings begin, the setting on which they depend, whether they are such, and why.
fn candidates(get: &Lookup<'_>) -> [(&'static str, &'static str, bool, &'static str); 10] {
    let mail = get("HO_MAIL").unwrap_or_default();
    let is_embedded = get("HO_STORE").is_none_or(|store| store != "tables");
    let takes_keys_alone = get("HO_AGENT_IDENTITY").is_none_or(|it| it == "key");
    let listed = agent_keys(get).ok().flatten();
    let listed = listed.as_ref();
    let has_pattern = allowed_approvers(get).is_ok_and(|list| list.has_pattern());
    [
        (
            "SMTP_",
            "HO_MAIL",
            mail != "smtp",
            "it has no effect: HO_MAIL is not smtp",
        ),
        (
            "ACS_",
            "HO_MAIL",
            mail != "acs",
            "it has no effect: HO_MAIL is not acs",
        ),
        (
            "GRAPH_",
            "HO_MAIL",
            mail != "graph",
            "it has no effect: HO_MAIL is not graph",
        ),
        (
            "TABLE",
            "HO_STORE",
            is_embedded,
            "it has no effect: HO_STORE is not tables",
        ),
        (
            "SWEEP_SECONDS",
            "HO_SWEEP_SCHEDULE",
            get("HO_SWEEP_SCHEDULE").is_some(),
            "it has no effect beside HO_SWEEP_SCHEDULE: the host triggers the sweep",
        ),
        (
            "ALLOW_WILDCARD_LINKS",
            "HO_ALLOWED_APPROVERS",
            !has_pattern,
            "it has no effect: HO_ALLOWED_APPROVERS has no pattern",
        ),
        (
            "AGENT_KEYS",
            "HO_AGENT_KEYS",
            takes_keys_alone && listed.is_some_and(AgentKeys::has_identities),
            "its object ids have no effect: HO_AGENT_IDENTITY is not entra or both",
        ),
        (
            "AGENT_KEYS",
            "HO_AGENT_KEYS",
            listed.is_some_and(|it| it.has_patterns_without(can_be_agent)),
            "an entry covers no agent: a name has at most 128 characters and 170 bytes, all of which show, and no `://`",
        ),
        (
            "PAUSED",
            "HO_PAUSED",
            true,
            "everything is paused until it is removed",
        ),
        (
            "ROWS",
            "HO_ROWS",
            get("HO_ROWS").as_deref() == Some("1"),
            "rows of version 1 keep no revocation, permit, vote or earlier decision",
        ),
    ]
}

/// Whether a submit may have this name of an agent.
fn can_be_agent(name: &str) -> bool {
    let is_short = name.chars().count() <= AGENT_CHARS && name.len() <= AGENT_BYTES;
    is_short && reveal::is_plain(name) && !name.contains("://")
}
