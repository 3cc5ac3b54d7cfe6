//! The channels of a policy: their settings, and the test event of `human-oversight check --channels`.

use std::process::Stdio;
use std::sync::Arc;

use axum::http::{HeaderMap, StatusCode};
use axum::response::Redirect;
use axum::{Router, routing};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::process::Command;
use tokio::sync::Mutex;

use crate::deadline::within;
use crate::harness::repository;
use crate::openapi::check_webhook;
use crate::process::{Process, run};

const POLICY: &str =
    "version = 1\n[channels.finance]\nkind = \"webhook\"\nurl = \"HO_CHANNEL_FINANCE\"\n";
/// 24 bytes.
const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

type Received = Arc<Mutex<Vec<(HeaderMap, String)>>>;

/// A receiver of webhooks: accepts at `/accepts`, fails at `/fails`, redirects to the former at `/redirects`.
async fn receiver() -> (u16, Received) {
    let received = Received::default();
    let keep = received.clone();
    let accept = move |headers: HeaderMap, body: String| async move {
        keep.lock().await.push((headers, body));
        StatusCode::NO_CONTENT
    };
    let redirect = || async { Redirect::temporary("/accepts") };
    let fail = || async { (StatusCode::GONE, "topsecret") };
    let router = Router::new()
        .route("/accepts", routing::post(accept))
        .route("/redirects", routing::any(redirect))
        .route("/fails", routing::any(fail));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move { axum::serve(listener, router).await });
    (port, received)
}

/// What `check --channels` says in the lines that mention the channel.
async fn check(url: &str, more: &[(&str, &str)]) -> Vec<String> {
    let dir = tempfile::tempdir().unwrap();
    let store = format!("embedded:{}", dir.path().display());
    let mail = format!("file:{}", dir.path().join("mail").display());
    let settings = [
        ("HO_STORE", store.as_str()),
        ("HO_MAIL", &mail),
        ("HO_POLICY", POLICY),
        ("HO_CHANNEL_FINANCE", url),
        ("HO_CHANNEL_FINANCE_SECRET", SECRET),
    ];
    let (said, _) = run(&[&settings[..], more].concat(), &["check", "--channels"]).await;
    assert!(
        !said.contains("topsecret") && !said.contains(SECRET),
        "{said}"
    );
    let lines = said
        .lines()
        .map(|it| it.split_whitespace().collect::<Vec<_>>().join(" "));
    lines
        .filter(|line| line.contains("finance") || line.contains("HO_CHANNEL"))
        .collect()
}

const ALLOWED: (&str, &str) = ("HO_CHANNELS_ALLOW_PRIVATE", "1");

#[tokio::test]
async fn a_test_event_is_signed_as_standard_webhooks_say() {
    let (port, received) = receiver().await;
    let url = format!("http://127.0.0.1:{port}/accepts?sig=topsecret");
    let said = check(&url, &[ALLOWED]).await;
    assert_eq!(said, ["ok channels finance has accepted a test event"]);
    let received = received.lock().await;
    let [(headers, body)] = &received[..] else {
        panic!("one event is received: {received:?}");
    };
    check_webhook(headers, body);
    let header = |name: &str| headers[name].to_str().unwrap().to_owned();
    assert_eq!(header("content-type"), "application/json");
    let names = ["webhook-id", "webhook-timestamp", "webhook-signature"];
    let headers: Value = names.iter().map(|name| (*name, header(name))).collect();
    let event = verify(&headers, body)
        .await
        .expect("the signature is valid");
    assert_eq!(event["type"], "channel.test");
    assert_eq!(event["data"], json!({"channel": "finance"}));
    assert_eq!(
        verify(&headers, &body.replace("finance", "finances")).await,
        None
    );
}

/// The event, if the libraries of Standard Webhooks in Python and JavaScript both verify its signature; `None` if neither
/// does.
pub(crate) async fn verify(headers: &Value, body: &str) -> Option<Value> {
    let tools = repository().join(".tools");
    let scripts = repository().join("tests/standardwebhooks");
    let mut python = Command::new(tools.join("standardwebhooks/bin/python"));
    python.arg(scripts.join("verify.py"));
    let mut javascript = Command::new("node");
    javascript
        .arg(scripts.join("verify.mjs"))
        .arg(tools.join("standards"));
    let by_python = verify_by(python, headers, body).await;
    let by_javascript = verify_by(javascript, headers, body).await;
    assert_eq!(by_python, by_javascript);
    by_python
}

async fn verify_by(mut library: Command, headers: &Value, body: &str) -> Option<Value> {
    let mut process = library
        .arg(SECRET)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the libraries are installed: run scripts/test once");
    let delivery = json!({"headers": headers, "body": body}).to_string();
    let mut stdin = process.stdin.take().unwrap();
    stdin.write_all(delivery.as_bytes()).await.unwrap();
    drop(stdin);
    let output = within(process.wait_with_output()).await.unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    if output.status.success() {
        return Some(serde_json::from_slice(&output.stdout).unwrap());
    }
    assert!(said.contains("WebhookVerificationError"), "{said}");
    None
}

#[tokio::test]
async fn only_an_answer_of_success_counts_and_no_redirect_is_followed() {
    let (port, received) = receiver().await;
    for (path, status) in [("fails", 410), ("redirects", 307)] {
        let said = check(&format!("http://127.0.0.1:{port}/{path}"), &[ALLOWED]).await;
        let expected = format!("failed channels finance: it answers {status}; only 2xx counts");
        assert_eq!(said, [expected]);
    }
    assert!(received.lock().await.is_empty());
}

