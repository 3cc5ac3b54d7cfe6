//! The settings, read once from the environment. No other module reads it.

mod address;
mod agent_identity;
mod agent_keys;
mod approvers;
mod asking;
mod authentication;
mod channels;
mod environment;
mod error;
mod idle;
mod known;
mod log;
mod lookup;
mod mail;
mod policy;
mod schedule;
mod sign_in;
mod store;
mod upgrade;
mod vault;

use std::path::PathBuf;
use std::time::Duration;

use human_oversight_protocol::types::TIMEOUT_SECONDS;
use tracing_subscriber::filter::Targets;

use crate::azure::{SignIn, SignInPolicy};
use crate::channels::Channel;
use crate::domain::{Budgets, NotificationSettings};
use crate::keys::{AgentKeys, KeyError, KeyKind, LinkKeys, NamedKey, ReceiptKeys};
use crate::mailer::TransportConfig;
use crate::policy::{Policy, Surroundings};
use crate::render::{Brand, ParameterDisclosure};
use crate::store::{OpenedBy, RowSettings, RowVersion};
use crate::values::{Address, AllowList, People};

use address::{base_url, issuers};
pub use agent_identity::AgentIdentity;
use agent_identity::agent_identity;
use agent_keys::agent_keys;
pub use approvers::read_allowed_approvers;
use approvers::{allowed_approvers, check_groups};
use asking::{budgets, open_limit, reask_after, reject_reasons};
use channels::channels;
pub use environment::ensure_text;
pub use error::{ConfigError, ConfigErrors};
pub use idle::idle_settings;
pub use known::{KnownSettings, UnknownSetting};
pub use log::{LogFormat, hides_events};
use log::{log_filter, log_format};
use lookup::{Lookup, explain_quotes, flag, non_empty, port, seconds, unusable};
use mail::{brand, local_sender, mail_from, notifications, parameter_disclosure, transport};
use policy::policy;
pub use schedule::SweepSchedule;
use schedule::sweep_schedule;
use sign_in::sign_in;
use store::gate_id_of;
pub use store::{StoreConfig, StoreSettings, is_gate_id};
pub use upgrade::{UpgradeItem, upgrade_items};
use vault::References;
pub use vault::is_vault_reference;

/// The settings of a gate.
#[derive(Clone, Debug)]
pub struct Config {
    /// Whether the gate is not for local development: it runs behind the Functions host, and `HO_LOCAL` is not
    /// set.
    pub production: bool,
    /// Whether requests come through the Functions host.
    pub behind_host: bool,
    /// The filter of the log.
    pub log: Targets,
    /// The form of its lines.
    pub log_format: LogFormat,
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
    /// How agents prove who they are.
    pub agent_identity: AgentIdentity,
    /// The agents that each function key or identity may act for; without it, each may act for every agent.
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
    /// The reasons for a rejection that the page offers; none if it offers free text alone.
    pub reject_reasons: Vec<String>,
    /// The organisation's policy.
    pub policy: Option<Policy>,
    /// The channels that the policy names.
    pub channels: Vec<Channel>,
    /// Whether channels may lead to any address.
    pub channels_allow_private: bool,
    /// Whether everything is paused, whatever the store says.
    pub paused: bool,
}

/// The setting in which the Functions host passes the port to its handler.
const HOST_PORT: &str = "FUNCTIONS_CUSTOMHANDLER_PORT";

