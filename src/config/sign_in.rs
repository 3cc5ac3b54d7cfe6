//! The settings of sign-in with Microsoft Entra ID.

use uuid::Uuid;

use super::error::ConfigError;
use super::lookup::{Lookup, unusable};
use crate::azure::easy_auth::normalize;
use crate::azure::{SignIn, SignInPolicy};

/// The settings of sign-in, or `None` if it is off. Incomplete settings would give less protection than the
/// operator expects, so they are refused.
pub(super) fn sign_in(get: &Lookup<'_>, behind_host: bool) -> Result<Option<SignIn>, ConfigError> {
    let patterns = get("HO_REQUIRE_ENTRA_FOR").map(|list| {
        let patterns = list.split(',').map(str::trim);
        let patterns: Vec<String> = patterns.map(normalize).collect();
        if patterns.iter().any(String::is_empty) {
            Err(unusable(
                "HO_REQUIRE_ENTRA_FOR",
                "it must be a list of action descriptions, separated by commas, with `*` for any text",
            ))
        } else {
            Ok(patterns)
        }
    });
    let policy = match (get("HO_IDENTITY").as_deref(), patterns.transpose()?) {
        (Some("entra"), None) => SignInPolicy::Always,
        (None | Some("link"), Some(patterns)) => SignInPolicy::For(patterns),
        (None | Some("link"), None) => {
            return match get("HO_ENTRA_TENANT") {
                None => Ok(None),
                Some(_) => Err(unusable(
                    "HO_ENTRA_TENANT",
                    "no setting requires sign-in: set HO_IDENTITY=entra or HO_REQUIRE_ENTRA_FOR",
                )),
            };
        }
        (Some("entra"), Some(_)) => {
            return Err(unusable(
                "HO_REQUIRE_ENTRA_FOR",
                "HO_IDENTITY=entra requires sign-in for every action",
            ));
        }
        (Some(_), _) => return Err(unusable("HO_IDENTITY", "it must be `link` or `entra`")),
    };
    let tenant = get("HO_ENTRA_TENANT").ok_or(ConfigError::Missing {
        name: "HO_ENTRA_TENANT",
        why: "sign-in needs the directory whose members may decide",
    })?;
    let tenant = Uuid::parse_str(&tenant).map_err(|_| {
        unusable(
            "HO_ENTRA_TENANT",
            "it must be the id of a directory, a GUID",
        )
    })?;
    // Otherwise any client could send the header that names the signed-in person.
    let is_on = behind_host
        && get("WEBSITE_AUTH_ENABLED").is_some_and(|on| on.eq_ignore_ascii_case("true"));
    if is_on {
        Ok(Some(SignIn { tenant, policy }))
    } else {
        Err(unusable(
            "WEBSITE_AUTH_ENABLED",
            "sign-in needs App Service authentication in front of the Functions host; the platform \
             sets this to True where it is on",
        ))
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
        let patterns = vec!["delete *".to_owned(), "pay*".to_owned()];
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
            (
                vec![("HO_REQUIRE_ENTRA_FOR", "a,,b"), TENANT, ON],
                "HO_REQUIRE_ENTRA_FOR",
            ),
            (vec![("HO_IDENTITY", "Entra"), TENANT, ON], "HO_IDENTITY"),
        ] {
            let error = read(&[settings.as_slice(), &HOST].concat());
            let error = error.unwrap_err().to_string();
            assert!(error.starts_with(at_fault), "{settings:?}: {error}");
        }
        let without_host = read(&[entra, TENANT, ON]).unwrap_err().to_string();
        assert!(
            without_host.starts_with("WEBSITE_AUTH_ENABLED"),
            "{without_host}"
        );
    }
}
