//! The names of all settings, to notice one that is misspelt.

/// The settings of the gate.
const GATE: [&str; 45] = [
    "HO_ACS_CONNECTION_STRING",
    "HO_ACS_ENDPOINT",
    "HO_AGENT_KEYS",
    "HO_ALLOWED_APPROVERS",
    "HO_ALLOW_WILDCARD_LINKS",
    "HO_BASE_URL",
    "HO_BRAND_COLOR",
    "HO_BRAND_CONTACT",
    "HO_BRAND_FOOTER",
    "HO_BRAND_NAME",
    "HO_DEFAULT_TIMEOUT",
    "HO_ENTRA_TENANT",
    "HO_GATE_ID",
    "HO_GRAPH_ENDPOINT",
    "HO_GRAPH_MAILBOX",
    "HO_IDENTITY",
    "HO_ISSUERS",
    "HO_LINK_KEYS",
    "HO_LOCAL",
    "HO_LOG",
    "HO_MAIL",
    "HO_MAIL_BUDGET",
    "HO_MAIL_FROM",
    "HO_MAIL_NOTES",
    "HO_MAIL_PARAMETERS",
    "HO_OPEN_LIMIT",
    "HO_OUTCOME_WITHIN",
    "HO_OWNER_BUDGET",
    "HO_PAUSED",
    "HO_PORT",
    "HO_REASK_AFTER",
    "HO_RECEIPT_KEYS",
    "HO_REQUIRE_ENTRA_FOR",
    "HO_ROWS",
    "HO_RUN_WITHIN",
    "HO_SMTP_CA",
    "HO_SMTP_PASSWORD",
    "HO_SMTP_URL",
    "HO_STORE",
    "HO_SUBJECT_PREFIX",
    "HO_SWEEP_SCHEDULE",
    "HO_SWEEP_SECONDS",
    "HO_TABLE",
    "HO_TABLES_CONNECTION_STRING",
    "HO_TABLES_ENDPOINT",
];

/// The settings of agents, which may share an environment with a gate, and one that `check` knows.
const OTHERS: [&str; 5] = ["HO_ISSUER", "HO_KEY", "HO_KEYS", "HO_MASTER_KEY", "HO_URL"];

/// How many letters a misspelt name has wrong at most.
const MAX_DISTANCE: usize = 3;

/// Whether `name` looks like a setting and is none.
pub fn is_unknown_setting(name: &str) -> bool {
    name.starts_with("HO_") && !all().any(|known| known == name)
}

/// The setting of the gate or of agents whose name is the nearest to `name`.
pub fn nearest_setting(name: &str) -> Option<&'static str> {
    let distances = all().map(|known| (strsim::damerau_levenshtein(known, name), known));
    let (distance, nearest) = distances.min()?;
    (distance <= MAX_DISTANCE).then_some(nearest)
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
            ("HO_SOMETHING_ELSE", None),
        ] {
            assert!(is_unknown_setting(name));
            assert_eq!(nearest_setting(name), nearest, "{name}");
        }
        for name in ["HO_URL", "HO_PORT", "PATH"] {
            assert!(!is_unknown_setting(name), "{name}");
        }
    }
}
