//! The organisation's policy.

use std::fs;

use super::agent_keys::agent_keys;
use super::approvers::allowed_approvers;
use super::error::{ConfigError, ConfigErrors};
use super::lookup::{Lookup, non_empty, unusable};
use crate::policy::{Policy, Surroundings};
use crate::values::AllowList;

const FILE: &str = "HO_POLICY_FILE";
const TEXT: &str = "HO_POLICY";

/// The settings on which a policy depends.
const SURROUNDINGS: [&str; 5] = [
    "HO_AGENT_KEYS",
    "HO_ALLOWED_APPROVERS",
    "HO_IDENTITY",
    "HO_LOCAL",
    "HO_REQUIRE_ENTRA_FOR",
];

/// The policy, if one is set. All its faults are recorded.
pub(super) fn policy(
    get: &Lookup<'_>,
    raw: impl Fn(&str) -> Option<String>,
    surroundings: &Surroundings,
    errors: &mut ConfigErrors,
) -> Option<Policy> {
    let (name, file, text) = match (get(FILE), get(TEXT)) {
        (None, None) => return None,
        (Some(_), Some(_)) => {
            errors.push(unusable(
                TEXT,
                "HO_POLICY_FILE is also set; set only one of them",
            ));
            return None;
        }
        (Some(path), None) => match read(&path) {
            Ok(text) => (FILE, Some(path), text),
            Err(why) => {
                errors.push(unusable(FILE, &why));
                return None;
            }
        },
        // Each policy has a line `version = 1`.
        (None, Some(path)) if !path.contains('=') => {
            errors.push(unusable(
                TEXT,
                "it must be the text of a policy; HO_POLICY_FILE takes the path of a file",
            ));
            return None;
        }
        // As it is set, so that the digest is that of the text.
        (None, Some(text)) => (TEXT, None, raw(TEXT).unwrap_or(text)),
    };
    match Policy::parse(&text, surroundings) {
        Ok(policy) => Some(policy),
        Err(faults) => {
            let fault = |fault| ConfigError::Policy {
                name,
                file: file.clone(),
                fault,
            };
            errors.push_all(faults.into_iter().map(fault));
            None
        }
    }
}

/// What of the settings a policy depends on, for a check that also runs where only some of them are set. A reference to
/// the vault counts as not set.
///
/// # Errors
/// Those of them that are among the `unusable` ones.
pub(super) fn surroundings(
    lookup: impl Fn(&str) -> Option<String>,
    unusable: Vec<ConfigError>,
) -> Result<Surroundings, ConfigErrors> {
    let mut errors = ConfigErrors::default();
    let is_one = |error: &ConfigError| SURROUNDINGS.contains(&error.name());
    errors.push_all(unusable.into_iter().filter(is_one));
    let get = |name| non_empty(&lookup, name);
    let signs_in =
        get("HO_IDENTITY").as_deref() == Some("entra") || get("HO_REQUIRE_ENTRA_FOR").is_some();
    errors.finish(Surroundings {
        allowed: allowed_approvers(&get).unwrap_or(AllowList::Anyone),
        sign_in_configured: signs_in,
        names_bound: agent_keys(&get).is_ok_and(|keys| keys.is_some()),
        development: get("HO_LOCAL").as_deref() == Some("1"),
    })
}

fn read(path: &str) -> Result<String, String> {
    let bytes = fs::read(path)
        .map_err(|error| format!("the file {path} cannot be read: {}", error.kind()))?;
    String::from_utf8(bytes).map_err(|_| format!("the file {path} is no text in UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::super::tests::read;

    /// Why the gate does not start, one line each.
    fn errors(settings: &[(&str, &str)]) -> Vec<String> {
        let errors = read(settings).unwrap_err().to_string();
        errors.lines().map(str::to_owned).collect()
    }

    #[test]
    fn all_faults_of_a_policy_are_reported_with_file_and_line() {
        let text = "version = 2\n[[rule]]\nid = \"r\"\neffect = \"approved\"\n";
        let faults = [
            "line 1: `version` must be 1",
            "line 4: `effect` must be \"approve\" or \"deny\" or \"require\"",
        ];
        let found = errors(&[("HO_POLICY", text)]);
        assert_eq!(
            found,
            faults.map(|fault| format!("HO_POLICY cannot be used: {fault}"))
        );
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("policy.toml");
        std::fs::write(&path, text).unwrap();
        let path = path.to_str().unwrap();
        let found = errors(&[("HO_POLICY_FILE", path)]);
        assert_eq!(
            found,
            faults.map(|fault| format!("HO_POLICY_FILE cannot be used: {path}, {fault}"))
        );
        assert_eq!(
            errors(&[("HO_POLICY", path)]),
            [
                "HO_POLICY cannot be used: it must be the text of a policy; HO_POLICY_FILE takes the path of a file"
            ]
        );
        let both = errors(&[("HO_POLICY", text), ("HO_POLICY_FILE", path)]);
        assert_eq!(
            both,
            ["HO_POLICY cannot be used: HO_POLICY_FILE is also set; set only one of them"]
        );
    }

    #[test]
    fn a_file_that_is_not_there_or_no_text_is_reported() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("policy.toml");
        let path_text = path.to_str().unwrap();
        let found = errors(&[("HO_POLICY_FILE", path_text)]);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(
            found[0].ends_with("policy.toml cannot be read: entity not found"),
            "{found:?}"
        );
        std::fs::write(&path, b"version = 1 # \xff").unwrap();
        let found = errors(&[("HO_POLICY_FILE", path_text)]);
        assert!(found[0].ends_with("is no text in UTF-8"), "{found:?}");
    }

    #[test]
    fn a_policy_needs_rows_of_version_2() {
        let policy = ("HO_POLICY", "version = 1\n[default]\neffect = \"deny\"\n");
        let found = errors(&[policy, ("HO_ROWS", "1")]);
        assert!(
            found
                .iter()
                .any(|it| it.starts_with("HO_ROWS cannot be used: ")),
            "{found:?}"
        );
    }

    #[test]
    fn a_rule_that_refuses_what_was_rejected_needs_the_time_for_which_rejections_are_kept() {
        let rule = "version = 1\n[[rule]]\nid = \"r\"\neffect = \"require\"\nreask = \"refuse\"\n\
                    stages = [{ from = \"requested\" }]\n";
        let is_refused = |time| {
            let settings = [("HO_POLICY", rule), ("HO_REASK_AFTER", time)];
            errors(&settings).iter().any(|it| {
                it.starts_with("HO_REASK_AFTER cannot be used: ")
                    && it.contains("reask = \"refuse\"")
            })
        };
        assert!(is_refused("off") && is_refused("0"));
        assert!(read(&[("HO_POLICY", rule), ("HO_LOCAL", "1")]).is_ok());
    }

    #[test]
    fn the_other_settings_decide_what_a_policy_may_say() {
        let list = ("HO_ALLOWED_APPROVERS", "maria@example.com");
        let group = "version = 1\n[groups]\na = [\"lena@example.com\"]\n";
        let found = errors(&[list, ("HO_POLICY", group)]);
        assert!(
            found[0].contains("line 3: item 1 of group `a` is not on the list"),
            "{found:?}"
        );
        let sign_in = "version = 1\n[[rule]]\nid = \"r\"\neffect = \"require\"\nsign_in = true\n\
                       stages = [{ from = \"requested\" }]\n";
        let found = errors(&[("HO_POLICY", sign_in)]);
        assert!(
            found[0].contains("line 5: `sign_in` takes sign-in"),
            "{found:?}"
        );
    }
}
