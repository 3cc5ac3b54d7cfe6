//! How agents prove who they are: by function keys, or by an identity in Entra.

use uuid::Uuid;

use super::authentication::{is_authentication_on, tenant};
use super::error::ConfigErrors;
use super::lookup::{Lookup, unusable};

const NAME: &str = "HO_AGENT_IDENTITY";

/// The proofs that agents may present.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AgentIdentity {
    /// Function keys, which the host checks.
    Key,
    /// Access tokens of programs of this directory, which the platform checks.
    Entra(Uuid),
    /// Either.
    Both(Uuid),
}

impl AgentIdentity {
    /// Whether function keys count.
    pub fn takes_keys(self) -> bool {
        matches!(self, Self::Key | Self::Both(_))
    }

    /// The directory whose programs count, if any do.
    pub fn tenant(self) -> Option<Uuid> {
        match self {
            Self::Key => None,
            Self::Entra(tenant) | Self::Both(tenant) => Some(tenant),
        }
    }
}

/// Whether the settings ask for identities of agents, also if they are incomplete.
pub(super) fn is_wanted(get: &Lookup<'_>) -> bool {
    get(NAME).is_some_and(|value| value != "key")
}

pub(super) fn agent_identity(
    get: &Lookup<'_>,
    behind_host: bool,
    errors: &mut ConfigErrors,
) -> AgentIdentity {
    let with_tenant = match get(NAME).as_deref() {
        None | Some("key") => return AgentIdentity::Key,
        Some("entra") => AgentIdentity::Entra,
        Some("both") => AgentIdentity::Both,
        Some(_) => {
            errors.push(unusable(NAME, "it must be `key`, `entra` or `both`"));
            return AgentIdentity::Key;
        }
    };
    // Otherwise any client could send the header that names the calling program.
    if !is_authentication_on(get, behind_host) {
        errors.push(unusable(
            "WEBSITE_AUTH_ENABLED",
            "HO_AGENT_IDENTITY needs App Service authentication in front of the Functions host; the platform \
             sets this to True where it is on, and the host FUNCTIONS_CUSTOMHANDLER_PORT",
        ));
    }
    let why = "HO_AGENT_IDENTITY needs the directory whose programs may ask";
    with_tenant(errors.or(tenant(get, why), Uuid::nil()))
}

#[cfg(test)]
mod tests {
    use super::super::authentication::TENANT;
    use super::super::tests::read;
    use super::*;

    #[test]
    fn identities_of_agents_take_a_directory_and_the_platforms_authentication() {
        const ID: &str = "11111111-2222-3333-4444-555555555555";
        let host = [
            ("FUNCTIONS_CUSTOMHANDLER_PORT", "1"),
            ("HO_LOCAL", "1"),
            ("HO_SWEEP_SCHEDULE", "0 * * * * *"),
        ];
        let [tenant, on] = [("HO_ENTRA_TENANT", ID), ("WEBSITE_AUTH_ENABLED", "True")];
        let identity = |value| ("HO_AGENT_IDENTITY", value);
        let id = Uuid::parse_str(ID).unwrap();
        for (settings, expected) in [
            (vec![], AgentIdentity::Key),
            (vec![identity("key"), on], AgentIdentity::Key),
            (
                vec![identity("entra"), tenant, on],
                AgentIdentity::Entra(id),
            ),
            (vec![identity("both"), tenant, on], AgentIdentity::Both(id)),
        ] {
            let config = read(&[settings.as_slice(), &host].concat()).unwrap();
            assert_eq!(config.agent_identity, expected);
            assert!(config.sign_in.is_none());
        }
        for (settings, at_fault) in [
            (vec![identity("Entra"), tenant, on], NAME),
            (vec![identity("entra"), on], TENANT),
            (
                vec![identity("both"), ("HO_ENTRA_TENANT", "contoso.com"), on],
                TENANT,
            ),
            (vec![identity("entra"), tenant], "WEBSITE_AUTH_ENABLED"),
            (
                vec![identity("both"), tenant, ("WEBSITE_AUTH_ENABLED", "False")],
                "WEBSITE_AUTH_ENABLED",
            ),
            (vec![identity("key"), tenant, on], TENANT),
            (
                vec![identity("entra"), tenant, on, ("HO_ROWS", "1")],
                "HO_ROWS",
            ),
        ] {
            let error = read(&[settings.as_slice(), &host].concat());
            let error = error.unwrap_err().to_string();
            assert!(error.starts_with(at_fault), "{settings:?}: {error}");
        }
        let without_host = read(&[identity("entra"), tenant, on]).unwrap_err();
        assert!(without_host.to_string().starts_with("WEBSITE_AUTH_ENABLED"));
    }
}
