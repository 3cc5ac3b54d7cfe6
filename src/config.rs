//! The settings, read once from the environment. No other module reads it.

mod address;
mod agent_keys;
mod approvers;
mod asking;
mod error;
mod known;
mod lookup;
mod mail;
mod schedule;
mod sign_in;
mod store;
mod upgrade;

use std::path::PathBuf;
use std::time::Duration;

use crate::azure::{SignIn, SignInPolicy};
use crate::domain::{Budgets, NotificationSettings};
use crate::keys::{AgentKeys, NamedKey};
use crate::mailer::TransportConfig;
use crate::render::{Brand, ParameterDisclosure};
use crate::store::RowSettings;
use crate::values::{Address, AllowList};

use address::{base_url, issuers};
use agent_keys::agent_keys;
use approvers::allowed_approvers;
use asking::{budgets, reask_after};
pub use error::ConfigError;
pub use known::{is_unknown_setting, nearest_setting};
use lookup::{Lookup, flag, non_empty, number, parse, seconds, unusable};
use mail::{brand, mail_from, notifications, parameter_disclosure, transport};
pub use schedule::SweepSchedule;
use schedule::sweep_schedule;
use sign_in::sign_in;
use store::gate_id_of;
pub use store::{StoreConfig, TableSettings};
pub use upgrade::{UpgradeItem, upgrade_items};

/// The settings of a gate.
#[derive(Clone, Debug)]
pub struct Config {
    /// Whether the gate is not for local development: it runs behind the Functions host, and `HO_LOCAL` is not
    /// set.
    pub production: bool,
    /// Whether requests come through the Functions host.
    pub behind_host: bool,
    /// The filter of the log, in the syntax of `tracing`.
    pub log: String,
    /// The port to listen on, on loopback; 0 for any free port.
    pub port: u16,
    /// The public URL, without a trailing slash; by default, the address that the gate listens on.
    pub base_url: Option<String>,
    /// The earlier public URLs, whose receipts still count.
    pub issuers: Vec<String>,
    /// The store of requests.
    pub store: StoreConfig,
    /// How the store writes rows.
    pub rows: RowSettings,
    /// The folder for the key files of local development.
    pub home: PathBuf,
    /// The transport of emails.
    pub mail: TransportConfig,
    /// Which notifications are sent besides the request.
    pub notifications: NotificationSettings,
    /// The sender of emails.
    pub mail_from: Address,
    /// How much of the parameters emails show.
    pub parameter_disclosure: ParameterDisclosure,
    pub brand: Brand,
    /// The addresses that a request may name as approvers.
    pub allowed_approvers: AllowList,
    /// Whether the list may contain `*@domain` patterns although links decide.
    pub wildcard_links_allowed: bool,
    /// Sign-in with Microsoft Entra ID, if it is on.
    pub sign_in: Option<SignIn>,
    /// The maximum number of open requests per agent.
    pub open_limit: usize,
    /// How often an owner may have people asked.
    pub budgets: Budgets,
    /// The agents that each function key may act for; without it, every key may act for every agent.
    pub agent_keys: Option<AgentKeys>,
    /// The link keys; without them, a key file in `home` is used.
    pub link_keys: Option<Vec<NamedKey>>,
    /// The receipt keys; without them, a key file in `home` is used.
    pub receipt_keys: Option<Vec<NamedKey>>,
    /// The time to decide, if the request does not specify it.
    pub default_timeout: Duration,
    /// The time to claim an approval.
    pub run_within: Duration,
    /// The time to report the outcome after a claim.
    pub outcome_within: Duration,
    /// The interval of the sweep, if no host triggers it.
    pub sweep_every: Duration,
    /// When the host triggers the sweep.
    pub sweep_schedule: Option<SweepSchedule>,
    /// How long a rejection is shown to those who are asked the same again; `None` if it is not.
    pub reask_after: Option<Duration>,
    /// Whether everything is paused, whatever the store says.
    pub paused: bool,
}

/// The setting in which the Functions host passes the port to its handler.
const HOST_PORT: &str = "FUNCTIONS_CUSTOMHANDLER_PORT";

