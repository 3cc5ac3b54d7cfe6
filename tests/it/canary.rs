//! Detects secrets in every line that the gates of all tests log, in every problem document, and in the
//! output of their processes.
//!
//! The kinds of secrets are recognized by their form, and the values of tests by a word: a test that puts
//! `canary` into a value has that value detected.

use std::io::{self, Write};
use std::sync::Once;

use human_oversight::keys::keyring;
use human_oversight_client::types::NewApproval;
use human_oversight_client::{Gate, Outcome};
use reqwest::StatusCode;
use serde_json::json;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use uuid::Uuid;

use crate::deadline::blocking_within;
use crate::harness::{ALICE, BOB, TestGate, object};
use crate::host::KEY;

/// Words of queries, forms, bodies and headers, and of the values that tests send.
const WORDS: [&str; 24] = [
    "canary",
    "zebra",
    "k=1",
    "form=",
    "decision=",
    "comment=",
    "code=",
    "sig=",
    "Bearer ",
    "AccountKey",
    "PRIVATE KEY",
    "\"parameters\"",
    "\"approverEmails\"",
    "\"nonce\"",
    "\"secret\"",
    "\"receipt\"",
    "former-contractor",
    "vpn-users",
    "Delete User Account",
    "hunter2",
    "open sesame",
    "topsecret",
    "eyJ",
    KEY,
];

/// The first secret in a text.
fn find_secret(text: &str) -> Option<String> {
    let text = without_ids(text);
    let piece = |of: fn(char) -> bool, is: fn(&str) -> bool| {
        let mut pieces = text.split(|c| !of(c));
        pieces.find(|piece| is(piece))
    };
    let word = WORDS.into_iter().find(|word| text.contains(word));
    word.or_else(|| {
        piece(
            |c| !c.is_whitespace() && !"\"'<>()[]{},;=".contains(c),
            is_email_address,
        )
    })
    .or_else(|| piece(|c| c.is_ascii_alphanumeric() || "_-+/".contains(c), is_key))
    .or_else(|| piece(|c| c.is_ascii_alphanumeric() || "_-.".contains(c), is_code))
    .map(str::to_owned)
}

/// Removes ids, agents and the digest of a policy. An id may be logged, and contains the agent's name, which may be any
/// text.
fn without_ids(text: &str) -> String {
    let text = text.replace(" in force digest=", " id=");
    let mut fields = text.split(" id=");
    let mut rest = fields.next().unwrap_or_default().to_owned();
    for field in fields {
        let field = field.trim_start_matches('"');
        rest.push(' ');
        rest.push_str(field.trim_start_matches(|c: char| c != '"' && !c.is_whitespace()));
    }
    let mut fields = rest.split(" agent=\"");
    let mut without = fields.next().unwrap_or_default().to_owned();
    for field in fields {
        without.push(' ');
        without.push_str(field.split_once('"').map_or("", |(_, rest)| rest));
    }
    without
}

fn is_email_address(word: &str) -> bool {
    let parts = word.split_once('@').unwrap_or_default();
    parts.0.ends_with(|c: char| c.is_alphanumeric())
        && parts.1.starts_with(|c: char| c.is_alphanumeric())
}

/// Tokens, keys, MACs, digests and secrets are at least 32 characters of hex or Base64; UUIDs are neither.
fn is_key(blob: &str) -> bool {
    let has = |kind: fn(&u8) -> bool| blob.as_bytes().iter().any(kind);
    let base64 =
        has(u8::is_ascii_digit) && has(u8::is_ascii_lowercase) && has(u8::is_ascii_uppercase);
    let hex = blob.bytes().all(|b| b.is_ascii_hexdigit());
    blob.len() >= 32 && (base64 || hex) && blob.parse::<Uuid>().is_err()
}

fn is_code(number: &str) -> bool {
    let number = number.trim_matches(['.', '-', '_']);
    number.len() == 6 && number.bytes().all(|b| b.is_ascii_digit())
}

/// Panics if `text` contains a secret.
#[track_caller]
pub(crate) fn assert_no_secret(text: &str) {
    // An example in the gate's own error texts.
    let text = text.replace("such as alice@example.com", "");
    if let Some(secret) = find_secret(&text) {
        panic!("{secret:?} must not be in {text}");
    }
}

/// Exits the test run if `line` contains a secret, for callers whose panics are caught.
pub(crate) fn exit_if_secret(line: &str) {
    if let Some(secret) = find_secret(line) {
        // `writeln!` to stderr is not captured by the test harness.
        writeln!(
            io::stderr(),
            "\n!! A SECRET IS LOGGED: {secret:?} in {line}"
        )
        .ok();
        std::process::exit(101);
    }
}

/// Checks every line that is logged in this process from now on, at level trace; for the libraries at the
/// levels that `main` sets.
pub(crate) fn watch() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let quiet_libraries = "azure_core=warn,azure_data_tables=warn,azure_identity=warn,azure_storage=warn,\
                         typespec_client_core=warn";
        let filter: Targets = format!("trace,{quiet_libraries}").parse().unwrap();
        tracing_subscriber::fmt()
            .with_max_level(LevelFilter::TRACE)
            .with_writer(|| Watcher)
            .with_ansi(false)
            .without_time()
            .finish()
            .with(filter)
            .init();
    });
}

struct Watcher;

