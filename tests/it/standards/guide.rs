//! docs/requests.md: its requests are accepted and raise no alarm, and its command runs.

use std::process::Stdio;

use tokio::process::Command;

use super::samples::examples;
use crate::deadline::within;
use crate::harness::{ALICE, TestGate};
use crate::process::Process;

const GUIDE: &str = include_str!("../../../docs/requests.md");

#[tokio::test]
async fn the_good_requests_of_the_guide_raise_no_alarm_and_none_is_refused() {
    let gate = TestGate::start().await;
    for (name, request) in examples() {
        let approval = gate.client.submit(&request).await.unwrap();
        let page = gate.get(&gate.question(&approval, ALICE).link).await;
        assert!(!page.body.contains("Check carefully"), "{name}");
    }
    let mails = gate.mails();
    let has_sum = |subject: &str| subject.contains("18,000.50 EUR");
    assert!(mails.iter().any(|mail| has_sum(&mail.subject)));
}

#[tokio::test]
async fn every_command_of_the_guide_runs() {
    let blocks: Vec<&str> = GUIDE.split("```sh\n").skip(1).collect();
    assert_eq!(blocks.len(), 1);
    let (command, _) = blocks[0].split_once("```").unwrap();
    let dir = tempfile::tempdir().unwrap();
    let gate = Process::start(dir.path(), &[]).await;
    // As the guide says: the good request, saved, to a gate for local development.
    let (_, request) = GUIDE
        .split_once("The same payment, for people:\n\n```json\n")
        .unwrap();
    let (request, _) = request.split_once("```").unwrap();
    std::fs::write(dir.path().join("request.json"), request).unwrap();
    let command = command.replace("http://127.0.0.1:7071", &gate.url);
    let output = Command::new("sh")
        .args([
            "-euc",
            &command.replace("curl -sS", "curl -sS --fail-with-body"),
        ])
        .current_dir(dir.path())
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = within(output).await.unwrap();
    let answer = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{answer}");
    assert!(answer.contains("\"status\":\"Pending\""), "{answer}");
}