impl Config {
    /// Reads the settings through `lookup`; an empty one counts as not set.
    ///
    /// # Errors
    /// When a setting is missing or cannot be used.
    pub fn read(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let get = |name| non_empty(&lookup, name);
        let behind_host = get(HOST_PORT).is_some();
        // `HO_LOCAL` has no effect in the cloud.
        let in_cloud = get("WEBSITE_INSTANCE_ID").is_some();
        let local = get("HO_LOCAL").as_deref() == Some("1") && !in_cloud;
        let production = behind_host && !local;

        let TableSettings {
            store,
            mut rows,
            default_gate_id: _,
            home,
            link_keys,
            receipt_keys,
        } = TableSettings::parse(&get, production)?;
        let mail = transport(&get, production)?;
        let base_url = base_url(&get, production)?;
        let public_url = base_url.as_deref().filter(|_| production);
        rows.default_gate_id = Some(public_url.map_or_else(|| "local".to_owned(), gate_id_of));
        let config = Self {
            production,
            behind_host,
            log: get("HO_LOG").unwrap_or_else(|| "info".to_owned()),
            port: port(&get)?,
            base_url,
            issuers: issuers(&get, production)?,
            store,
            rows,
            home,
            mail_from: mail_from(&get, &mail)?,
            mail,
            notifications: notifications(&get)?,
            brand: brand(&get)?,
            parameter_disclosure: parameter_disclosure(&get)?,
            allowed_approvers: allowed_approvers(&get)?,
            wildcard_links_allowed: flag(&get, "HO_ALLOW_WILDCARD_LINKS")?,
            sign_in: sign_in(&get, behind_host)?,
            open_limit: number(&get, "HO_OPEN_LIMIT", 1_000, 1..=10_000)? as usize,
            agent_keys: agent_keys(&get)?,
            link_keys,
            receipt_keys,
            default_timeout: seconds(&get, "HO_DEFAULT_TIMEOUT", 3_600, 10..=2_592_000)?,
            budgets: budgets(&get)?,
            run_within: seconds(&get, "HO_RUN_WITHIN", 900, 1..=2_592_000)?,
            outcome_within: seconds(&get, "HO_OUTCOME_WITHIN", 86_400, 1..=31_536_000)?,
            sweep_every: seconds(&get, "HO_SWEEP_SECONDS", 60, 1..=86_400)?,
            sweep_schedule: sweep_schedule(&get, behind_host)?,
            paused: flag(&get, "HO_PAUSED")?,
            reask_after: reask_after(&get)?,
        };
        if production {
            config.check_for_production()?;
        }
        Ok(config)
    }

    /// Refuses settings that would not protect a production gate.
    fn check_for_production(&self) -> Result<(), ConfigError> {
        let missing = |name, why| Err(ConfigError::Missing { name, why });
        if self.base_url.is_none() {
            return missing(
                "HO_BASE_URL",
                "links in emails need the public URL of the gate",
            );
        }
        if self.allowed_approvers == AllowList::Anyone {
            return missing(
                "HO_ALLOWED_APPROVERS",
                "without a list, an agent could name any address as its approver",
            );
        }
        let links_decide = !matches!(&self.sign_in, Some(it) if it.policy == SignInPolicy::Always);
        if self.allowed_approvers.has_pattern() && links_decide && !self.wildcard_links_allowed {
            return Err(unusable(
                "HO_ALLOWED_APPROVERS",
                "with a `*@domain` pattern the agent chooses the mailbox that gets link and code, which may \
                 be its own, a distribution list or an alias: name the addresses, or require sign-in with \
                 HO_IDENTITY=entra, or set HO_ALLOW_WILDCARD_LINKS=1 to accept that",
            ));
        }
        if self.link_keys.is_none() {
            return missing("HO_LINK_KEYS", "generate one with `human-oversight keygen`");
        }
        if self.receipt_keys.is_none() {
            return missing(
                "HO_RECEIPT_KEYS",
                "generate one with `human-oversight keygen`",
            );
        }
        match &self.store {
            StoreConfig::Embedded(_) => {
                return Err(unusable(
                    "HO_STORE",
                    "the embedded store is for local development: its data is lost with the instance",
                ));
            }
            StoreConfig::Tables { account, .. } if !account.is_encrypted() => {
                return Err(unusable(
                    "HO_TABLES_CONNECTION_STRING",
                    "production requires https",
                ));
            }
            StoreConfig::Tables { .. } => {}
        }
        match &self.mail {
            TransportConfig::File(_) => Err(unusable(
                "HO_MAIL",
                "the inbox is for local development: it does not send email",
            )),
            mail if !mail.is_encrypted() => Err(unusable("HO_MAIL", "production requires TLS")),
            _ => Ok(()),
        }
    }
}

