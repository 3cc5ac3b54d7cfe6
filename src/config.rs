//! The settings, all from the environment, read once. Nothing else reads it.

mod mail;
mod sign_in;
mod store;

use std::path::PathBuf;
use std::time::Duration;

use crate::address::{Address, AllowList};
use crate::agents::AgentKeys;
use crate::approval::Notes;
use crate::brand::Brand;
use crate::entra::SignIn;
use crate::identity::Principal;
use crate::keyring::{KeyError, NamedKey};
use crate::mailer::MailChoice;
use crate::store::RowSettings;

use mail::{brand, mail, mail_from, notes};
use sign_in::sign_in;
use store::gate_id_of;
pub use store::{StoreChoice, TableSettings};

/// How this gate was set up.
#[derive(Clone, Debug)]
pub struct Config {
    /// Whether people depend on it: behind the Functions host, and not on a developer's machine.
    pub production: bool,
    /// Whether the Functions host is before it.
    pub behind_host: bool,
    /// What to log, as `tracing` filters are written.
    pub log: String,
    /// The port to listen on, on loopback. 0 takes a free one.
    pub port: u16,
    /// The public address that links begin with, without a slash at the end; by itself the gate
    /// uses the address it listens on.
    pub base_url: Option<String>,
    /// Where requests are kept.
    pub store: StoreChoice,
    /// How their rows are written.
    pub rows: RowSettings,
    /// The folder of what a developer's gate keeps for itself.
    pub home: PathBuf,
    /// How mails are sent.
    pub mail: MailChoice,
    /// Which mails people get beside the question.
    pub mail_notes: Notes,
    /// Who mails are from.
    pub mail_from: Address,
    /// What mails show of the parameters.
    pub mail_parameters: MailParameters,
    /// How the gate presents itself.
    pub brand: Brand,
    /// Who may be named as an approver.
    pub allowed_approvers: AllowList,
    /// Sign-in with Microsoft Entra ID, where it is on.
    pub sign_in: Option<SignIn>,
    /// How many requests an agent may have open.
    pub open_limit: usize,
    /// Which agents each function key speaks for; any for all of them if not set.
    pub agent_keys: Option<AgentKeys>,
    /// The keys of links; kept in `home` if not set.
    pub link_keys: Option<Vec<NamedKey>>,
    /// The keys of receipts; kept in `home` if not set.
    pub receipt_keys: Option<Vec<NamedKey>>,
    /// How long people have to decide if the request does not say.
    pub default_timeout: Duration,
    /// How long an approval may be claimed.
    pub run_within: Duration,
    /// How long after the claim an outcome is expected.
    pub outcome_within: Duration,
    /// How often the gate sweeps when no host tells it to.
    pub sweep_every: Duration,
}

/// What mails show of the parameters. The page always shows all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MailParameters {
    /// All.
    Full,
    /// All but the values of members whose name sounds like a secret.
    Redacted,
    /// Nothing.
    None,
}

/// Why the gate does not start: one line that names the setting.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// A setting that production needs.
    #[error("{name} is not set: {why}")]
    Missing {
        /// The setting.
        name: &'static str,
        /// What it is for.
        why: &'static str,
    },
    /// A setting whose value cannot be used.
    #[error("{name} cannot be used: {why}")]
    Unusable {
        /// The setting.
        name: &'static str,
        /// What is wrong with the value.
        why: String,
    },
    /// A setting that holds no usable keys.
    #[error("{name} cannot be used: {error}")]
    Keys {
        /// The setting.
        name: &'static str,
        /// What is wrong.
        error: KeyError,
    },
}

/// The port that the Functions host gives its handler.
const HOST_PORT: &str = "FUNCTIONS_CUSTOMHANDLER_PORT";

