//! The names of all settings, to notice one that is misspelt.

use std::ffi::OsString;

/// What every name begins with.
pub(super) const PREFIX: &str = "HO_";

/// The settings of the gate, without the prefix.
const GATE: [&str; 55] = [
    "ACS_CONNECTION_STRING",
    "ACS_ENDPOINT",
    "AGENT_IDENTITY",
    "AGENT_KEYS",
    "ALLOWED_APPROVERS",
    "ALLOW_WILDCARD_LINKS",
    "BASE_URL",
    "BRAND_COLOR",
    "BRAND_CONTACT",
    "BRAND_FOOTER",
    "BRAND_NAME",
    "CHANNELS_ALLOW_PRIVATE",
    "DEFAULT_TIMEOUT",
    "ENTRA_AUTH_CONTEXT",
    "ENTRA_MAX_AGE",
    "ENTRA_TENANT",
    "GATE_ID",
    "GRAPH_ENDPOINT",
    "GRAPH_MAILBOX",
    "IDENTITY",
    "ISSUERS",
    "LINK_KEYS",
    "LOCAL",
    "LOG",
    "LOG_FORMAT",
    "MAIL",
    "MAIL_BUDGET",
    "MAIL_FROM",
    "MAIL_NOTES",
    "MAIL_PARAMETERS",
    "OPEN_LIMIT",
    "OUTCOME_WITHIN",
    "OWNER_BUDGET",
    "PAUSED",
    "POLICY",
    "POLICY_BUDGET",
    "POLICY_FILE",
    "PORT",
    "REASK_AFTER",
    "RECEIPT_KEYS",
    "REJECT_REASONS",
    "REQUIRE_ENTRA_FOR",
    "ROWS",
    "RUN_WITHIN",
    "SMTP_CA",
    "SMTP_PASSWORD",
    "SMTP_URL",
    "STORE",
    "SUBJECT_PREFIX",
    "SWEEP_SCHEDULE",
    "SWEEP_SECONDS",
    "TABLE",
    "TABLES_CONNECTION_STRING",
    "TABLES_ENDPOINT",
    "TIME_ZONE",
];

/// Those whose values are secrets, or hold some.
const SECRET: [&str; 8] = [
    "ACS_CONNECTION_STRING",
    "AGENT_KEYS",
    "LINK_KEYS",
    "POLICY",
    "RECEIPT_KEYS",
    "SMTP_PASSWORD",
    "SMTP_URL",
    "TABLES_CONNECTION_STRING",
];

/// What the names begin with that policies give to the settings of channels.
const CHANNEL: &str = "CHANNEL_";

/// The settings of agents and of the commands for operators, which may share an environment with a gate.
const AGENTS: [&str; 7] = [
    "AUDIENCE",
    "CALLBACK_SECRET",
    "CLAIM_KEY",
    "ISSUER",
    "KEY",
    "KEYS",
    "URL",
];
const OPERATORS: [&str; 1] = ["MASTER_KEY"];

/// A name in the environment that looks like a setting and is none.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct UnknownSetting {
    pub name: String,
    /// The setting of the gate or of agents that may be meant: at most a third of the letters differ.
    pub nearest: Option<String>,
}

/// The unknown settings among the names of an environment, by name. Names in other letters than capitals are none.
pub fn unknown_settings(names: impl IntoIterator<Item = OsString>) -> Vec<UnknownSetting> {
    let names = names.into_iter().filter_map(|name| name.into_string().ok());
    let mut unknown: Vec<_> = names.filter_map(unknown_setting).collect();
    unknown.sort();
    unknown
}

fn unknown_setting(name: String) -> Option<UnknownSetting> {
    let (prefix, rest) = name.split_at_checked(PREFIX.len())?;
    let is_known = prefix == PREFIX && (rest.starts_with(CHANNEL) || all().any(|it| it == rest));
    if !prefix.eq_ignore_ascii_case(PREFIX) || is_known {
        return None;
    }
    let capitals = rest.to_ascii_uppercase();
    let distances = all().map(|known| (strsim::damerau_levenshtein(known, &capitals), known));
    let (distance, nearest) = distances.min()?;
    let nearest = (distance <= rest.len() / 3).then(|| format!("{PREFIX}{nearest}"));
    Some(UnknownSetting { name, nearest })
}

/// The settings of the gate that are set, with their values; `None` stands for one that is not to be shown.
pub fn settings_in_force(
    lookup: impl Fn(&str) -> Option<String>,
) -> impl Iterator<Item = (String, Option<String>)> {
    GATE.into_iter().filter_map(move |rest| {
        let name = format!("{PREFIX}{rest}");
        let value = lookup(&name).filter(|value| !value.trim().is_empty())?;
        Some((name, Some(value).filter(|_| !SECRET.contains(&rest))))
    })
}

/// The settings of the gate whose names begin so, without `HO_`.
pub(super) fn settings_of(beginning: &str) -> impl Iterator<Item = String> {
    let named = GATE
        .into_iter()
        .filter(move |name| name.starts_with(beginning));
    named.map(|name| format!("{PREFIX}{name}"))
}

fn all() -> impl Iterator<Item = &'static str> {
    GATE.into_iter().chain(AGENTS).chain(OPERATORS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_setting_is_unknown_and_its_nearest_one_is_found() {
        let unknown = |name: &str| unknown_settings([OsString::from(name)]).pop();
        for (name, nearest) in [
            ("HO_ALOWED_APPROVERS", Some("HO_ALLOWED_APPROVERS")),
            ("HO_BASEURL", Some("HO_BASE_URL")),
            ("HO_PROT", Some("HO_PORT")),
            ("HO_Log", Some("HO_LOG")),
            ("ho_port", Some("HO_PORT")),
            ("HO_FOO", None),
            ("HO_SOMETHING_ELSE", None),
            ("HO_", None),
        ] {
            let found = unknown(name).unwrap();
            assert_eq!((&*found.name, found.nearest.as_deref()), (name, nearest));
        }
        for name in [
            "HO_URL",
            "HO_PORT",
            "PATH",
            "HO_CHANNEL_FINANCE",
            "HOME",
            "H\u{d6}",
        ] {
            assert_eq!(unknown(name), None, "{name}");
        }
    }
}