impl Config {
    /// Reads the settings through `lookup`; an empty one counts as not set.
    ///
    /// # Errors
    /// All the settings that are missing or cannot be used.
    pub fn read(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigErrors> {
        let (config, errors) = Self::inspect(lookup);
        errors.finish(config)
    }

    /// Reads the settings as [`Config::read`] does, for a check: with placeholders for those that cannot be used.
    pub fn inspect(lookup: impl Fn(&str) -> Option<String>) -> (Self, ConfigErrors) {
        let references = References::default();
        let mut errors = ConfigErrors::default();
        let config = Self::parse(references.noting(&lookup), &mut errors);
        references.refuse(&mut errors);
        explain_quotes(&mut errors, lookup);
        (config, errors)
    }

    fn parse(lookup: impl Fn(&str) -> Option<String>, errors: &mut ConfigErrors) -> Self {
        let get = |name| non_empty(&lookup, name);
        let behind_host = get(HOST_PORT).is_some();
        let is_local = is_local(&get, errors);
        let production = behind_host && !is_local;
        let StoreSettings {
            store,
            mut rows,
            default_gate_id: _,
            home,
            link_keys,
            receipt_keys,
        } = StoreSettings::parse(&get, production, errors);
        let mail = transport(&get, production, errors);
        let base_url = errors.or(base_url(&get, production), None);
        let public_url = base_url.as_deref().filter(|_| production);
        rows.default_gate_id = Some(public_url.map_or_else(|| "local".to_owned(), gate_id_of));
        let paused = errors.or(flag(&get, "HO_PAUSED"), true);
        rows.opened_by = OpenedBy::Gate { is_paused: paused };
        let default_timeout = errors.or(default_timeout(&get), Duration::ZERO);
        let mut time =
            |name, default, range| errors.or(seconds(&get, name, default, range), Duration::ZERO);
        let mut config = Self {
            default_timeout,
            run_within: time("HO_RUN_WITHIN", 900, 1..=2_592_000),
            outcome_within: time("HO_OUTCOME_WITHIN", 86_400, 1..=31_536_000),
            sweep_every: time("HO_SWEEP_SECONDS", 60, 1..=86_400),
            production,
            behind_host,
            log: errors.or(log_filter(&get), Targets::new()),
            log_format: errors.or(log_format(&get), LogFormat::Text),
            port: errors.or(listening_port(&get), 0),
            base_url,
            issuers: errors.or(issuers(&get, production), Vec::new()),
            store,
            rows,
            home,
            mail_from: errors.or(mail_from(&get, mail.as_ref()), local_sender()),
            mail: mail.unwrap_or_else(|| TransportConfig::File(PathBuf::new())),
            notifications: errors.or(notifications(&get), NotificationSettings::ALL),
            brand: brand(&get, errors),
            parameter_disclosure: errors.or(parameter_disclosure(&get), ParameterDisclosure::None),
            allowed_approvers: errors.or(allowed_approvers(&get), AllowList::Anyone),
            wildcard_links_allowed: errors.or(flag(&get, "HO_ALLOW_WILDCARD_LINKS"), false),
            sign_in: sign_in(&get, behind_host, errors),
            open_limit: errors.or(open_limit(&get), 0),
            agent_identity: agent_identity(&get, behind_host, errors),
            agent_keys: errors.or(agent_keys(&get), None),
            link_keys,
            receipt_keys,
            budgets: budgets(&get, errors),
            sweep_schedule: errors.or(sweep_schedule(&get, behind_host), None),
            policy: None,
            channels: Vec::new(),
            channels_allow_private: errors.or(flag(&get, "HO_CHANNELS_ALLOW_PRIVATE"), false),
            reject_reasons: errors.or(reject_reasons(&get), Vec::new()),
            paused,
            reask_after: errors.or(reask_after(&get), None),
        };
        check_groups(&config.allowed_approvers, config.sign_in.is_some(), errors);
        config.policy = policy(&get, &lookup, &config.surroundings(), errors);
        let allows_private = config.channels_allow_private;
        config.channels = channels(config.policy.as_ref(), &lookup, allows_private, errors);
        config.check_rows(errors);
        config.check_reask(errors);
        config.check_keys(errors);
        if production {
            config.check_for_production(errors);
        }
        config
    }

    /// The settings that cannot be used, of those that `lookup` knows: the keys of a gate in the cloud, for one,
    /// are known only there.
    pub fn unusable_settings(lookup: impl Fn(&str) -> Option<String>) -> Vec<ConfigError> {
        let is_known = |error: &ConfigError| {
            !matches!(error, ConfigError::Unresolved { .. })
                && non_empty(&lookup, error.name()).is_some()
        };
        match Self::read(&lookup) {
            Ok(_) => Vec::new(),
            Err(errors) => errors.into_iter().filter(is_known).collect(),
        }
    }

    /// What of settings that need not be whole a policy depends on.
    ///
    /// # Errors
    /// Those of them that are set and cannot be used.
    pub fn read_surroundings(
        lookup: impl Fn(&str) -> Option<String>,
    ) -> Result<Surroundings, ConfigErrors> {
        policy::surroundings(&lookup, Self::unusable_settings(&lookup))
    }

    /// The time to decide of a request that names none, of settings that need not be whole.
    ///
    /// # Errors
    /// When it is set and cannot be used.
    pub fn read_default_timeout(
        lookup: impl Fn(&str) -> Option<String>,
    ) -> Result<Duration, ConfigError> {
        default_timeout(&|name| non_empty(&lookup, name))
    }

    /// The people to whom the policy or the operator's list gives object ids.
    pub fn people(&self) -> People {
        match &self.policy {
            Some(policy) => policy.people().clone(),
            None => self.allowed_approvers.known_people(),
        }
    }

    /// What of the settings a policy depends on.
    pub fn surroundings(&self) -> Surroundings {
        Surroundings {
            allowed: self.allowed_approvers.clone(),
            sign_in_configured: self.sign_in.is_some(),
            names_bound: self.agent_keys.is_some(),
            development: !self.production,
        }
    }

    /// Refuses rows of version 1 where these have no room for what other settings put into them.
    fn check_rows(&self, errors: &mut ConfigErrors) {
        if self.rows.version != RowVersion::V1 {
            return;
        }
        if self.policy.is_some() {
            errors.push(unusable(
                "HO_ROWS",
                "rows of version 1 have no room for what a policy decides: first set HO_ROWS=2 on every instance",
            ));
        }
        if self.agent_identity != AgentIdentity::Key {
            errors.push(unusable(
                "HO_ROWS",
                "rows of version 1 have no room for the owner that HO_AGENT_IDENTITY gives them: first set HO_ROWS=2 \
                 on every instance",
            ));
        }
    }

    /// Refuses a policy that needs rejections, where none is kept.
    fn check_reask(&self, errors: &mut ConfigErrors) {
        let refuses = self.policy.as_ref().is_some_and(Policy::refuses_rejected);
        if refuses && self.reask_after.is_none() {
            errors.push(unusable(
                "HO_REASK_AFTER",
                "a rule of the policy has `reask = \"refuse\"`, so it must be the time for which a rejection is kept",
            ));
        }
    }

    /// Refuses keys that are of another kind than their setting.
    fn check_keys(&self, errors: &mut ConfigErrors) {
        let mut check = |name, keys: Option<KeyError>| {
            if let Some(error) = keys {
                errors.push(ConfigError::Keys { name, error });
            }
        };
        let link = self.link_keys.as_deref();
        check(
            KeyKind::Link.setting(),
            link.and_then(|keys| LinkKeys::new(keys).err()),
        );
        let receipt = self.receipt_keys.as_deref();
        check(
            KeyKind::Receipt.setting(),
            receipt.and_then(|keys| ReceiptKeys::new(keys).err()),
        );
    }

    /// Refuses settings that would not protect a production gate. Store and transport are checked where they
    /// are read.
    fn check_for_production(&self, errors: &mut ConfigErrors) {
        let mut require = |is_set: bool, name, why| {
            if !is_set {
                errors.push(ConfigError::Missing { name, why });
            }
        };
        require(
            self.base_url.is_some(),
            "HO_BASE_URL",
            "links in emails need the public URL of the gate",
        );
        require(
            self.allowed_approvers != AllowList::Anyone,
            "HO_ALLOWED_APPROVERS",
            "without a list, an agent could name any address as its approver",
        );
        let keygen = "generate one with `human-oversight keygen`";
        require(self.link_keys.is_some(), KeyKind::Link.setting(), keygen);
        require(
            self.receipt_keys.is_some(),
            KeyKind::Receipt.setting(),
            keygen,
        );

        let links_decide = !matches!(&self.sign_in, Some(it) if it.policy == SignInPolicy::Always);
        // A setting that cannot be used may have been meant to allow the pattern.
        let is_meant = ["HO_IDENTITY", "HO_ALLOW_WILDCARD_LINKS"]
            .iter()
            .any(|name| errors.contains(name));
        if self.allowed_approvers.has_pattern()
            && links_decide
            && !self.wildcard_links_allowed
            && !is_meant
        {
            errors.push(unusable(
                "HO_ALLOWED_APPROVERS",
                "with a `*@domain` pattern the agent chooses the mailbox that gets link and code, which may \
                 be its own, a distribution list or an alias: name the addresses, or require sign-in with \
                 HO_IDENTITY=entra, or set HO_ALLOW_WILDCARD_LINKS=1 to accept that",
            ));
        }
    }
}

/// Whether a gate behind the host is for local development. `HO_LOCAL` has no effect in the cloud.
fn is_local(get: &Lookup<'_>, errors: &mut ConfigErrors) -> bool {
    let is_set = errors.or(flag(get, "HO_LOCAL"), false);
    is_set && get("WEBSITE_INSTANCE_ID").is_none()
}

fn default_timeout(get: &Lookup<'_>) -> Result<Duration, ConfigError> {
    seconds(get, "HO_DEFAULT_TIMEOUT", 3_600, TIMEOUT_SECONDS)
}

fn listening_port(get: &Lookup<'_>) -> Result<u16, ConfigError> {
    if get(HOST_PORT).is_some() {
        port(get, HOST_PORT, 0, 1)
    } else {
        port(get, "HO_PORT", 7071, 0)
    }
}

#[cfg(test)]
mod tests;