impl Write for Watcher {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        exit_if_secret(&String::from_utf8_lossy(line));
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn each_kind_of_secret_is_detected() {
    let gate = TestGate::start().await;
    let pending = gate
        .gate()
        .action("canary")
        .submit(&json!({}))
        .await
        .unwrap();
    let approval = pending.approval().unwrap();
    let question = gate.question(approval, ALICE);
    let form = gate.get(&question.link).await.first_form();
    gate.approve(approval, ALICE).await;
    let id = &approval.id;
    let receipt = gate.status(id).await.receipt.unwrap();
    let row = gate.entity(id).await;
    let column = |name: &str| row[name].as_str().unwrap().to_owned();
    let (_, token) = question.link.split_once("?k=").unwrap();
    for secret in [
        ALICE,
        KEY,
        token,
        &question.link,
        &question.code,
        &form[1].1,
        &pending.handle().secret,
        &approval.parameters_digest,
        &receipt,
        &column("Claimant"),
        &keyring::generate_link_key(),
        &keyring::generate_receipt_key(),
        "?k=1a",
        "smtps://gate:word@mail.example.com",
        r#"{"parameters":{}}"#,
        "form=a&decision=approve",
    ] {
        for line in [
            format!("INFO call{{function=\"submit\"}}: answered id=\"{id}\" cause=\"{secret}\""),
            format!("WARN {secret}: and so on"),
            format!("TRACE Config {{ value: \"{secret}\" }}"),
        ] {
            assert!(find_secret(&line).is_some(), "{line}");
        }
    }
    let long = format!(
        "{}.{}",
        "VXNlck1hbmFnZXJBZ2VudA".repeat(3),
        "Ab1".repeat(20)
    );
    let invocation = Uuid::now_v7();
    for line in [
        format!(
            "INFO call{{invocation=\"{invocation}\" function=\"submit\"}}: answered status=202 id=\"{long}\" ms=4"
        ),
        format!(
            "WARN email not sent id={long} kind=\"Question\" cause=refused permanently: 550 5.1.1"
        ),
        "INFO listening url=\"http://127.0.0.1:41234\" inbox=\"http://127.0.0.1:41234/inbox\""
            .to_owned(),
    ] {
        assert_eq!(find_secret(&line), None, "{line}");
    }
}

/// Runs itself as a process of its own, in which a library logs a secret.
#[test]
fn a_logged_secret_fails_the_test_run() {
    const LEAK: &str = "HO_TEST_LEAK";
    if std::env::var_os(LEAK).is_some() {
        watch();
        // On a thread, where a panic would not end the run, as in a task of the gate.
        std::thread::spawn(|| tracing::trace!(to = ALICE, "sending"))
            .join()
            .ok();
        return;
    }
    let own_name = "canary::a_logged_secret_fails_the_test_run";
    let mut run = std::process::Command::new(std::env::current_exe().unwrap());
    run.args(["--exact", own_name]).env(LEAK, "1");
    let run = blocking_within(move || run.output()).unwrap();
    assert!(!run.status.success());
    let stderr = String::from_utf8(run.stderr).unwrap();
    assert!(
        stderr.contains("A SECRET IS LOGGED") && stderr.contains(ALICE),
        "{stderr}"
    );
}

/// A lifecycle with the word in every value, and with failures of every kind.
#[tokio::test]
async fn a_complete_lifecycle_logs_no_secret() {
    watch();
    let gate = TestGate::start().await;
    let client_gate = Gate::new(gate.client.clone());
    let action = client_gate
        .agent("UserManagerAgent")
        .approvers([ALICE, BOB, "canary-gone@example.invalid"])
        .action("canary-action")
        .reason("canary-reason")
        .on_behalf_of("canary-person@example.com");
    let params = json!({"user_id": "canary-parameter"});
    let pending = action.submit(&params).await.unwrap();
    let approval = pending.approval().unwrap().clone();
    let question = gate.question(&approval, ALICE);
    for (code, status) in [
        ("canary", StatusCode::FORBIDDEN),
        (&question.code, StatusCode::SEE_OTHER),
    ] {
        let form = [
            ("decision", "approve"),
            ("code", code),
            ("comment", "canary-comment"),
        ];
        assert_eq!(gate.decide(&question, &form).await.status, status);
    }
    let outcome = pending
        .try_run(&params, async |_| Err::<(), _>("canary-error"))
        .await;
    assert_eq!(outcome, Outcome::Executed(Err("canary-error")));
    let other_request = NewApproval {
        agent_name: "canary".to_owned(),
        parameters: object(json!({"canary": "canary"})),
        ..crate::harness::request()
    };
    gate.client.submit(&other_request).await.unwrap();
    gate.sweep().await;
    for (path, body) in [
        ("/api/submit?code=canary", "{\"canary\":"),
        ("/api/submit", "{\"canary!\": \"canary\"}"),
        ("/api/submit?wait=canary", "canary"),
        ("/api/claim/canary", "canary"),
        ("/api/outcome/YQ.b", "canary"),
        (
            "/api/withdraw/canary?canary=canary",
            "{\"secret\": [\"canary\"]}",
        ),
    ] {
        gate.post(path, body).await.problem();
    }
    // Also when the stored row is damaged.
    gate.tamper(&approval.id, None, |row| {
        row["Parameters"] = json!("canary")
    })
    .await;
    let answer = gate
        .get(&format!("{}/api/status/{}", gate.url, approval.id))
        .await;
    assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR);
    assert_no_secret(&answer.problem().to_string());
}
