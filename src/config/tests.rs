//! How settings are read.

use super::*;
use crate::keys::keyring;

pub(super) fn read(settings: &[(&str, &str)]) -> Result<Config, ConfigErrors> {
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
        let error = error.to_string();
        assert!(
            error.starts_with(&format!("{name} cannot be used: ")) && error.lines().count() == 1,
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
        let errors: Vec<_> = error.iter().collect();
        assert!(
            matches!(errors[..], [ConfigError::Missing { name, .. }] if *name == missing.0),
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

#[test]
fn each_wrong_setting_is_named_once_and_none_that_only_follows_from_another() {
    let names = |settings: &[(&str, &str)]| -> Vec<String> {
        let errors = read(settings).unwrap_err();
        errors.iter().map(|it| it.name().to_owned()).collect()
    };
    let host = (HOST_PORT, "4711");
    let mut needed = names(&[host]);
    needed.sort_unstable();
    assert_eq!(
        needed,
        [
            "HO_ALLOWED_APPROVERS",
            "HO_BASE_URL",
            "HO_LINK_KEYS",
            "HO_MAIL",
            "HO_RECEIPT_KEYS",
            "HO_STORE",
            "HO_SWEEP_SCHEDULE",
        ]
    );
    let all = [
        ("HO_STORE", "tables"),
        ("HO_TABLES_ENDPOINT", "x"),
        ("HO_TABLE", "X"),
        ("HO_ROWS", "3"),
        ("HO_GATE_ID", "a b"),
        ("HO_LINK_KEYS", "x"),
        ("HO_RECEIPT_KEYS", "y"),
        ("HO_MAIL", "graph"),
        ("HO_GRAPH_MAILBOX", "x"),
        ("HO_GRAPH_ENDPOINT", "x"),
        ("HO_BASE_URL", "x"),
        ("HO_BRAND_COLOR", "x"),
        ("HO_BRAND_NAME", "a\nb"),
        ("HO_BRAND_FOOTER", "a\nb"),
        ("HO_MAIL_BUDGET", "x"),
        ("HO_OWNER_BUDGET", "x"),
        ("HO_IDENTITY", "x"),
        ("HO_ENTRA_TENANT", "x"),
        ("HO_LOG", "inof"),
        ("HO_PAUSED", "x"),
    ];
    let mut wrong = names(&all);
    let mut expected: Vec<_> = all.iter().map(|(name, _)| *name).collect();
    expected.retain(|name| !["HO_STORE", "HO_MAIL"].contains(name));
    wrong.sort_unstable();
    expected.sort_unstable();
    assert_eq!(wrong, expected);
    // A pattern may be what the other setting was meant to allow.
    let wildcard = [host, ("HO_ALLOWED_APPROVERS", "*@example.com")];
    assert!(names(&wildcard).contains(&"HO_ALLOWED_APPROVERS".to_owned()));
    let misspelt = [wildcard.as_slice(), &[("HO_IDENTITY", "entre")]].concat();
    assert!(!names(&misspelt).contains(&"HO_ALLOWED_APPROVERS".to_owned()));
}
