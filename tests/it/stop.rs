//! SIGTERM and SIGINT: the process answers the calls it has, and ends.

use std::sync::Arc;
use std::time::{Duration, Instant};

use human_oversight_client::types::{MailState, Status};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

use crate::deadline::{eventually, within};
use crate::harness::{ALICE, http, mails, question, request};
use crate::outbox::in_two_stages;
use crate::outbox::receiver::{SECRET, holding};
use crate::process::{Process, decide_at};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signal_lets_calls_finish_answers_those_that_wait_and_ends_with_code_0() {
    for signal in ["TERM", "INT"] {
        let dir = tempfile::tempdir().unwrap();
        let gate = Process::start(dir.path(), &[]).await;
        let approval = gate.client().submit(&request()).await.unwrap();
        let address = gate.url.strip_prefix("http://").unwrap().to_owned();

        // A call that waits for a decision.
        let status_url = format!("{}/api/status/{}?wait=100", gate.url, approval.id);
        let waiting = tokio::spawn(http().build().unwrap().get(status_url).send());
        // A call whose body is still on its way.
        let body = json!({}).to_string();
        let head = format!(
            "POST /api/withdraw/{} HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\n\
             content-length: {}\r\n\r\n",
            approval.id,
            body.len()
        );
        let mut writing = TcpStream::connect(&address).await.unwrap();
        writing.write_all(head.as_bytes()).await.unwrap();
        // A connection that is kept.
        let mut idle = TcpStream::connect(&address).await.unwrap();
        let ping = format!("GET / HTTP/1.1\r\nhost: {address}\r\n\r\n");
        idle.write_all(ping.as_bytes()).await.unwrap();
        within(idle.readable()).await.unwrap();
        // Both calls have begun when a later one is answered.
        tokio::time::sleep(Duration::from_millis(200)).await;

        let started = Instant::now();
        gate.signal(signal);
        let answer = within(waiting).await.unwrap().unwrap();
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.headers()["retry-after"], "1");
        let seen: human_oversight_client::types::Approval =
            serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
        assert_eq!(seen.status, Status::Pending);
        let mut rest = Vec::new();
        within(idle.read_to_end(&mut rest)).await.unwrap();
        let refused = eventually(async || TcpStream::connect(&address).await.err());
        refused.await;

        writing.write_all(body.as_bytes()).await.unwrap();
        let mut answer = String::new();
        within(writing.read_to_string(&mut answer)).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        assert!(answer.contains("\"Cancelled\""), "{answer}");
        let (code, log) = gate.end().await;
        assert_eq!(code, Some(0), "{log}");
        assert!(started.elapsed() < Duration::from_secs(10));
        let begin = format!("signal=\"SIG{signal}\" calls=2 waiting=1");
        let lines: Vec<&str> = log.lines().filter(|line| line.contains(" stopp")).collect();
        assert!(lines[0].contains("stopping: no new calls"), "{log}");
        assert!(lines[0].contains(&begin), "{log}");
        assert!(lines[1].contains("stopped calls=0"), "{log}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_does_not_finish_holds_up_the_end_for_at_most_10_seconds() {
    let dir = tempfile::tempdir().unwrap();
    let gate = Process::start(dir.path(), &[]).await;
    let address = gate.url.strip_prefix("http://").unwrap().to_owned();
    let mut call = TcpStream::connect(&address).await.unwrap();
    // Less of the body than is announced, again and again.
    let head =
        format!("POST /api/submit HTTP/1.1\r\nhost: {address}\r\ncontent-length: 9999\r\n\r\n");
    call.write_all(head.as_bytes()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(200)).await;
    let started = Instant::now();
    gate.signal("TERM");
    let (code, log) = gate.end().await;
    assert_eq!(code, Some(0), "{log}");
    assert!(started.elapsed() < Duration::from_secs(15), "{log}");
    assert!(
        log.contains("signal=\"SIGTERM\" calls=1 waiting=0"),
        "{log}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_end_waits_until_it_is_stored_what_a_decision_has_sent() {
    let dir = tempfile::tempdir().unwrap();
    // The first event is accepted.
    let permits = Arc::new(Semaphore::new(1));
    let (policy, url) = (in_two_stages(), holding(permits.clone()).await);
    let settings = [
        ("HO_POLICY", policy.as_str()),
        ("HO_CHANNELS_ALLOW_PRIVATE", "1"),
        ("HO_CHANNEL_LEDGER", url.as_str()),
        ("HO_CHANNEL_LEDGER_SECRET", SECRET),
        ("HO_SWEEP_SECONDS", "86400"),
    ];
    let gate = Process::start(dir.path(), &settings).await;
    let asked = gate.client().submit(&request()).await.unwrap();
    let alice = question(&mails(&dir.path().join("mail")), &asked.id, ALICE);
    let approving = format!("decision=approve&code={}", alice.code);
    assert_eq!(decide_at(&alice.link, &approving).await.unwrap(), 303);
    gate.signal("TERM");
    let address = gate.url.strip_prefix("http://").unwrap().to_owned();
    eventually(async || TcpStream::connect(&address).await.err()).await;
    permits.add_permits(1);
    let (code, log) = gate.end().await;
    assert_eq!(code, Some(0), "{log}");

    let gate = Process::start(dir.path(), &settings).await;
    let after = gate.client().status(&asked.id, Duration::ZERO).await;
    let (after, _) = after.unwrap();
    let mut people = after.notifications.iter();
    let carol = people.find(|it| it.approver == "carol@example.com");
    assert_eq!(carol.unwrap().state, MailState::Sent);
}