fn port(get: &Lookup<'_>) -> Result<u16, ConfigError> {
    let port = match get(HOST_PORT) {
        Some(port) => parse(HOST_PORT, &port, 1..=u16::MAX.into())?,
        None => number(get, "HO_PORT", 7071, 0..=u16::MAX.into())?,
    };
    Ok(port as u16)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::keyring;

    pub(super) fn read(settings: &[(&str, &str)]) -> Result<Config, ConfigError> {
        Config::read(|name| {
            settings
                .iter()
                .find(|(n, _)| *n == name)
                .map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn without_settings_the_gate_is_for_local_development() {
        let config = read(&[]).unwrap();
        assert!(!config.production);
        assert_eq!(
            (config.port, config.sweep_every),
            (7071, Duration::from_secs(60))
        );
        assert_eq!(config.allowed_approvers, AllowList::Anyone);
        let local = read(&[
            (HOST_PORT, "4711"),
            ("HO_LOCAL", "1"),
            ("HO_SWEEP_SCHEDULE", "00:01:00"),
        ])
        .unwrap();
        assert_eq!(
            (local.production, local.port, local.behind_host),
            (false, 4711, true)
        );
    }

    #[test]
    fn a_rejection_is_shown_for_a_day_or_for_the_time_that_is_set() {
        for (set, seconds) in [("", 86_400), ("60", 60), ("0", 0), ("off", 0)] {
            let time = read(&[("HO_REASK_AFTER", set)]).unwrap().reask_after;
            let expected = Some(Duration::from_secs(seconds)).filter(|it| !it.is_zero());
            assert_eq!(time, expected, "{set}");
        }
    }

    #[test]
    fn an_error_names_the_setting_that_cannot_be_used() {
        for (name, value) in [
            ("HO_PORT", "70000"),
            ("HO_PORT", "x"),
            ("HO_STORE", "disk"),
            ("HO_STORE", "embedded:"),
            ("HO_STORE", "tables:x"),
            ("HO_MAIL", "pigeon"),
            ("HO_MAIL", "smtp:x"),
            ("HO_MAIL", "file:"),
            ("HO_MAIL_NOTES", "reminders,pigeons"),
            ("HO_MAIL_NOTES", "none,outcome"),
            ("HO_BRAND_COLOR", "#ffff00"),
            ("HO_BRAND_NAME", "a\nb"),
            ("HO_SUBJECT_PREFIX", "a\u{202e}b"),
            ("HO_MAIL_FROM", "me"),
            ("HO_AGENT_KEYS", "topsecret=Agent"),
            ("HO_MAIL_PARAMETERS", "some"),
            ("HO_ALLOWED_APPROVERS", "contoso.com"),
            ("HO_ALLOWED_APPROVERS", "mallory%evil.example@contoso.com"),
            ("HO_ALLOW_WILDCARD_LINKS", "yes"),
            ("HO_MAIL_FROM", "evil.example!gate@example.com"),
            ("HO_DEFAULT_TIMEOUT", "9"),
            ("HO_RUN_WITHIN", "0"),
            ("HO_OUTCOME_WITHIN", "-1"),
            ("HO_SWEEP_SECONDS", "0"),
            ("HO_SWEEP_SCHEDULE", "* * * *"),
            ("HO_IDENTITY", "password"),
            ("HO_OPEN_LIMIT", "0"),
            ("HO_PAUSED", "yes"),
            ("HO_REASK_AFTER", "24h"),
            ("HO_REASK_AFTER", "2592001"),
            ("HO_ROWS", "3"),
            ("HO_GATE_ID", "a b"),
            ("HO_GATE_ID", "a,"),
            ("HO_GATE_ID", "a,b,c"),
            ("HO_BASE_URL", "example.com"),
            ("HO_BASE_URL", "https://example.com/path"),
            ("HO_BASE_URL", "https://example.com/?x"),
            ("HO_BASE_URL", "https://user@example.com"),
            ("HO_BASE_URL", "https://example.com example"),
            ("HO_BASE_URL", "ftp://example.com"),
            ("HO_ISSUERS", "https://old.example.com, example.com"),
            ("HO_LINK_KEYS", "x"),
            ("HO_RECEIPT_KEYS", "x"),
        ] {
            let error = read(&[(name, value)]).unwrap_err();
            assert!(
                error
                    .to_string()
                    .starts_with(&format!("{name} cannot be used: ")),
                "{error}"
            );
        }
        for (url, origin) in [
            ("https://gate.example.com/", "https://gate.example.com"),
            ("https://gate.example.com/api/", "https://gate.example.com"),
            ("HTTPS://Gate.Example.COM:443", "https://gate.example.com"),
            (
                "https://gate.example.com:8443",
                "https://gate.example.com:8443",
            ),
            (
                "https://pr\u{fc}fung.example",
                "https://xn--prfung-4ya.example",
            ),
            ("http://127.0.0.1:80", "http://127.0.0.1"),
        ] {
            let config = read(&[("HO_BASE_URL", url)]).unwrap();
            assert_eq!(config.base_url.as_deref(), Some(origin), "{url}");
        }
    }

    #[test]
    fn production_starts_with_everything_or_not_at_all() {
        let link = keyring::generate_link_key();
        let receipt = keyring::generate_receipt_key();
        let all = [
            (HOST_PORT, "4711"),
            ("HO_SWEEP_SCHEDULE", "0 * * * * *"),
            ("HO_BASE_URL", "https://gate.example.com"),
            ("HO_ALLOWED_APPROVERS", "alice@example.com"),
            ("HO_LINK_KEYS", &link),
            ("HO_RECEIPT_KEYS", &receipt),
            ("HO_STORE", "tables"),
            (
                "HO_TABLES_ENDPOINT",
                "https://store1.table.core.windows.net",
            ),
            ("HO_MAIL", "smtp"),
            ("HO_SMTP_URL", "smtp://gate:secret@relay.example.com"),
            ("HO_MAIL_FROM", "gate@example.com"),
        ];
        for missing in all[1..]
            .iter()
            .filter(|(name, _)| !["HO_STORE", "HO_MAIL"].contains(name))
        {
            let rest: Vec<_> = all
                .iter()
                .filter(|setting| *setting != missing)
                .copied()
                .collect();
            let error = read(&rest).unwrap_err();
            assert!(
                matches!(error, ConfigError::Missing { name, .. } if name == missing.0),
                "{error}"
            );
        }
        let with = |name, value| {
            let settings = all.map(|(n, v)| (n, if n == name { value } else { v }));
            read(&settings).unwrap_err().to_string()
        };
        let error = with("HO_STORE", "embedded:.oversight");
        assert!(error.starts_with("HO_STORE cannot be used"), "{error}");
        let error = with("HO_MAIL", "file:.oversight/mail");
        assert!(error.starts_with("HO_MAIL cannot be used"), "{error}");
        let error = with("HO_SMTP_URL", "smtp://relay.example.com?tls=none");
        assert!(error.starts_with("HO_MAIL cannot be used"), "{error}");
        let error = with("HO_ALLOWED_APPROVERS", "alice@example.com,*@example.com");
        assert!(
            error.contains("the agent chooses the mailbox")
                && error.contains("HO_ALLOW_WILDCARD_LINKS=1"),
            "{error}"
        );
        let config = read(&all).unwrap();
        assert!(config.production);
        let gate_id = config.rows.default_gate_id;
        assert_eq!(gate_id.as_deref(), Some("gate.example.com"));
        // `HO_LOCAL` does not open the inbox in the cloud.
        let in_cloud = [all[0], ("HO_LOCAL", "1"), ("WEBSITE_INSTANCE_ID", "i")];
        assert!(read(&in_cloud).is_err());
        let vault = [all[0], ("HO_LINK_KEYS", "@Microsoft.KeyVault(SecretUri=x)")];
        assert!(
            read(&vault)
                .unwrap_err()
                .to_string()
                .contains("reference was not resolved")
        );
    }
}
