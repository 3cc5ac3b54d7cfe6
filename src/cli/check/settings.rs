//! Whether the settings can be used, and fit each other.

use human_oversight::app::{Finding, Grade};
use human_oversight::config::{
    Config, ConfigError, ConfigErrors, KnownSettings, UnknownSetting, idle_settings,
    is_vault_reference,
};
use human_oversight::policy::Policy;

use super::super::environment;

/// The settings as the program has them, and as the deployed gate would judge them.
pub(super) struct Settings {
    /// With the errors of the settings as they are judged.
    pub(super) config: Config,
    errors: ConfigErrors,
    /// Whether they are of a gate in the cloud.
    pub(super) is_deployed: bool,
    /// Whether this program runs where the platform sets what only it knows.
    is_on_platform: bool,
}

const POLICY: [&str; 2] = ["HO_POLICY", "HO_POLICY_FILE"];

/// What only the platform sets, with the values that a deployed gate gets.
const PLATFORM: [(&str, &str); 2] = [
    ("FUNCTIONS_CUSTOMHANDLER_PORT", "7071"),
    ("WEBSITE_AUTH_ENABLED", "True"),
];

impl Settings {
    /// Whether the setting of this name has an error.
    pub(super) fn cannot_use(&self, name: &str) -> bool {
        self.errors.iter().any(|error| error.name() == name)
    }

    /// Reads the settings. Those with tables and an https address are judged as of a deployed gate.
    pub(super) fn read(lookup: impl Fn(&str) -> Option<String>) -> Self {
        let is = |name, value: &str| lookup(name).is_some_and(|it| it.trim() == value);
        let has_address = lookup("HO_BASE_URL").is_some_and(|url| url.trim().starts_with("https:"));
        let is_on_platform = lookup("WEBSITE_INSTANCE_ID").is_some();
        let is_deployed =
            is_on_platform || (is("HO_STORE", "tables") && has_address && !is("HO_LOCAL", "1"));
        let (config, errors) = Config::inspect(&lookup);
        if !is_deployed || is_on_platform {
            return Self {
                config,
                errors,
                is_deployed,
                is_on_platform,
            };
        }
        let (judged, errors) = Config::inspect(|name| {
            let platform = || PLATFORM.into_iter().find(|(known, _)| *known == name);
            lookup(name).or_else(|| platform().map(|(_, value)| value.to_owned()))
        });
        Self {
            // The account that is signed in to the Azure CLI, not the gate's identity, works for this program.
            config: Config {
                store: config.store,
                mail: config.mail,
                ..judged
            },
            errors,
            is_deployed,
            is_on_platform,
        }
    }

    /// What is said of that for which settings of these names are needed, or that begin so if `_` ends it: nothing if
    /// they can be used, and this failure if one cannot. A reference to the vault is none outside the app.
    pub(super) fn fault(&self, names: &[&str], failure: &str) -> Option<Finding> {
        let is_one = |error: &&ConfigError| {
            let named = |it: &&str| {
                error.name() == *it || it.ends_with('_') && error.name().starts_with(*it)
            };
            names.iter().any(named)
        };
        let judged = self
            .errors
            .iter()
            .filter(is_one)
            .map(|it| self.judge(it).grade);
        match judged.max()? {
            Grade::Failed => Some(Finding::failed(failure)),
            _ => Some(Finding::warning(
                "not checked: a setting refers to the vault",
            )),
        }
    }

    /// Whether this is the value of a setting. Outside the app, a reference to the vault stands for one that is not known.
    pub(super) fn is_value(&self, value: &str) -> bool {
        self.is_on_platform || !is_vault_reference(value)
    }

    /// The settings that have an effect, as far as the policy can be read.
    pub(super) fn known(&self) -> KnownSettings {
        if POLICY.iter().any(|name| self.cannot_use(name)) {
            KnownSettings::with_any_channel()
        } else {
            KnownSettings::with(self.config.policy.as_ref())
        }
    }

