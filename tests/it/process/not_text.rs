//! Settings whose values are not UTF-8.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use serde_json::Value;

use super::binary;
use crate::deadline::within;

/// The output, the errors and the exit code with these settings, of which one has a byte that is no UTF-8.
async fn run_with(name: &str, more: &[(&str, &str)], arguments: &[&str]) -> (String, String, i32) {
    let mut command = binary();
    command.envs(more.iter().copied()).args(arguments);
    command.env(name, OsStr::from_bytes(b"topsecret\xff"));
    let output = within(command.output()).await.unwrap();
    let [said, error] = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
    assert!(!said.contains("topsecret"), "{said}");
    assert!(!error.contains("topsecret"), "{error}");
    (said, error, output.status.code().unwrap())
}

#[tokio::test]
async fn a_setting_that_is_no_text_is_refused_by_gate_and_commands_and_not_taken_for_unset() {
    let dir = tempfile::tempdir().unwrap();
    let policy = dir.path().join("policy.toml");
    std::fs::write(&policy, "version = 1\n").unwrap();
    let policy = policy.to_str().unwrap();
    let store = format!("embedded:{}", dir.path().join("store").display());
    let more = [("HO_STORE", store.as_str()), ("HO_PORT", "0")];
    for (name, arguments, code) in [
        ("HO_PAUSED", [].as_slice(), 1),
        ("HO_POLICY", &[], 1),
        ("HO_ALLOWED_APPROVERS", &["demo"], 1),
        ("WEBSITE_INSTANCE_ID", &[], 1),
        (
            "HO_CHANNEL_FINANCE",
            &["policy", "check", policy, "--settings"],
            2,
        ),
        ("HO_RECEIPT_KEYS", &["verify"], 2),
        ("HO_MASTER_KEY", &["executing"], 2),
        ("HO_POLICY", &["check", "--upgrade"], 2),
        ("HO_POLICY", &["check", "--settings"], 2),
    ] {
        let (said, error, ended) = run_with(name, &more, arguments).await;
        let words = format!("{name} cannot be used: its value is not UTF-8");
        assert!(error.contains(&words), "{arguments:?}: {said}{error}");
        assert_eq!((said.as_str(), ended), ("", code), "{arguments:?}: {error}");
        assert_eq!(error.lines().count(), 1, "{error}");
    }
    let (said, error, code) = run_with("HO_PAUSED", &more, &["check"]).await;
    let line = "failed   settings  HO_PAUSED cannot be used: its value is not UTF-8";
    assert!(said.lines().any(|it| it == line), "{said}{error}");
    assert_eq!(code, 2);
    let (said, ..) = run_with("HO_PAUSED", &more, &["check", "--json"]).await;
    let said: Value = serde_json::from_str(&said).unwrap();
    assert_eq!(said["status"], "failed", "{said}");
    assert!(!dir.path().join("store").exists());
}

/// `ask` reads no setting but those of the client.
#[tokio::test]
async fn a_setting_of_the_client_that_is_no_text_is_refused_and_no_one_is_asked() {
    let gate = ("HO_URL", "http://127.0.0.1:1");
    let ask = ["ask", "--agent", "a", "--action", "x", "--", "true"];
    for name in [
        "HO_URL",
        "HO_KEY",
        "HO_KEYS",
        "HO_ISSUER",
        "HO_AUDIENCE",
        "HO_CALLBACK_SECRET",
        "APPROVER_EMAILS",
    ] {
        let more = [gate].into_iter().filter(|(it, _)| *it != name);
        let more: Vec<_> = more.collect();
        let (_, error, code) = run_with(name, &more, &ask).await;
        let words = format!("{name} is not UTF-8");
        assert!(code == 2 && error.contains(&words), "{name}: {error}");
    }
}