#[tokio::test]
async fn a_name_that_leads_into_the_own_network_is_not_called() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let said = check(&format!("https://localhost:{port}/topsecret"), &[]).await;
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(
        said[0].starts_with("failed channels finance: it cannot be reached"),
        "{said:?}"
    );
    assert!(
        said[0].ends_with("its host has an address that is not public"),
        "{said:?}"
    );
    let connected = std::pin::pin!(listener.accept());
    assert!(futures_util::FutureExt::now_or_never(connected).is_none());
}

#[tokio::test]
async fn settings_of_a_channel_that_cannot_be_used_are_named_with_the_line_of_the_policy() {
    let of = "(channel `finance`, line 4 of the policy)";
    let not_tried = "failed channels finance: not tried, because its settings cannot be used";
    for (url, why) in [
        ("", "it is not set"),
        (
            "http://hooks.example.com/topsecret",
            "it must begin with https://, unless HO_CHANNELS_ALLOW_PRIVATE is 1",
        ),
        (
            "https://169.254.169.254/topsecret",
            "its host is an address that is not public, which takes HO_CHANNELS_ALLOW_PRIVATE=1",
        ),
    ] {
        let said = check(url, &[]).await;
        assert_eq!(
            said,
            [
                &format!("failed settings HO_CHANNEL_FINANCE cannot be used: {why} {of}"),
                not_tried
            ]
        );
    }
    let said = check(
        "https://hooks.example.com/",
        &[("HO_CHANNEL_FINANCE_SECRET", "topsecret")],
    )
    .await;
    let why = "it must be `whsec_` and 24 to 64 bytes in base64";
    assert_eq!(
        said,
        [
            &format!("failed settings HO_CHANNEL_FINANCE_SECRET cannot be used: {why} {of}"),
            not_tried
        ]
    );
}

const ROOM: &str = "version = 1\n[channels.ledger]\nkind = \"webhook\"\nurl = \"HO_CHANNEL_LEDGER\"\n\
                    [channels.room]\nkind = \"teams\"\nurl = \"HO_CHANNEL_ROOM\"\n";
/// Of both channels, a misspelt one, and the secret of a room, which has none.
const OF_ROOM: [(&str, &str); 5] = [
    ("HO_CHANNEL_LEDGER", "https://ledger.example.com/topsecret"),
    ("HO_CHANNEL_LEDGER_SECRET", SECRET),
    ("HO_CHANNEL_LEGDER", "https://ledger.example.com/topsecret"),
    ("HO_CHANNEL_ROOM", "https://room.example.com/topsecret"),
    ("HO_CHANNEL_ROOM_SECRET", SECRET),
];

#[tokio::test]
async fn settings_of_no_channel_of_the_policy_are_named_at_the_start() {
    let warned = async |settings: &[(&str, &str)]| {
        let dir = tempfile::tempdir().unwrap();
        let log = Process::start(dir.path(), settings).await.kill().await;
        assert!(!log.contains("topsecret") && !log.contains(SECRET), "{log}");
        let lines = log.lines().filter(|it| it.contains("WARN"));
        let names = lines.map(|it| it.split_once(" name=").expect("a name").1.to_owned());
        names.collect::<Vec<_>>()
    };
    let without_policy = warned(&[("HO_CHANNEL_FOO", "topsecret")]).await;
    assert_eq!(without_policy, ["\"HO_CHANNEL_FOO\""]);
    let of_policy = warned(&[&[("HO_POLICY", ROOM)], &OF_ROOM[..]].concat()).await;
    assert_eq!(
        of_policy,
        [
            "\"HO_CHANNEL_LEGDER\" nearest=\"HO_CHANNEL_LEDGER\"",
            "\"HO_CHANNEL_ROOM_SECRET\""
        ]
    );
    // A command that does not read the policy cannot know them.
    let (said, _) = run(&OF_ROOM, &["keygen"]).await;
    assert!(!said.contains("HO_CHANNEL"), "{said}");
}

#[tokio::test]
async fn check_names_settings_of_no_channel_and_lists_those_of_the_policy_without_values() {
    let dir = tempfile::tempdir().unwrap();
    let store = format!("embedded:{}", dir.path().display());
    let with_policy = |policy| {
        let others = [("HO_POLICY", policy), ("HO_STORE", store.as_str())];
        [&others, &OF_ROOM[..]].concat()
    };
    let (said, _) = run(&with_policy(ROOM), &["check"]).await;
    let is_named = |line: &&str| line.contains("settings ") && line.contains("HO_CHANNEL");
    let named: Vec<_> = said.lines().filter(is_named).collect();
    assert_eq!(
        named,
        [
            "warning  settings  HO_CHANNEL_LEGDER is no setting and has no effect: HO_CHANNEL_LEDGER may be meant",
            "warning  settings  HO_CHANNEL_ROOM_SECRET is no setting and has no effect",
        ]
    );

    let listed = async |policy| {
        let (said, code) = run(&with_policy(policy), &["check", "--settings"]).await;
        assert_eq!(code, 0, "{said}");
        let lines = said.lines().filter(|it| it.starts_with("HO_CHANNEL"));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    let not_shown = |names: &[&str]| -> Vec<String> {
        names.iter().map(|it| format!("{it}=(not shown)")).collect()
    };
    let of_channels = [
        "HO_CHANNEL_LEDGER",
        "HO_CHANNEL_LEDGER_SECRET",
        "HO_CHANNEL_ROOM",
    ];
    assert_eq!(listed(ROOM).await, not_shown(&of_channels));

    // With a policy that cannot be read, each may be one of its channels.
    let (said, _) = run(&with_policy("version = 2"), &["check"]).await;
    assert!(!said.contains("is no setting"), "{said}");
    assert_eq!(
        listed("version = 2").await,
        not_shown(&OF_ROOM.map(|(name, _)| name))
    );
}