    /// A line for each fault, or one that there is none.
    pub(super) fn check(&self, lookup: impl Fn(&str) -> Option<String>) -> Vec<Finding> {
        let mut found: Vec<Finding> = self.errors.iter().map(|it| self.judge(it)).collect();
        let unknown = self.known().unknown(environment::names());
        found.extend(unknown.into_iter().map(|UnknownSetting { name, nearest }| {
            let nearest = nearest.map(|it| format!(": {it} may be meant"));
            Finding::warning(format!(
                "{name} is no setting and has no effect{}",
                nearest.unwrap_or_default()
            ))
        }));
        let idle = idle_settings(lookup, &self.errors).into_iter();
        found.extend(idle.map(|(name, why)| Finding::warning(format!("{name}: {why}"))));
        if found.is_empty() {
            let judged = if self.is_deployed {
                "those of a deployed gate"
            } else {
                "those of local development"
            };
            found.push(Finding::ok(format!("all can be used, judged as {judged}")));
        }
        found
    }

    /// Outside the app, a reference to the vault is no fault.
    fn judge(&self, error: &ConfigError) -> Finding {
        if matches!(error, ConfigError::Unresolved { .. }) && !self.is_on_platform {
            let name = error.name();
            Finding::warning(format!(
                "{name} refers to the vault, which this program does not read"
            ))
        } else {
            Finding::failed(error.to_string())
        }
    }

    /// Who may decide, and how.
    pub(super) fn check_sign_in(&self) -> Finding {
        use human_oversight::azure::SignInPolicy;
        let names = [
            "HO_IDENTITY",
            "HO_ENTRA_",
            "HO_REQUIRE_ENTRA_FOR",
            "HO_ALLOWED_APPROVERS",
            "HO_ALLOW_WILDCARD_LINKS",
            "WEBSITE_AUTH_ENABLED",
        ];
        if let Some(fault) = self.fault(&names, "its settings cannot be used") {
            return fault;
        }
        let who = &self.config.allowed_approvers;
        let by_link = match &self.config.sign_in {
            None => "links and codes decide",
            Some(it) if it.policy == SignInPolicy::Always => "every decision takes sign-in",
            Some(_) => {
                "actions of HO_REQUIRE_ENTRA_FOR take sign-in; links and codes decide others"
            }
        };
        if who.has_pattern() {
            Finding::warning(format!(
                "{by_link}; a pattern in HO_ALLOWED_APPROVERS lets the agent choose the mailbox"
            ))
        } else {
            Finding::ok(by_link)
        }
    }

    /// What is said in place of the policy.
    pub(super) fn policy_fault(&self) -> Option<Finding> {
        self.fault(&POLICY, "the policy cannot be used: see the settings")
    }

    /// Why channels are not tried, where each is to be told.
    pub(super) fn check_channels(&self, is_asked: bool) -> Vec<Finding> {
        if !is_asked {
            return Vec::new();
        }
        if let Some(fault) = self.policy_fault() {
            return vec![fault];
        }
        let policy = self.config.policy.as_ref();
        let named = policy.map_or(&[][..], Policy::channels);
        if named.is_empty() {
            return vec![Finding::warning("the policy of these settings names none")];
        }
        let faults = named.iter().filter_map(|channel| {
            let failure = format!(
                "{}: not tried, because its settings cannot be used",
                channel.name
            );
            let settings = [channel.url_setting.as_str(), &channel.secret_setting()];
            self.fault(&settings, &failure)
        });
        faults.collect()
    }

    /// The policy, with what is likely a mistake in it.
    pub(super) fn check_policy(&self) -> Vec<Finding> {
        if let Some(fault) = self.policy_fault() {
            return vec![fault];
        }
        let Some(policy) = &self.config.policy else {
            return vec![Finding::ok("none: each request names its approvers")];
        };
        let (rules, digest) = (policy.rules(), policy.digest());
        let mut found = vec![Finding::ok(format!("{rules} rules, digest {digest}"))];
        let warnings = policy.warnings().into_iter();
        found.extend(warnings.map(|it| {
            let (line, message) = (it.line, it.message);
            Finding::warning(format!("line {line}: {message}"))
        }));
        found
    }
}
