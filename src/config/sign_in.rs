//! Sign-in with Microsoft Entra ID, as it is set up.

use uuid::Uuid;

use super::error::ConfigError;
use super::lookup::{Lookup, unusable};
use crate::azure::easy_auth::normalize;
use crate::azure::{SignIn, SignInPolicy};

/// Whether sign-in is on at all, and for what. Whatever is set only in part would leave people with
/// another protection than the operator meant, so it is refused.
pub(super) fn sign_in(get: &Lookup<'_>, behind_host: bool) -> Result<Option<SignIn>, ConfigError> {
    let patterns = get("HO_REQUIRE_ENTRA_FOR").map(|list| {
        let patterns = list.split(',').map(str::trim);
        let patterns: Vec<String> = patterns.map(normalize).collect();
        match patterns.iter().any(String::is_empty) {
            true => Err(unusable(
                "HO_REQUIRE_ENTRA_FOR",
                "it must list action descriptions, with `*` for anything",
            )),
            false => Ok(patterns),
        }
    });
    let needed = match (get("HO_IDENTITY").as_deref(), patterns.transpose()?) {
        (Some("entra"), None) => SignInPolicy::Always,
        (None | Some("link"), Some(patterns)) => SignInPolicy::For(patterns),
        (None | Some("link"), None) => {
            return match get("HO_ENTRA_TENANT") {
                None => Ok(None),
                Some(_) => Err(unusable(
                    "HO_ENTRA_TENANT",
                    "nothing asks for sign-in: set HO_IDENTITY=entra or HO_REQUIRE_ENTRA_FOR",
                )),
            };
        }
        (Some("entra"), Some(_)) => {
            return Err(unusable(
                "HO_REQUIRE_ENTRA_FOR",
                "with HO_IDENTITY=entra every action needs sign-in",
            ));
        }
        (Some(_), _) => return Err(unusable("HO_IDENTITY", "it must be link or entra")),
    };
    let tenant = get("HO_ENTRA_TENANT").ok_or(ConfigError::Missing {
        name: "HO_ENTRA_TENANT",
        why: "sign-in counts for the members of one directory",
    })?;
    let tenant = Uuid::parse_str(&tenant)
        .map_err(|_| unusable("HO_ENTRA_TENANT", "it must be a directory's id, a GUID"))?;
    // Without its sign-in the platform lets anybody say who they are; and so does a gate by itself.
    let is_on = behind_host
        && get("WEBSITE_AUTH_ENABLED").is_some_and(|on| on.eq_ignore_ascii_case("true"));
    match is_on {
        true => Ok(Some(SignIn { tenant, needed })),
        false => Err(unusable(
            "WEBSITE_AUTH_ENABLED",
            "the platform sets it to True where its authentication is on, before the Functions host, \
             and only then can it be believed who has signed in",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::read;
    use super::*;

    const TENANT: (&str, &str) = ("HO_ENTRA_TENANT", "11111111-2222-3333-4444-555555555555");
    const ON: (&str, &str) = ("WEBSITE_AUTH_ENABLED", "True");
    const HOST: [(&str, &str); 2] = [("FUNCTIONS_CUSTOMHANDLER_PORT", "1"), ("HO_LOCAL", "1")];

    #[test]
    fn sign_in_is_set_up_as_a_whole_or_not_at_all() {
        let entra = ("HO_IDENTITY", "entra");
        let some = ("HO_REQUIRE_ENTRA_FOR", "Delete *, Pay*");
        let needed = |settings: &[_]| {
            let config = read(&[settings, &HOST].concat()).unwrap();
            config.sign_in.map(|it| it.needed)
        };
        assert_eq!(needed(&[ON]), None);
        assert_eq!(needed(&[("HO_IDENTITY", "link"), ON]), None);
        assert_eq!(needed(&[entra, TENANT, ON]), Some(SignInPolicy::Always));
        let patterns = vec!["delete *".to_owned(), "pay*".to_owned()];
        assert_eq!(
            needed(&[some, TENANT, ON]),
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
        let by_itself = read(&[entra, TENANT, ON]).unwrap_err().to_string();
        assert!(by_itself.starts_with("WEBSITE_AUTH_ENABLED"), "{by_itself}");
    }
}
