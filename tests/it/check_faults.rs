//! `human-oversight check` with settings that cannot be used: what it says beside the failure.

use crate::check::{assert_line, lines};
use crate::process::run;

/// Beside a failure, each other line is true of the settings as they are.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_setting_that_cannot_be_used_makes_no_other_line_wrong() {
    let dir = tempfile::tempdir().unwrap();
    let store = format!("embedded:{}", dir.path().display());
    let check = async |more: &[(&str, &str)], arguments: &[&str]| {
        let settings = [&[("HO_STORE", store.as_str())], more].concat();
        run(&settings, &[&["check"], arguments].concat()).await
    };
    let skipped = "not checked, because its settings cannot be used";
    let (said, code) = check(&[("HO_BASE_URL", "gate.example.com")], &[]).await;
    assert_eq!(code, 2, "{said}");
    assert_eq!(
        lines(&said, "address"),
        [format!("failed   address   {skipped}")]
    );

    for (name, value) in [
        ("HO_PAUSED", "yes"),
        ("HO_MAIL_BUDGET", "10"),
        ("HO_POLICY_BUDGET", "x"),
        ("HO_LOG", "human_oversight=loud"),
    ] {
        let (said, _) = check(&[(name, value)], &[]).await;
        let failed = lines(&said, "settings");
        assert_eq!(failed.len(), 1, "{said}");
        assert!(
            failed[0].starts_with(&format!("failed   settings  {name} ")),
            "{said}"
        );
        assert_line(&said, "ok", "mail", "file; not tried");
        assert_line(&said, "ok", "policy", "none");
    }
    for (wrong, other) in [
        (
            ("HO_MAIL", "stmp"),
            ("HO_SMTP_URL", "smtp://relay.example.com"),
        ),
        (
            ("HO_STORE", "tabels"),
            ("HO_TABLES_ENDPOINT", "https://x.table.core.windows.net"),
        ),
        (
            ("HO_ALLOWED_APPROVERS", "alice"),
            ("HO_ALLOW_WILDCARD_LINKS", "1"),
        ),
    ] {
        let (said, _) = check(&[wrong, other], &[]).await;
        assert_eq!(lines(&said, "settings").len(), 1, "{said}");
    }

    let (said, _) = check(&[("HO_RECEIPT_KEYS", "a:AAAA")], &[]).await;
    let keys = lines(&said, "keys");
    let of_receipts = keys.iter().filter(|line| line.contains("HO_RECEIPT_KEYS"));
    assert!(of_receipts.clone().count() == 1, "{said}");
    assert!(
        of_receipts.clone().all(|line| line.starts_with("failed")),
        "{said}"
    );

    let policy = "version = 1\n[channels.ops]\nkind = \"teams\"\nurl = \"HO_CHANNEL_OPS_URL\"\n";
    for (settings, words) in [
        (
            &[("HO_POLICY", "version = 0")][..],
            "the policy cannot be used",
        ),
        (
            &[("HO_POLICY", policy)],
            "ops: not tried, because its settings cannot be used",
        ),
        (&[], "the policy of these settings names none"),
    ] {
        let (said, _) = check(settings, &["--channels"]).await;
        let channels = lines(&said, "channels");
        assert_eq!(channels.len(), 1, "{said}");
        assert!(channels[0].contains(words), "{said}");
    }
}

/// A shell takes quotes away; a file of settings and the portal do not.
#[tokio::test]
async fn a_setting_in_quotes_is_refused_with_that_reason() {
    let azurite = "AccountName=devstoreaccount1;AccountKey=c2VjcmV0;TableEndpoint=http://127.0.0.1:1/devstoreaccount1";
    for quote in ['"', '\''] {
        for (name, value, others) in [
            (
                "HO_TABLES_CONNECTION_STRING",
                azurite,
                &[("HO_STORE", "tables")][..],
            ),
            (
                "HO_TABLES_CONNECTION_STRING",
                "UseDevelopmentStorage=true",
                &[("HO_STORE", "tables")],
            ),
            ("HO_BASE_URL", "https://gate.example.com", &[]),
            ("HO_MAIL", "graph", &[]),
            ("HO_ALLOWED_APPROVERS", "alice@example.com", &[]),
            ("HO_RUN_WITHIN", "600", &[]),
            ("HO_PAUSED", "1", &[]),
        ] {
            let value = format!("{quote}{value}{quote}");
            let settings = [&[(name, value.as_str())], others].concat();
            let (said, code) = run(&settings, &["check"]).await;
            assert_eq!(code, 2, "{said}");
            let words = format!("{name} cannot be used: its value is in quotes: leave them out");
            assert_line(&said, "failed", "settings", &words);
        }
    }
    let dir = tempfile::tempdir().unwrap();
    let store = format!("embedded:{}", dir.path().display());
    let brand = [
        ("HO_STORE", store.as_str()),
        ("HO_BRAND_NAME", "\"Contoso\""),
    ];
    let (said, _) = run(&brand, &["check"]).await;
    assert_line(&said, "ok", "settings", "all can be used");
}

/// In a list of hundreds, and without a value in the log.
#[tokio::test]
async fn an_entry_of_a_list_that_cannot_be_used_is_named_by_its_number() {
    let key = "ab".repeat(32);
    for (name, list, words) in [
        (
            "HO_ALLOWED_APPROVERS",
            "a@example.com, bob".to_owned(),
            "entry 2 must be a plain email address",
        ),
        (
            "HO_ALLOWED_APPROVERS",
            "\u{feff}a@example.com,b@example.com".to_owned(),
            "entry 1 has the character U+FEFF",
        ),
        (
            "HO_ALLOWED_APPROVERS",
            "a@example.com,b@example.com;bob@example.com".to_owned(),
            "entry 2 has the character `;`",
        ),
        (
            "HO_ALLOWED_APPROVERS",
            "a@example.com,,Bob <bob@example.com>".to_owned(),
            "entry 2 has a space",
        ),
        (
            "HO_ALLOWED_APPROVERS",
            "a@example.com,\"bob@example.com".to_owned(),
            "entry 2 has the character `\"`",
        ),
        (
            "HO_ALLOWED_APPROVERS",
            "a@example.com,bob%evil.example@example.com".to_owned(),
            "entry 2 must be an address without any of",
        ),
        (
            "HO_ISSUERS",
            "https://a.example.com,https://bob.example.com/x".to_owned(),
            "entry 2 is none",
        ),
        (
            "HO_AGENT_KEYS",
            format!("{key}=Agent,{key}=Other,bob=Agent"),
            "entry 3 is none",
        ),
    ] {
        let (said, code) = run(&[(name, list.as_str())], &["check"]).await;
        assert_eq!(code, 2, "{said}");
        let failed = lines(&said, "settings");
        assert!(
            failed
                .iter()
                .any(|line| line.contains(name) && line.contains(words)),
            "{words}: {said}"
        );
        assert!(failed.iter().all(|line| !line.contains("bob")), "{said}");
    }
}
