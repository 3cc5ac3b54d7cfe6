//! The settings of sign-in with Microsoft Entra ID.

use std::time::Duration;

use uuid::Uuid;

use super::agent_identity;
use super::authentication::{TENANT, is_authentication_on, tenant};
use super::error::{ConfigError, ConfigErrors};
use super::lookup::{Lookup, seconds, unusable};
use crate::azure::easy_auth::normalize;
use crate::azure::{SignIn, SignInPolicy};
use crate::reveal::is_hidden;
use crate::values::AuthContext;

const PATTERNS: &str = "HO_REQUIRE_ENTRA_FOR";
const MAX_AGE: &str = "HO_ENTRA_MAX_AGE";
const AUTH_CONTEXT: &str = "HO_ENTRA_AUTH_CONTEXT";

/// The limits of `HO_ENTRA_MAX_AGE`, in seconds: a person must be able to read what they decide.
const LEAST_AGE: u64 = 60;
const MOST_AGE: u64 = 2_592_000;

/// The settings of sign-in, or `None` if it is off. Incomplete settings would give less protection than the
/// operator expects, so they are refused.
pub(super) fn sign_in(
    get: &Lookup<'_>,
    behind_host: bool,
    errors: &mut ConfigErrors,
) -> Option<SignIn> {
    let patterns = get(PATTERNS).map(|list| errors.or(action_patterns(&list), Vec::new()));
    let policy = errors.or(policy(get, patterns), None);
    // Without a policy, a directory may be that of the agents alone.
    if policy.is_none() && (get(TENANT).is_none() || agent_identity::is_wanted(get)) {
        for name in [MAX_AGE, AUTH_CONTEXT] {
            if get(name).is_some() {
                errors.push(unusable(
                    name,
                    "no setting requires sign-in: set HO_IDENTITY=entra or HO_REQUIRE_ENTRA_FOR",
                ));
            }
        }
        return None;
    }
    let max_age = errors.or(max_age(get), None);
    let auth_context = errors.or(auth_context(get), None);
    let why = "sign-in needs the directory whose members may decide";
    let tenant = errors.or(tenant(get, why), Uuid::nil());
    let policy = policy?;
    // Otherwise any client could send the header that names the signed-in person.
    if !is_authentication_on(get, behind_host) {
        errors.push(unusable(
            "WEBSITE_AUTH_ENABLED",
            "sign-in needs App Service authentication in front of the Functions host; the platform \
             sets this to True where it is on, and the host FUNCTIONS_CUSTOMHANDLER_PORT",
        ));
    }
    Some(SignIn {
        tenant,
        policy,
        max_age,
        auth_context,
    })
}

/// How long ago people may have authenticated who decide; `None` if that does not matter.
fn max_age(get: &Lookup<'_>) -> Result<Option<Duration>, ConfigError> {
    if get(MAX_AGE).is_none() {
        return Ok(None);
    }
    seconds(get, MAX_AGE, 0, LEAST_AGE..=MOST_AGE).map(Some)
}

fn auth_context(get: &Lookup<'_>) -> Result<Option<AuthContext>, ConfigError> {
    let parse = |text: String| {
        AuthContext::parse(&text).ok_or_else(|| {
            unusable(
                AUTH_CONTEXT,
                "it must be the id of an authentication context, c1 to c99",
            )
        })
    };
    get(AUTH_CONTEXT).map(parse).transpose()
}

fn action_patterns(list: &str) -> Result<Vec<String>, ConfigError> {
    let patterns: Vec<&str> = list.split(',').map(str::trim).collect();
    let is_unusual = |c: char| c == ';' || c.is_control() || (is_hidden(c) && !c.is_whitespace());
    // Such a pattern rarely matches what is meant, and people would decide those actions by the link.
    let quotes = ['"', '\''];
    let has_quotes = |it: &&str| it.starts_with(quotes) || it.ends_with(quotes);
    let why = if patterns.iter().any(has_quotes) {
        "a pattern begins or ends with a quotation mark: leave it out, or write `*` for it"
    } else if patterns.iter().any(|it| it.contains(is_unusual)) {
        "it has a `;`, a line's end or a character that does not show: patterns are separated by commas, and `*` is for \
         any text"
    } else if patterns.iter().any(|it| it.is_empty()) {
        "it must be a list of action descriptions, separated by commas, with `*` for any text"
    } else {
        return Ok(patterns.into_iter().map(normalize).collect());
    };
    Err(unusable(PATTERNS, why))
}

