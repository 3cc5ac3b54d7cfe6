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
