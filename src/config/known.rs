//! The names of all settings, to notice one that is misspelt.

/// What every name begins with.
const PREFIX: &str = "HO_";

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
const OTHERS: [&str; 6] = ["AUDIENCE", "ISSUER", "KEY", "KEYS", "MASTER_KEY", "URL"];

/// Whether `name` looks like a setting and is none.
pub fn is_unknown_setting(name: &str) -> bool {
    name.strip_prefix(PREFIX)
        .is_some_and(|rest| !rest.starts_with(CHANNEL) && !all().any(|known| known == rest))
}

/// The setting of the gate or of agents that `name` may be meant for: at most a third of the letters differ.
pub fn nearest_setting(name: &str) -> Option<String> {
    let rest = name.strip_prefix(PREFIX)?;
    let distances = all().map(|known| (strsim::damerau_levenshtein(known, rest), known));
    let (distance, nearest) = distances.min()?;
    (distance <= rest.len() / 3).then(|| format!("{PREFIX}{nearest}"))
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
    GATE.into_iter().chain(OTHERS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_setting_is_unknown_and_its_nearest_one_is_found() {
        for (name, nearest) in [
            ("HO_ALOWED_APPROVERS", Some("HO_ALLOWED_APPROVERS")),
            ("HO_BASEURL", Some("HO_BASE_URL")),
            ("HO_PROT", Some("HO_PORT")),
            ("HO_FOO", None),
            ("HO_SOMETHING_ELSE", None),
        ] {
            assert!(is_unknown_setting(name));
            assert_eq!(nearest_setting(name).as_deref(), nearest, "{name}");
        }
        for name in ["HO_URL", "HO_PORT", "PATH", "HO_CHANNEL_FINANCE"] {
            assert!(!is_unknown_setting(name), "{name}");
        }
    }
}