/// Which decisions require sign-in; `None` if none does.
fn policy(
    get: &Lookup<'_>,
    patterns: Option<Vec<String>>,
) -> Result<Option<SignInPolicy>, ConfigError> {
    match (get("HO_IDENTITY").as_deref(), patterns) {
        (Some("entra"), None) => Ok(Some(SignInPolicy::Always)),
        (Some("entra"), Some(_)) => Err(unusable(
            PATTERNS,
            "HO_IDENTITY=entra requires sign-in for every action",
        )),
        (None | Some("link"), Some(patterns)) => Ok(Some(SignInPolicy::For(patterns))),
        (None | Some("link"), None) if get(TENANT).is_some() && !agent_identity::is_wanted(get) => {
            Err(unusable(
                TENANT,
                "no setting requires sign-in: set HO_IDENTITY=entra, HO_REQUIRE_ENTRA_FOR or HO_AGENT_IDENTITY",
            ))
        }
        (None | Some("link"), None) => Ok(None),
        (Some(_), _) => Err(unusable("HO_IDENTITY", "it must be `link` or `entra`")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::read;
    use super::*;

    const TENANT: (&str, &str) = ("HO_ENTRA_TENANT", "11111111-2222-3333-4444-555555555555");
    const ON: (&str, &str) = ("WEBSITE_AUTH_ENABLED", "True");
    const HOST: [(&str, &str); 3] = [
        ("FUNCTIONS_CUSTOMHANDLER_PORT", "1"),
        ("HO_LOCAL", "1"),
        ("HO_SWEEP_SCHEDULE", "0 * * * * *"),
    ];

    #[test]
    fn sign_in_is_set_up_as_a_whole_or_not_at_all() {
        let entra = ("HO_IDENTITY", "entra");
        let some = ("HO_REQUIRE_ENTRA_FOR", "Delete *, Pay*");
        let policy = |settings: &[_]| {
            let config = read(&[settings, &HOST].concat()).unwrap();
            config.sign_in.map(|it| it.policy)
        };
        assert_eq!(policy(&[ON]), None);
        assert_eq!(policy(&[("HO_IDENTITY", "link"), ON]), None);
        assert_eq!(policy(&[entra, TENANT, ON]), Some(SignInPolicy::Always));
        let patterns = vec!["delete*".to_owned(), "pay*".to_owned()];
        assert_eq!(
            policy(&[some, TENANT, ON]),
            Some(SignInPolicy::For(patterns))
        );
        for (settings, at_fault) in [
            (vec![entra, ON], "HO_ENTRA_TENANT"),
            (vec![some, ON], "HO_ENTRA_TENANT"),
            (vec![TENANT, ON], "HO_ENTRA_TENANT"),
            (
                vec![entra, ("HO_ENTRA_TENANT", "contoso.com"), ON],
                "HO_ENTRA_TENANT",
            ),
            (vec![entra, TENANT], "WEBSITE_AUTH_ENABLED"),
            (
                vec![some, TENANT, ("WEBSITE_AUTH_ENABLED", "False")],
                "WEBSITE_AUTH_ENABLED",
            ),
            (vec![entra, some, TENANT, ON], "HO_REQUIRE_ENTRA_FOR"),
            (vec![("HO_IDENTITY", "Entra"), TENANT, ON], "HO_IDENTITY"),
            (
                vec![entra, TENANT, ON, ("HO_ENTRA_MAX_AGE", "59")],
                "HO_ENTRA_MAX_AGE",
            ),
            (
                vec![entra, TENANT, ON, ("HO_ENTRA_MAX_AGE", "5m")],
                "HO_ENTRA_MAX_AGE",
            ),
            (vec![("HO_ENTRA_MAX_AGE", "600")], "HO_ENTRA_MAX_AGE"),
            (
                vec![entra, TENANT, ON, ("HO_ENTRA_AUTH_CONTEXT", "c100")],
                "HO_ENTRA_AUTH_CONTEXT",
            ),
            (
                vec![("HO_ENTRA_AUTH_CONTEXT", "c1")],
                "HO_ENTRA_AUTH_CONTEXT",
            ),
        ] {
            let error = read(&[settings.as_slice(), &HOST].concat());
            let error = error.unwrap_err().to_string();
            assert!(error.starts_with(at_fault), "{settings:?}: {error}");
        }
        for patterns in [
            "a,,b",
            "\"Delete*\"",
            "'Delete*, Pay*'",
            "Delete*;Pay*",
            "Delete*\nPay*",
            "\u{feff}Delete*",
        ] {
            let list = ("HO_REQUIRE_ENTRA_FOR", patterns);
            let error = read(&[&[list, TENANT, ON][..], &HOST].concat());
            let error = error.unwrap_err().to_string();
            assert!(
                error.starts_with("HO_REQUIRE_ENTRA_FOR"),
                "{patterns:?}: {error}"
            );
        }
        let without_host = read(&[entra, TENANT, ON]).unwrap_err().to_string();
        assert!(
            without_host.starts_with("WEBSITE_AUTH_ENABLED"),
            "{without_host}"
        );
    }
}