impl Config {
    /// Reads the settings that `lookup` gives; an empty one counts as not set.
    ///
    /// # Errors
    /// When one is missing or cannot be used.
    pub fn read(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let get = |name| set(&lookup, name);
        let behind_host = get(HOST_PORT).is_some();
        // In the cloud, nobody's machine is a developer's.
        let in_cloud = get("WEBSITE_INSTANCE_ID").is_some();
        let local = get("HO_LOCAL").as_deref() == Some("1") && !in_cloud;
        let production = behind_host && !local;

        let TableSettings {
            store,
            mut rows,
            home,
            link_keys,
            receipt_keys,
        } = TableSettings::of(&get, production)?;
        let mail = mail(&get, production)?;
        let base_url = get("HO_BASE_URL")
            .map(|url| base_url(&url, production))
            .transpose()?;
        let of_host = base_url.as_deref().filter(|_| production);
        rows.default_gate_id = Some(of_host.map_or_else(|| "local".to_owned(), gate_id_of));
        let allowed_approvers = match get("HO_ALLOWED_APPROVERS") {
            Some(list) => AllowList::parse(&list).map_err(|_| {
                unusable(
                    "HO_ALLOWED_APPROVERS",
                    "it must list addresses (perhaps with `=` and an Entra object id) and `*@domain` patterns",
                )
            })?,
            None => AllowList::Anybody,
        };
        let agent_keys = get("HO_AGENT_KEYS").map(|list| {
            AgentKeys::parse(&list).ok_or_else(|| {
                unusable(
                    "HO_AGENT_KEYS",
                    "it must list SHA256=AGENT, each a function key's SHA-256 and an agent's name",
                )
            })
        });
        let agent_keys = agent_keys.transpose()?;
        let config = Self {
            production,
            behind_host,
            log: get("HO_LOG").unwrap_or_else(|| "info".to_owned()),
            port: match get(HOST_PORT) {
                Some(port) => parse(HOST_PORT, &port, 1..=u16::MAX.into())?,
                None => number(&get, "HO_PORT", 7071, 0..=u16::MAX.into())?,
            } as u16,
            base_url,
            store,
            rows,
            home,
            mail_from: mail_from(&get, &mail)?,
            mail,
            mail_notes: notes(&get)?,
            brand: brand(&get)?,
            mail_parameters: match get("HO_MAIL_PARAMETERS").as_deref() {
                None | Some("redacted") => MailParameters::Redacted,
                Some("full") => MailParameters::Full,
                Some("none") => MailParameters::None,
                Some(_) => {
                    return Err(unusable(
                        "HO_MAIL_PARAMETERS",
                        "it must be full, redacted or none",
                    ));
                }
            },
            allowed_approvers,
            sign_in: sign_in(&get, behind_host)?,
            open_limit: number(&get, "HO_OPEN_LIMIT", 1_000, 1..=10_000)? as usize,
            agent_keys,
            link_keys,
            receipt_keys,
            default_timeout: seconds(&get, "HO_DEFAULT_TIMEOUT", 3_600, 10..=2_592_000)?,
            run_within: seconds(&get, "HO_RUN_WITHIN", 3_600, 1..=2_592_000)?,
            outcome_within: seconds(&get, "HO_OUTCOME_WITHIN", 86_400, 1..=31_536_000)?,
            sweep_every: seconds(&get, "HO_SWEEP_SECONDS", 60, 1..=86_400)?,
        };
        match production {
            true => config.fit_for_production(),
            false => Ok(config),
        }
    }

    fn fit_for_production(self) -> Result<Self, ConfigError> {
        let missing = |name, why| Err(ConfigError::Missing { name, why });
        if self.base_url.is_none() {
            return missing(
                "HO_BASE_URL",
                "links in mails need the gate's public address",
            );
        }
        if self.allowed_approvers == AllowList::Anybody {
            return missing(
                "HO_ALLOWED_APPROVERS",
                "else an agent could name itself as approver",
            );
        }
        if self.link_keys.is_none() {
            return missing("HO_LINK_KEYS", "make one with `human-oversight keygen`");
        }
        if self.receipt_keys.is_none() {
            return missing("HO_RECEIPT_KEYS", "make one with `human-oversight keygen`");
        }
        match &self.store {
            StoreChoice::Embedded(_) => {
                return Err(unusable(
                    "HO_STORE",
                    "the embedded store is for development: it does not outlive an instance",
                ));
            }
            StoreChoice::Tables { account, .. } if !account.is_encrypted() => {
                return Err(unusable(
                    "HO_TABLES_CONNECTION_STRING",
                    "production stores over https only",
                ));
            }
            StoreChoice::Tables { .. } => {}
        }
        match &self.mail {
            MailChoice::File(_) => Err(unusable(
                "HO_MAIL",
                "the local inbox is for development: nobody would be mailed",
            )),
            mail if !mail.is_encrypted() => {
                Err(unusable("HO_MAIL", "production mails over TLS only"))
            }
            _ => Ok(self),
        }
    }
}

/// Where a developer's gate keeps what it keeps, unless it is told.
const HOME: &str = ".oversight";

/// An Azure resource by its endpoint, with tokens, or by its connection string: one of two settings.
fn resource<T>(
    get: &Lookup<'_>,
    [endpoint, connection_string]: [&'static str; 2],
    why: &'static str,
    at: impl Fn(&str) -> Result<T, &'static str>,
    from_connection_string: impl Fn(&str) -> Result<T, &'static str>,
) -> Result<T, ConfigError> {
    match (get(endpoint), get(connection_string)) {
        (Some(address), None) => at(&address).map_err(|why| unusable(endpoint, why)),
        (None, Some(text)) => {
            from_connection_string(&text).map_err(|why| unusable(connection_string, why))
        }
        (None, None) => Err(ConfigError::Missing {
            name: endpoint,
            why,
        }),
        (Some(_), Some(_)) => Err(unusable(
            connection_string,
            &format!("{endpoint} is set too, and only one of them can be meant"),
        )),
    }
}

/// Every Azure service that gives a program an identity says so by `IDENTITY_ENDPOINT`.
fn principal(get: &Lookup<'_>, production: bool) -> Principal {
    match production || get("IDENTITY_ENDPOINT").is_some() {
        true => Principal::ManagedIdentity(get("AZURE_CLIENT_ID")),
        false => Principal::AzureCli,
    }
}

/// An empty setting counts as not set.
fn set(lookup: impl Fn(&str) -> Option<String>, name: &str) -> Option<String> {
    let value = lookup(name).map(|value| value.trim().to_owned());
    value.filter(|value| !value.is_empty())
}

/// What a setting is, if it is set.
type Lookup<'a> = dyn Fn(&'static str) -> Option<String> + 'a;

