//! Malformed responses: those of a mail system or of an altered gate cause no failure, and appear in no
//! log (the harness checks every line).

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use human_oversight_client::types::NewApproval;
use human_oversight_client::{Client, Gate, Outcome};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;

use super::dice::{Case, Dice, corpus, first, inputs};
use super::{cases, record};
use crate::acs::{self, Acs};
use crate::client::intercepting_url;
use crate::harness::{AGENT, ALICE, TestGate, request};

/// Whatever the mail service responds, the submit succeeds, and the log repeats nothing of the response
/// (the harness checks this).
#[tokio::test]
async fn no_mail_service_response_breaks_a_submit() {
    let service = Acs::start().await;
    let connection = format!("endpoint={}/;accesskey={}", service.url(), acs::KEY);
    let gate = TestGate::with(&[
        ("HO_MAIL", "acs"),
        ("HO_ACS_CONNECTION_STRING", &connection),
        ("HO_MAIL_FROM", "approvals@notify.example.com"),
    ])
    .await;
    let all = cases(300, 20_000);
    for (seed, mut dice, body) in inputs(corpus("answer"), all) {
        let _case = Case(seed);
        let codes = [
            200, 202, 204, 302, 400, 401, 403, 404, 408, 413, 415, 429, 500, 502, 503,
        ];
        let mut response = Response::builder().status(codes[dice.below(codes.len())]);
        for name in [
            "retry-after",
            "operation-location",
            "content-type",
            "x-ms-error-code",
        ] {
            let value: Vec<u8> = dice.garble(b"30, zebra");
            let value: Vec<u8> = value
                .into_iter()
                .filter(|b| (32..127).contains(b))
                .collect();
            response = response.header(name, value);
        }
        service.answer_with(response.body(Body::from(body)).unwrap());
        submit(&gate, seed).await;
        // Past the pause that follows a response of the kind "misconfigured".
        gate.pass(Duration::from_secs(301));
    }
    assert!(
        service.requests().len() as u64 >= all,
        "each response was used"
    );
    record("untrusted_mail_service", &[("answers", all)]);
}

#[tokio::test]
async fn no_mail_server_response_breaks_a_submit() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("smtp://{}?tls=none", listener.local_addr().unwrap());
    let script = Arc::new(Mutex::new(Vec::new()));
    let (served, conversations) = (script.clone(), Arc::new(AtomicU64::new(0)));
    let counter = conversations.clone();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            counter.fetch_add(1, Ordering::SeqCst);
            let all: Vec<u8> = served.lock().unwrap().clone();
            // The whole script at once, then the end of the connection.
            client.write_all(&all).await.ok();
            client.shutdown().await.ok();
        }
    });
    let gate = TestGate::with(&[
        ("HO_MAIL", "smtp"),
        ("HO_SMTP_URL", &url),
        ("HO_MAIL_FROM", "gate@example.com"),
    ])
    .await;
    let all = cases(200, 20_000);
    for (seed, _, input) in inputs(corpus("smtp"), all) {
        let _case = Case(seed);
        *script.lock().unwrap() = input;
        submit(&gate, seed).await;
        gate.pass(Duration::from_secs(301));
    }
    assert!(
        conversations.load(Ordering::SeqCst) >= all,
        "each response was used"
    );
    record("untrusted_mail_server", &[("conversations", all)]);
}

async fn submit(gate: &TestGate, seed: u64) {
    let new = NewApproval {
        // Stays below the limit of open requests per agent.
        agent_name: format!("Agent {}", seed % 100),
        approver_emails: vec![ALICE.to_owned()],
        timeout_seconds: Some(10),
        ..request()
    };
    gate.client.submit(&new).await.unwrap();
}

/// An intermediary alters the gate's responses: no action runs without the genuine receipt and the
/// genuine key.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_altered_gate_response_runs_an_action_against_its_receipt() {
    let gate = TestGate::with(&[("HO_OPEN_LIMIT", "10000")]).await;
    let all = cases(60, 1_500);
    let responses: Arc<Mutex<(Dice, Vec<Value>)>> = Arc::new(Mutex::new((Dice(0), Vec::new())));
    let altered = responses.clone();
    let proxy = intercepting_url(
        &gate,
        |_, body| body,
        move |path, status, body| {
            let mut responses = altered.lock().unwrap();
            let can_garble = path.starts_with("/api/claim/") || path == "/api/keys";
            let body = if can_garble && responses.0.below(2) == 0 {
                responses.0.garble(&body)
            } else {
                body
            };
            let received = serde_json::from_slice(&body).unwrap_or_default();
            responses.1.push(received);
            (status, body)
        },
    )
    .await;
    let keys = serde_json::to_value(gate.client.keys().await.unwrap()).unwrap();
    let genuine_key = keys["keys"][0]["x"].clone();
    let params = json!({"user_id": "1"});
    let (mut ran, mut refused) = (0, 0);
    for seed in first()..first() + all {
        let _case = Case(seed);
        *responses.lock().unwrap() = (Dice(seed), Vec::new());
        // A new client, which has not loaded the keys yet.
        let agent = Gate::new(Client::new(&proxy, None).unwrap());
        let agent = agent.agent(AGENT).approvers([ALICE]);
        let Ok(pending) = agent.action("Delete").submit(&params).await else {
            refused += 1;
            continue;
        };
        let submitted = pending.approval().unwrap().clone();
        gate.approve(&submitted, ALICE).await;
        match pending.run(&params, async |_| "ran").await {
            Outcome::Executed(_) => {
                let row = gate.entity(&submitted.id).await;
                let received = &responses.lock().unwrap().1;
                for (member, column) in [("receipt", "Receipt"), ("permit", "ClaimPermit")] {
                    let genuine = |response: &Value| response[member] == row[column];
                    assert!(received.iter().any(genuine), "{received:?}");
                }
                let key = |response: &Value| response.pointer("/keys/0/x") == Some(&genuine_key);
                assert!(received.iter().any(key), "{received:?}");
                ran += 1;
            }
            _ => refused += 1,
        }
    }
    assert!(ran > 0 && refused > 0);
    record(
        "untrusted_gate",
        &[("answers", all), ("ran", ran), ("refused", refused)],
    );
}
