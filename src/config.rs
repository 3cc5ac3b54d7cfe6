//! The settings, all from the environment, read once. Nothing else reads it.

use std::path::PathBuf;
use std::time::Duration;

use crate::address::{Address, AllowList};
use crate::approval::Notes;
use crate::brand::Brand;
use crate::identity::Principal;
use crate::keyring::{self, KeyError, NamedKey};
use crate::mailer::{Communication, Graph365, MailChoice, Relay};
use crate::store::Account;

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

/// Where requests are kept.
#[derive(Clone, Debug)]
pub enum StoreChoice {
    /// In a file of this folder.
    Embedded(PathBuf),
    /// In a table of a storage account.
    Tables {
        /// The account.
        account: Account,
        /// The table's name.
        table: String,
    },
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
        let get = |name| {
            lookup(name)
                .map(|v| v.trim().to_owned())
                .filter(|v| !v.is_empty())
        };
        let behind_host = get(HOST_PORT).is_some();
        // In the cloud, nobody's machine is a developer's.
        let in_cloud = get("WEBSITE_INSTANCE_ID").is_some();
        let local = get("HO_LOCAL").as_deref() == Some("1") && !in_cloud;
        let production = behind_host && !local;

        let store = store(&get, production)?;
        let home = match &store {
            StoreChoice::Embedded(dir) => dir.clone(),
            StoreChoice::Tables { .. } => PathBuf::from(HOME),
        };
        let mail = mail(&get, production)?;
        let base_url = get("HO_BASE_URL")
            .map(|url| base_url(&url, production))
            .transpose()?;
        let allowed_approvers = match get("HO_ALLOWED_APPROVERS") {
            Some(list) => AllowList::parse(&list).map_err(|_| {
                unusable(
                    "HO_ALLOWED_APPROVERS",
                    "it must list addresses and `*@domain` patterns",
                )
            })?,
            None => AllowList::Anybody,
        };
        let key_list = |name| {
            get(name)
                .map(|list| {
                    keyring::parse(&list).map_err(|error| ConfigError::Keys { name, error })
                })
                .transpose()
        };
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
            link_keys: key_list("HO_LINK_KEYS")?,
            receipt_keys: key_list("HO_RECEIPT_KEYS")?,
            default_timeout: seconds(&get, "HO_DEFAULT_TIMEOUT", 3_600, 10..=2_592_000)?,
            run_within: seconds(&get, "HO_RUN_WITHIN", 3_600, 1..=2_592_000)?,
            outcome_within: seconds(&get, "HO_OUTCOME_WITHIN", 86_400, 1..=31_536_000)?,
            sweep_every: seconds(&get, "HO_SWEEP_SECONDS", 60, 1..=86_400)?,
        };
        if let Some(identity) = get("HO_IDENTITY")
            && identity != "link"
        {
            return Err(unusable("HO_IDENTITY", "it must be link"));
        }
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
                    CONNECTION_STRING,
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

const ENDPOINT: &str = "HO_TABLES_ENDPOINT";
const CONNECTION_STRING: &str = "HO_TABLES_CONNECTION_STRING";

