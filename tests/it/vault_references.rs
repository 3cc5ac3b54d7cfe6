//! Settings that are references to the vault: of the app, which resolves them, and of other programs, which do not.

use human_oversight::keys::keyring;

use crate::azurite::azurite;
use crate::backing_store;
use crate::process::run;

const REFERENCE: &str = "@Microsoft.KeyVault(SecretUri=https://vault.example.com/secrets/zebra)";
const POLICY: &str =
    "version = 1\n[channels.finance]\nkind = \"webhook\"\nurl = \"HO_CHANNEL_FINANCE\"\n";

/// The lines of the errors with which the gate ends at its start.
async fn errors_at_start(settings: &[(&str, &str)]) -> Vec<String> {
    let (said, code) = run(settings, &[]).await;
    assert_ne!(code, 0, "{said}");
    assert!(!said.contains("zebra"), "{said}");
    let is_error = |line: &&str| line.contains("cannot be used") || line.contains("is not set");
    said.lines().filter(is_error).map(str::to_owned).collect()
}

/// Whatever the setting is, its value is the reference, which no secret, list or name is.
#[tokio::test]
async fn no_setting_takes_a_reference_for_its_value() {
    let relay = [
        ("HO_MAIL", "smtp"),
        ("HO_SMTP_URL", "smtps://gate@relay.example.com"),
        ("HO_SMTP_PASSWORD", "x"),
        ("HO_MAIL_FROM", "gate@example.com"),
    ];
    let channel = [
        ("HO_POLICY", POLICY),
        ("HO_CHANNEL_FINANCE", "https://ledger.example.com/x"),
        (
            "HO_CHANNEL_FINANCE_SECRET",
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        ),
    ];
    for (name, others) in [
        ("HO_SMTP_PASSWORD", &relay[..]),
        ("HO_SMTP_URL", &relay[..]),
        ("HO_SMTP_CA", &relay[..]),
        ("HO_CHANNEL_FINANCE", &channel[..]),
        ("HO_CHANNEL_FINANCE_SECRET", &channel[..]),
        ("HO_POLICY", &channel[..]),
        ("HO_POLICY_FILE", &[]),
        ("HO_LINK_KEYS", &[]),
        ("HO_RECEIPT_KEYS", &[]),
        ("HO_AGENT_KEYS", &[]),
        ("HO_ALLOWED_APPROVERS", &[]),
        ("HO_BRAND_NAME", &[]),
        ("HO_SUBJECT_PREFIX", &[]),
        ("HO_STORE", &[]),
        ("HO_BASE_URL", &[]),
    ] {
        let others = others.iter().filter(|(other, _)| *other != name);
        let settings: Vec<_> = others.copied().chain([(name, REFERENCE)]).collect();
        let said = errors_at_start(&settings).await;
        let [line] = &said[..] else {
            panic!("{name}: {said:?}");
        };
        let expected = format!("{name} cannot be used: the Key Vault reference was not resolved: ");
        assert!(line.contains(&expected), "{line}");
    }
}

/// The settings of an app as an operator has them: what refers to the vault is not known there, and no fault.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_another_machine_references_are_warnings_and_the_rest_is_checked() {
    let tables = backing_store::tables(azurite().port);
    let references = [
        "HO_LINK_KEYS",
        "HO_RECEIPT_KEYS",
        "HO_SMTP_PASSWORD",
        "HO_CHANNEL_FINANCE",
        "HO_CHANNEL_FINANCE_SECRET",
    ];
    let mut settings = backing_store::borrowed(&tables);
    settings.retain(|(name, _)| !references.contains(name));
    settings.extend([
        ("HO_MAIL", "smtp"),
        ("HO_SMTP_URL", "smtps://gate@relay.example.com"),
        ("HO_MAIL_FROM", "gate@example.com"),
        ("HO_POLICY", POLICY),
    ]);
    settings.extend(references.map(|name| (name, REFERENCE)));
    let (said, code) = run(&settings, &["check"]).await;
    assert_eq!(code, 1, "{said}");
    assert!(
        !said.contains("failed") && !said.contains("zebra"),
        "{said}"
    );
    for name in references {
        let words = format!("{name} refers to the vault, which this program does not read");
        assert!(said.contains(&words), "{name} in\n{said}");
    }
    for (status, topic, words) in [
        (
            "warning",
            "mail",
            "not checked: a setting refers to the vault",
        ),
        ("warning", "keys", "HO_LINK_KEYS is not known here"),
    ] {
        let line = said.lines().find(|it| it.contains(words));
        let line = line.unwrap_or_else(|| panic!("{words} in\n{said}"));
        assert!(line.starts_with(status) && line.contains(topic), "{line}");
    }

    // On the platform, which resolves references, each is a fault.
    settings.push(("WEBSITE_INSTANCE_ID", "i"));
    let (said, code) = run(&settings, &["check"]).await;
    assert_eq!(code, 2, "{said}");
    for name in references {
        let words = format!("{name} cannot be used: the Key Vault reference was not resolved");
        assert!(said.contains(&words), "{name} in\n{said}");
    }
}

/// A list that is not known has no item that could change.
#[tokio::test]
async fn what_an_upgrade_changes_is_not_guessed_from_a_reference() {
    let link = keyring::generate_link_key();
    let settings = [
        ("HO_ALLOWED_APPROVERS", REFERENCE),
        ("HO_CHANNEL_FINANCE", REFERENCE),
        ("HO_POLICY", POLICY),
        ("HO_LINK_KEYS", &link),
    ];
    let (said, code) = run(&settings, &["check", "--upgrade"]).await;
    assert_eq!(code, 1, "{said}");
    for name in ["HO_ALLOWED_APPROVERS", "HO_CHANNEL_FINANCE"] {
        assert!(!said.contains(name), "{name} in\n{said}");
    }
}
