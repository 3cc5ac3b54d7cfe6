//! The names of all settings, to notice one that is misspelt.

use std::collections::BTreeMap;
use std::ffi::OsString;

use crate::policy::{Channel, Policy};

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

/// What the names of channels' settings begin with.
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

/// The settings that have an effect.
pub struct KnownSettings {
    /// Those of the policy's channels, without the prefix; `None` if it is not known which ones the policy names.
    of_channels: Option<Vec<String>>,
}

impl KnownSettings {
    /// Those of a gate with this policy.
    pub fn with(policy: Option<&Policy>) -> Self {
        let channels = policy.map_or(&[][..], Policy::channels).iter();
        let names = channels.flat_map(Channel::settings);
        let rests = names.filter_map(|name| name.strip_prefix(PREFIX).map(str::to_owned));
        Self {
            of_channels: Some(rests.collect()),
        }
    }

    /// Where the policy is not read: each name that begins as those of channels may be one.
    pub fn with_any_channel() -> Self {
        Self { of_channels: None }
    }

    /// The unknown settings among the names of an environment, by name. Names in other letters than capitals are none.
    pub fn unknown(&self, names: impl IntoIterator<Item = OsString>) -> Vec<UnknownSetting> {
        let names = names.into_iter().filter_map(|name| name.into_string().ok());
        let mut unknown: Vec<_> = names
            .filter_map(|name| self.unknown_setting(name))
            .collect();
        unknown.sort();
        unknown
    }

    fn unknown_setting(&self, name: String) -> Option<UnknownSetting> {
        let (prefix, rest) = name.split_at_checked(PREFIX.len())?;
        let is_known =
            prefix == PREFIX && (self.is_of_channel(rest) || fixed().any(|it| it == rest));
        if !prefix.eq_ignore_ascii_case(PREFIX) || is_known {
            return None;
        }
        let nearest = self.nearest(&rest.to_ascii_uppercase());
        let nearest = nearest.map(|known| format!("{PREFIX}{known}"));
        Some(UnknownSetting { name, nearest })
    }

    fn is_of_channel(&self, rest: &str) -> bool {
        match &self.of_channels {
            Some(names) => names.iter().any(|it| it == rest),
            None => rest.starts_with(CHANNEL),
        }
    }

    /// Of the names of channels, the beginning that all have does not count; and the name of a URL is not meant where a
    /// secret follows that no one needs.
    fn nearest(&self, rest: &str) -> Option<&str> {
        let letters = rest.strip_prefix(CHANNEL).unwrap_or(rest).len();
        let of_channels = self.of_channels.iter().flatten().map(String::as_str);
        let others = fixed()
            .chain(of_channels)
            .filter(|known| !rest.starts_with(&format!("{known}_")));
        let distances = others.map(|known| (strsim::damerau_levenshtein(known, rest), known));
        let (distance, nearest) = distances.min()?;
        (distance <= letters / 3).then_some(nearest)
    }

    /// The settings of the gate among the names of an environment that are set, with their values; `None` stands for one
    /// that is not to be shown.
    pub fn in_force(
        &self,
        names: impl IntoIterator<Item = OsString>,
        lookup: impl Fn(&str) -> Option<String>,
    ) -> BTreeMap<String, Option<String>> {
        let names = names.into_iter().filter_map(|name| name.into_string().ok());
        let set = names.filter_map(|name| {
            let rest = name.strip_prefix(PREFIX)?;
            let is_secret = self.is_of_channel(rest) || SECRET.contains(&rest);
            if !is_secret && !GATE.contains(&rest) {
                return None;
            }
            let value = lookup(&name).filter(|value| !value.trim().is_empty())?;
            Some((name, Some(value).filter(|_| !is_secret)))
        });
        set.collect()
    }
}

/// The settings of the gate whose names begin so, without `HO_`.
pub(super) fn settings_of(beginning: &str) -> impl Iterator<Item = String> {
    let named = GATE
        .into_iter()
        .filter(move |name| name.starts_with(beginning));
    named.map(|name| format!("{PREFIX}{name}"))
}

/// The names that do not depend on the policy.
fn fixed<'a>() -> impl Iterator<Item = &'a str> {
    GATE.into_iter().chain(AGENTS).chain(OPERATORS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_setting_is_unknown_and_its_nearest_one_is_found() {
        let unknown = |name: &str| {
            KnownSettings::with_any_channel()
                .unknown([OsString::from(name)])
                .pop()
        };
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
