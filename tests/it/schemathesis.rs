//! Schemathesis, which reads the interface's description and tries what that says, and what it does
//! not say, on the real binary behind the stand-in host.

use std::collections::BTreeSet;
use std::fs;
use std::process::Stdio;
use std::time::Duration;

use human_oversight_client::Client;
use human_oversight_client::types::NewApproval;
use serde_json::json;
use tokio::process::Command;
use tokio::time::timeout;

use crate::deadline::eventually;
use crate::end_to_end;
use crate::harness::{ALICE, mails, question, repository, request};
use crate::host::KEY;
use crate::outbox::receiver::{Received, Receiver, SECRET};
use crate::process::decide_at;

const POLICY: &str = r#"
version = 1

[channels.agents]
kind = "webhook"
url = "HO_CHANNEL_AGENTS"
callback_for = ["*"]
"#;

/// Its generator takes two minutes of a processor, which other tests use too.
const LONGEST_RUN: Duration = Duration::from_secs(800);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_gate_is_as_its_document_says() {
    assert!(
        repository().join(".tools/schemathesis/installed").is_file(),
        "Schemathesis is not installed: run scripts/test once"
    );
    let dir = tempfile::tempdir().unwrap();
    let receiver = Receiver::start().await;
    let channel = [
        ("HO_POLICY", POLICY),
        ("HO_CHANNELS_ALLOW_PRIVATE", "1"),
        ("HO_CHANNEL_AGENTS", &receiver.url),
        ("HO_CHANNEL_AGENTS_SECRET", SECRET),
    ];
    let host = end_to_end::host(dir.path(), None, &channel).await;
    let client = Client::new(&host.url, Some(KEY)).unwrap();
    let mut requests = Vec::new();
    for decision in ["approve", "reject", ""].repeat(5) {
        let asked = NewApproval {
            callback: Some("agents".into()),
            ..request()
        };
        let id = client.submit(&asked).await.unwrap().id;
        let asked = question(&mails(&dir.path().join("mail")), &id, ALICE);
        if !decision.is_empty() {
            let form = format!("decision={decision}&code={}", asked.code);
            assert_eq!(decide_at(&asked.link, &form).await.unwrap(), 303);
        }
        let (_, k) = asked.link.split_once("?k=").unwrap();
        requests.push(json!({"id": id, "k": k}));
    }
    let run = Command::new(repository().join(".tools/schemathesis/bin/st"))
        .args(["--config-file", "schemathesis.toml", "run", "--no-color"])
        .args(["--header", &format!("x-functions-key: {KEY}")])
        // Else no form of the approver's page would be looked into.
        .args(["--header", "sec-fetch-site: same-origin"])
        .arg(format!("{}/api/openapi.json", host.url))
        .current_dir(repository().join("tests/schemathesis"))
        .env("REQUESTS", json!(requests).to_string())
        .env("CHANNEL", "agents")
        .env("CALLBACKS", dir.path().join("callbacks"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let run = timeout(LONGEST_RUN, run).await;
    let run = run.expect("it ended in time").unwrap();
    let [said, wrong] = [run.stdout, run.stderr].map(|text| String::from_utf8(text).unwrap());
    assert!(run.status.success(), "{said}{wrong}");
    // What is received is held against the document.
    let accepted = fs::read_to_string(dir.path().join("callbacks")).unwrap();
    let accepted: BTreeSet<&str> = accepted.lines().collect();
    let before = receiver.received().len();
    let mails = mails(&dir.path().join("mail"));
    let lines = mails.iter().flat_map(|mail| mail.text.lines());
    let is_accepted = |line: &&str| {
        accepted
            .iter()
            .any(|id| line.contains(&format!("/{id}?k=")))
    };
    let links: BTreeSet<&str> = lines.map(str::trim).filter(is_accepted).collect();
    for link in links {
        decide_at(link, "decision=reject").await.unwrap();
    }
    let with_state = async || {
        let received = receiver.received();
        let of_generated = received[before..].iter().map(Received::json);
        let with_state = of_generated.filter(|event| event["data"]["state"].is_string());
        (with_state.count() >= 5).then_some(())
    };
    eventually(with_state).await;
}