fn store(
    get: &impl Fn(&'static str) -> Option<String>,
    production: bool,
) -> Result<StoreChoice, ConfigError> {
    let store = get("HO_STORE").unwrap_or_else(|| format!("embedded:{HOME}"));
    match store.split_once(':') {
        None if store == "tables" => {}
        Some(("embedded", dir)) if !dir.is_empty() => {
            return Ok(StoreChoice::Embedded(PathBuf::from(dir)));
        }
        _ => {
            return Err(unusable(
                "HO_STORE",
                "it must be `tables` or `embedded:FOLDER`",
            ));
        }
    }
    let account = match (get(ENDPOINT), get(CONNECTION_STRING)) {
        (Some(endpoint), None) => {
            let principal = principal(get, production);
            Account::at(&endpoint, principal).map_err(|why| unusable(ENDPOINT, why))?
        }
        (None, Some(text)) => Account::from_connection_string(&text)
            .map_err(|why| unusable(CONNECTION_STRING, why))?,
        (None, None) => {
            return Err(ConfigError::Missing {
                name: ENDPOINT,
                why: "HO_STORE=tables needs an account (or HO_TABLES_CONNECTION_STRING)",
            });
        }
        (Some(_), Some(_)) => {
            return Err(unusable(
                CONNECTION_STRING,
                "HO_TABLES_ENDPOINT is set too, and only one of them can be meant",
            ));
        }
    };
    let table = get("HO_TABLE").unwrap_or_else(|| "approvals".to_owned());
    let is_name = (3..=TABLE_CHARS).contains(&table.len())
        && table.starts_with(|c: char| c.is_ascii_lowercase())
        && table
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    if !is_name {
        return Err(unusable(
            "HO_TABLE",
            "it must have 3 to 59 lower-case letters and digits, a letter first",
        ));
    }
    Ok(StoreChoice::Tables { account, table })
}

fn mail(
    get: &impl Fn(&'static str) -> Option<String>,
    production: bool,
) -> Result<MailChoice, ConfigError> {
    const ACS_ENDPOINT: &str = "HO_ACS_ENDPOINT";
    const ACS_CONNECTION_STRING: &str = "HO_ACS_CONNECTION_STRING";
    let needed = |name, why| get(name).ok_or(ConfigError::Missing { name, why });
    let mail = get("HO_MAIL").unwrap_or_else(|| format!("file:{HOME}/mail"));
    match mail.split_once(':').unwrap_or((&mail, "")) {
        ("file", dir) if !dir.is_empty() => Ok(MailChoice::File(PathBuf::from(dir))),
        ("smtp", "") => {
            let url = needed("HO_SMTP_URL", "HO_MAIL=smtp needs a relay")?;
            let password = get("HO_SMTP_PASSWORD");
            let authorities = get("HO_SMTP_CA").map(PathBuf::from);
            let relay = Relay::parse(&url, password.as_deref(), authorities)
                .map_err(|why| unusable("HO_SMTP_URL", why))?;
            Ok(MailChoice::Smtp(relay))
        }
        ("acs", "") => {
            let resource = match (get(ACS_ENDPOINT), get(ACS_CONNECTION_STRING)) {
                (Some(endpoint), None) => Communication::at(&endpoint, principal(get, production))
                    .map_err(|why| unusable(ACS_ENDPOINT, why))?,
                (None, Some(text)) => Communication::from_connection_string(&text)
                    .map_err(|why| unusable(ACS_CONNECTION_STRING, why))?,
                (None, None) => {
                    return Err(ConfigError::Missing {
                        name: ACS_ENDPOINT,
                        why: "HO_MAIL=acs needs a resource (or HO_ACS_CONNECTION_STRING)",
                    });
                }
                (Some(_), Some(_)) => {
                    return Err(unusable(
                        ACS_CONNECTION_STRING,
                        "HO_ACS_ENDPOINT is set too, and only one of them can be meant",
                    ));
                }
            };
            Ok(MailChoice::Acs(resource))
        }
        ("graph", "") => {
            let mailbox = needed("HO_GRAPH_MAILBOX", "HO_MAIL=graph needs a mailbox")?;
            let mailbox = Address::parse(&mailbox).ok_or_else(|| {
                unusable("HO_GRAPH_MAILBOX", "it must be the mailbox's plain address")
            })?;
            let endpoint = get("HO_GRAPH_ENDPOINT");
            Graph365::new(mailbox, endpoint.as_deref(), principal(get, production))
                .map(MailChoice::Graph)
                .map_err(|why| unusable("HO_GRAPH_ENDPOINT", why))
        }
        _ => Err(unusable(
            "HO_MAIL",
            "it must be `smtp`, `acs`, `graph` or `file:FOLDER`",
        )),
    }
}

fn mail_from(
    get: &impl Fn(&'static str) -> Option<String>,
    mail: &MailChoice,
) -> Result<Address, ConfigError> {
    const NAME: &str = "HO_MAIL_FROM";
    match (get(NAME), mail) {
        (Some(from), _) => {
            Address::parse(&from).ok_or_else(|| unusable(NAME, "it must be a plain mail address"))
        }
        (None, MailChoice::File(_)) => {
            Ok(Address::parse("oversight@localhost.invalid").expect("a plain address"))
        }
        (None, MailChoice::Graph(graph)) => Ok(graph.mailbox.clone()),
        (None, _) => Err(ConfigError::Missing {
            name: NAME,
            why: "mails need a sender",
        }),
    }
}

/// `HO_MAIL_NOTES`: all, unless it names some of them, or `none`.
fn notes(get: &impl Fn(&'static str) -> Option<String>) -> Result<Notes, ConfigError> {
    let Some(list) = get("HO_MAIL_NOTES") else {
        return Ok(Notes::ALL);
    };
    let mut notes = Notes {
        reminders: false,
        outcome: false,
        withdrawn: false,
    };
    for name in list.split(',').map(str::trim) {
        match name {
            "reminders" => notes.reminders = true,
            "outcome" => notes.outcome = true,
            "withdrawn" => notes.withdrawn = true,
            "none" if list == "none" => {}
            _ => {
                return Err(unusable(
                    "HO_MAIL_NOTES",
                    "it must list reminders, outcome, withdrawn, or be none",
                ));
            }
        }
    }
    Ok(notes)
}

fn brand(get: &impl Fn(&'static str) -> Option<String>) -> Result<Brand, ConfigError> {
    let line = |name, most| {
        let checked = get(name).map(|text| Brand::line(&text, most)).transpose();
        checked.map_err(|why| unusable(name, &why))
    };
    let standard = Brand::default();
    let colour = get("HO_BRAND_COLOR").map(|text| Brand::colour(&text));
    let colour = colour
        .transpose()
        .map_err(|why| unusable("HO_BRAND_COLOR", &why))?;
    Ok(Brand {
        name: line("HO_BRAND_NAME", 60)?.unwrap_or(standard.name),
        colour: colour.unwrap_or(standard.colour),
        subject_prefix: line("HO_SUBJECT_PREFIX", 30)?,
        contact: line("HO_BRAND_CONTACT", 200)?,
        footer: line("HO_BRAND_FOOTER", 300)?,
    })
}

/// Every Azure service that gives a program an identity says so by `IDENTITY_ENDPOINT`.
fn principal(get: &impl Fn(&'static str) -> Option<String>, production: bool) -> Principal {
    match production || get("IDENTITY_ENDPOINT").is_some() {
        true => Principal::ManagedIdentity(get("AZURE_CLIENT_ID")),
        false => Principal::AzureCli,
    }
}

/// A table's name has 63 characters at most, and the index's begins with `open`. Power BI's connector
/// does not find tables whose names have capitals.
const TABLE_CHARS: usize = 59;

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
    get: &impl Fn(&'static str) -> Option<String>,
    name: &'static str,
    default: u64,
    range: std::ops::RangeInclusive<u64>,
) -> Result<Duration, ConfigError> {
    number(get, name, default, range).map(Duration::from_secs)
}

fn number(
    get: &impl Fn(&'static str) -> Option<String>,
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

    fn read(settings: &[(&str, &str)]) -> Result<Config, ConfigError> {
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
            ("HO_MAIL_PARAMETERS", "some"),
            ("HO_ALLOWED_APPROVERS", "contoso.com"),
            ("HO_DEFAULT_TIMEOUT", "9"),
            ("HO_RUN_WITHIN", "0"),
            ("HO_OUTCOME_WITHIN", "-1"),
            ("HO_SWEEP_SECONDS", "0"),
            ("HO_IDENTITY", "password"),
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
    fn tables_take_one_account_and_a_name() {
        let endpoint = (ENDPOINT, "https://store1.table.core.windows.net");
        let string = (CONNECTION_STRING, "UseDevelopmentStorage=true");
        let tables = ("HO_STORE", "tables");
        let sign_in = |settings: &[(&str, &str)]| match read(settings).unwrap().store {
            StoreChoice::Tables { account, .. } => format!("{account:?}"),
            other => panic!("{other:?}"),
        };
        assert!(sign_in(&[tables, endpoint]).contains("AzureCli"));
        let identity = ("IDENTITY_ENDPOINT", "http://127.0.0.1:1/msi");
        assert!(sign_in(&[tables, endpoint, identity]).contains("ManagedIdentity(None)"));
        let named = ("AZURE_CLIENT_ID", "1-2-3");
        assert!(sign_in(&[tables, endpoint, identity, named]).contains("1-2-3"));
        assert!(sign_in(&[tables, string]).contains("devstoreaccount1"));

        for (settings, name) in [
            (vec![tables], ENDPOINT),
            (vec![tables, endpoint, string], CONNECTION_STRING),
            (vec![tables, (ENDPOINT, "http://x")], ENDPOINT),
            (vec![tables, (CONNECTION_STRING, "x")], CONNECTION_STRING),
            (vec![tables, string, ("HO_TABLE", "Approvals")], "HO_TABLE"),
            (vec![tables, string, ("HO_TABLE", "1a")], "HO_TABLE"),
        ] {
            let error = read(&settings).unwrap_err().to_string();
            assert!(error.starts_with(name), "{error}");
        }
    }

    #[test]
    fn each_transport_needs_its_settings() {
        let from = ("HO_MAIL_FROM", "gate@example.com");
        let relay = (
            "HO_SMTP_URL",
            "smtps://gate%40example.com:x%20y@relay.example.com",
        );
        let mail = |choice| ("HO_MAIL", choice);
        for settings in [
            vec![mail("smtp"), relay, from],
            vec![
                mail("acs"),
                ("HO_ACS_ENDPOINT", "https://x.communication.azure.com"),
                from,
            ],
            vec![
                mail("acs"),
                (
                    "HO_ACS_CONNECTION_STRING",
                    "endpoint=https://x.communication.azure.com/;accesskey=a2V5",
                ),
                from,
            ],
            vec![mail("graph"), ("HO_GRAPH_MAILBOX", "gate@example.com")],
        ] {
            let config = read(&settings).unwrap();
            assert_eq!(config.mail_from.as_str(), "gate@example.com");
            assert!(
                !format!("{:?}", config.mail).contains("x y"),
                "{:?}",
                config.mail
            );
            assert!(
                !format!("{:?}", config.mail).contains("a2V5"),
                "{:?}",
                config.mail
            );
        }
        for (settings, name) in [
            (vec![mail("smtp"), from], "HO_SMTP_URL"),
            (vec![mail("smtp"), relay], "HO_MAIL_FROM"),
            (
                vec![
                    mail("smtp"),
                    ("HO_SMTP_URL", "smtp://secret@relay.example.com"),
                ],
                "HO_SMTP_URL",
            ),
            (
                vec![
                    mail("smtp"),
                    ("HO_SMTP_URL", "smtp://a:secret@r.example.com?tls=none"),
                ],
                "HO_SMTP_URL",
            ),
            (
                vec![mail("smtp"), ("HO_SMTP_URL", "http://secret")],
                "HO_SMTP_URL",
            ),
            (vec![mail("acs"), from], "HO_ACS_ENDPOINT"),
            (
                vec![mail("acs"), ("HO_ACS_ENDPOINT", "http://secret")],
                "HO_ACS_ENDPOINT",
            ),
            (
                vec![
                    mail("acs"),
                    ("HO_ACS_CONNECTION_STRING", "accesskey=secret"),
                ],
                "HO_ACS_CONNECTION_STRING",
            ),
            (vec![mail("graph")], "HO_GRAPH_MAILBOX"),
            (
                vec![mail("graph"), ("HO_GRAPH_MAILBOX", "secret")],
                "HO_GRAPH_MAILBOX",
            ),
        ] {
            let error = read(&settings).unwrap_err().to_string();
            assert!(
                error.starts_with(name) && !error.contains("secret"),
                "{error}"
            );
        }
        let notes = read(&[("HO_MAIL_NOTES", "outcome, withdrawn")])
            .unwrap()
            .mail_notes;
        assert!(!notes.reminders && notes.outcome && notes.withdrawn);
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
            (ENDPOINT, "https://store1.table.core.windows.net"),
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
        assert!(read(&all).unwrap().production);
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