fn unusable(name: &'static str, why: &str) -> ConfigError {
    ConfigError::Unusable {
        name,
        why: why.to_owned(),
    }
}

fn base_url(url: &str, production: bool) -> Result<String, ConfigError> {
    let url = url.trim_end_matches('/');
    let url = url.strip_suffix("/api").unwrap_or(url);
    let host = url
        .strip_prefix("https://")
        .or_else(|| url.strip_prefix("http://").filter(|_| !production));
    match host {
        Some(host) if !host.is_empty() && !host.contains(['/', '?', '#', '@', ' ']) => {
            Ok(url.to_owned())
        }
        _ => Err(unusable(
            "HO_BASE_URL",
            "it must be `https://` and a host, without a path",
        )),
    }
}

fn seconds(
    get: &Lookup<'_>,
    name: &'static str,
    default: u64,
    range: std::ops::RangeInclusive<u64>,
) -> Result<Duration, ConfigError> {
    number(get, name, default, range).map(Duration::from_secs)
}

fn number(
    get: &Lookup<'_>,
    name: &'static str,
    default: u64,
    range: std::ops::RangeInclusive<u64>,
) -> Result<u64, ConfigError> {
    get(name).map_or(Ok(default), |text| parse(name, &text, range))
}

fn parse(
    name: &'static str,
    text: &str,
    range: std::ops::RangeInclusive<u64>,
) -> Result<u64, ConfigError> {
    text.parse()
        .ok()
        .filter(|number| range.contains(number))
        .ok_or_else(|| {
            unusable(
                name,
                &format!(
                    "it must be a whole number from {} to {}",
                    range.start(),
                    range.end()
                ),
            )
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keyring;

    pub(super) fn read(settings: &[(&str, &str)]) -> Result<Config, ConfigError> {
        Config::read(|name| {
            settings
                .iter()
                .find(|(n, _)| *n == name)
                .map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn nothing_set_is_a_developers_machine() {
        let config = read(&[]).unwrap();
        assert!(!config.production);
        assert_eq!(
            (config.port, config.sweep_every),
            (7071, Duration::from_secs(60))
        );
        assert_eq!(config.allowed_approvers, AllowList::Anybody);
        let local = read(&[(HOST_PORT, "4711"), ("HO_LOCAL", "1")]).unwrap();
        assert_eq!(
            (local.production, local.port, local.behind_host),
            (false, 4711, true)
        );
    }

    #[test]
    fn every_value_that_cannot_be_used_is_named() {
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
            ("HO_DEFAULT_TIMEOUT", "9"),
            ("HO_RUN_WITHIN", "0"),
            ("HO_OUTCOME_WITHIN", "-1"),
            ("HO_SWEEP_SECONDS", "0"),
            ("HO_IDENTITY", "password"),
            ("HO_OPEN_LIMIT", "0"),
            ("HO_ROWS", "3"),
            ("HO_GATE_ID", "a b"),
            ("HO_GATE_ID", "a,"),
            ("HO_GATE_ID", "a,b,c"),
            ("HO_BASE_URL", "example.com"),
            ("HO_BASE_URL", "https://example.com/path"),
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
        for url in ["https://gate.example.com/", "https://gate.example.com/api/"] {
            let config = read(&[("HO_BASE_URL", url)]).unwrap();
            assert_eq!(config.base_url.as_deref(), Some("https://gate.example.com"));
        }
    }

    #[test]
    fn production_starts_with_everything_or_not_at_all() {
        let link = keyring::fresh_link_key();
        let receipt = keyring::fresh_receipt_key();
        let all = [
            (HOST_PORT, "4711"),
            ("HO_BASE_URL", "https://gate.example.com"),
            ("HO_ALLOWED_APPROVERS", "*@example.com"),
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
        let but = |name, value| {
            let settings = all.map(|(n, v)| (n, if n == name { value } else { v }));
            read(&settings).unwrap_err().to_string()
        };
        let error = but("HO_STORE", "embedded:.oversight");
        assert!(error.starts_with("HO_STORE cannot be used"), "{error}");
        let error = but("HO_MAIL", "file:.oversight/mail");
        assert!(error.starts_with("HO_MAIL cannot be used"), "{error}");
        let error = but("HO_SMTP_URL", "smtp://relay.example.com?tls=none");
        assert!(error.starts_with("HO_MAIL cannot be used"), "{error}");
        let config = read(&all).unwrap();
        assert!(config.production);
        let gate_id = config.rows.default_gate_id;
        assert_eq!(gate_id.as_deref(), Some("gate.example.com"));
        // No setting opens the inbox in the cloud.
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
