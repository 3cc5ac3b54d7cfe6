//! What must never be in a log or an error: looked for in every line that the gates of all tests log,
//! in every problem document, and in all that their processes print.
//!
//! It knows the kinds of secrets by their form, and the values of the tests by a word in them: a test
//! that puts `canary` into a value has it looked for.

use std::io::{self, Write};
use std::sync::Once;

use human_oversight::keyring;
use human_oversight_client::types::NewApproval;
use human_oversight_client::{Gate, Outcome};
use reqwest::StatusCode;
use serde_json::json;
use tracing_subscriber::EnvFilter;
use uuid::Uuid;

use crate::deadline::blocking_within;
use crate::harness::{ALICE, BOB, TestGate, object};
use crate::host::KEY;

/// Words of queries, forms, bodies and headers, and of the values that the tests send.
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

/// Whatever is there and must not be.
fn found(text: &str) -> Option<String> {
    let text = without_ids(text);
    let piece = |of: fn(char) -> bool, is: fn(&str) -> bool| {
        let mut pieces = text.split(|c| !of(c));
        pieces.find(|piece| is(piece))
    };
    let word = WORDS.into_iter().find(|word| text.contains(word));
    word.or_else(|| {
        piece(
            |c| !c.is_whitespace() && !"\"'<>()[]{},;=".contains(c),
            is_address,
        )
    })
    .or_else(|| piece(|c| c.is_ascii_alphanumeric() || "_-+/".contains(c), is_key))
    .or_else(|| piece(|c| c.is_ascii_alphanumeric() || "_-.".contains(c), is_code))
    .map(str::to_owned)
}

/// An approval's id may be logged, and holds whatever the agent calls itself.
fn without_ids(text: &str) -> String {
    let mut fields = text.split(" id=");
    let mut rest = fields.next().unwrap_or_default().to_owned();
    for field in fields {
        let field = field.trim_start_matches('"');
        rest.push(' ');
        rest.push_str(field.trim_start_matches(|c: char| c != '"' && !c.is_whitespace()));
    }
    rest
}

fn is_address(word: &str) -> bool {
    let parts = word.split_once('@').unwrap_or_default();
    parts.0.ends_with(|c: char| c.is_alphanumeric())
        && parts.1.starts_with(|c: char| c.is_alphanumeric())
}

/// Tokens, keys, seals, digests and secrets are this long and look like nothing else.
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

/// Fails if there is anything in `text` that must not be.
#[track_caller]
pub(crate) fn none_in(text: &str) {
    // What the gate itself gives as an example.
    let text = text.replace("such as alice@example.com", "");
    if let Some(found) = found(&text) {
        panic!("{found:?} must not be in {text}");
    }
}

/// The same where a panic would be caught: it ends the whole run.
pub(crate) fn none_in_line(line: &str) {
    if let Some(found) = found(line) {
        // Past what the test harness captures.
        writeln!(io::stderr(), "\n!! A SECRET IS LOGGED: {found:?} in {line}").ok();
        std::process::exit(101);
    }
}

/// From now on, whatever is logged in this process is looked at: all that the gate says, and its
/// libraries as far as `main` lets them.
pub(crate) fn watch() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let talkative = "azure_core=warn,azure_data_tables=warn,azure_identity=warn,azure_storage=warn,\
                         typespec_client_core=warn";
        tracing_subscriber::fmt()
            .with_env_filter(EnvFilter::new(format!("trace,{talkative}")))
            .with_writer(|| Watcher)
            .with_ansi(false)
            .without_time()
            .init();
    });
}

struct Watcher;

impl Write for Watcher {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        none_in_line(&String::from_utf8_lossy(line));
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn each_kind_of_secret_would_be_found() {
    let gate = TestGate::start().await;
    let pending = gate
        .gate()
        .action("canary")
        .submit(&json!({}))
        .await
        .unwrap();
    let approval = pending.approval().unwrap();
    let question = gate.question(approval, ALICE);
    let form = gate.get(&question.link).await.hidden_fields();
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
        &keyring::fresh_link_key(),
        &keyring::fresh_receipt_key(),
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
            assert!(found(&line).is_some(), "{line}");
        }
    }
    let long = format!(
        "{}.{}",
        "VXNlck1hbmFnZXJBZ2VudA".repeat(3),
        "Ab1".repeat(20)
    );
    let invocation = Uuid::now_v7();
    for line in [
        format!("INFO call{{invocation=\"{invocation}\" function=\"submit\"}}: answered status=202 id=\"{long}\" ms=4"),
        format!("WARN a mail was not sent id={long} kind=\"Question\" cause=refused for good: 550 5.1.1"),
        "INFO the gate is open url=\"http://127.0.0.1:41234\" inbox=\"http://127.0.0.1:41234/inbox\"".to_owned(),
    ] {
        assert_eq!(found(&line), None, "{line}");
    }
}

/// This test as a run of its own, in which a gate's library logs a secret.
#[test]
fn a_secret_that_is_logged_fails_the_run() {
    const LEAK: &str = "HO_TEST_LEAK";
    if std::env::var_os(LEAK).is_some() {
        watch();
        // As a gate would, where a panic ends nothing but a task.
        std::thread::spawn(|| tracing::trace!(to = ALICE, "sending"))
            .join()
            .ok();
        return;
    }
    let own_name = "canary::a_secret_that_is_logged_fails_the_run";
    let mut run = std::process::Command::new(std::env::current_exe().unwrap());
    run.args(["--exact", own_name]).env(LEAK, "1");
    let run = blocking_within(move || run.output()).unwrap();
    assert!(!run.status.success());
    let said = String::from_utf8(run.stderr).unwrap();
    assert!(
        said.contains("A SECRET IS LOGGED") && said.contains(ALICE),
        "{said}"
    );
}

/// A life in which everything has the word in it, and everything goes wrong that can.
#[tokio::test]
async fn nothing_of_a_whole_life_is_logged() {
    watch();
    let gate = TestGate::start().await;
    let agents = Gate::new(gate.client.clone());
    let action = agents
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
    let more = NewApproval {
        agent_name: "canary".to_owned(),
        parameters: object(json!({"canary": "canary"})),
        ..crate::harness::request()
    };
    gate.client.submit(&more).await.unwrap();
    gate.sweep().await;
    for (path, body) in [
        ("/api/submit?code=canary", "{\"canary\":"),
        ("/api/submit", "{\"canary\": \"canary\"}"),
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
    // Even when the stored request is damaged, and when there is no store.
    gate.tamper(&approval.id, None, |row| {
        row["Parameters"] = json!("canary")
    })
    .await;
    let answer = gate
        .get(&format!("{}/api/status/{}", gate.url, approval.id))
        .await;
    assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR);
    none_in(&answer.problem().to_string());
}
