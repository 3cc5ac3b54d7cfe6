//! Answers that no one should give: what a mail system or a false gate says breaks nothing, and what
//! they say is in no log (all lines are looked at).

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

/// Whatever a mail system answers, the agent has its request, and the log repeats nothing (that looks
/// at itself).
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
        let mut answer = Response::builder().status(codes[dice.below(codes.len())]);
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
            answer = answer.header(name, value);
        }
        service.answer_with(answer.body(Body::from(body)).unwrap());
        submitted(&gate, seed).await;
        // Past the pause after an answer that blames the settings.
        gate.pass(Duration::from_secs(301));
    }
    assert!(service.requests().len() as u64 >= all, "each was heard");
    record("untrusted_mail_service", &[("answers", all)]);
}

#[tokio::test]
async fn no_mail_server_response_breaks_a_submit() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("smtp://{}?tls=none", listener.local_addr().unwrap());
    let said = Arc::new(Mutex::new(Vec::new()));
    let (saying, heard) = (said.clone(), Arc::new(AtomicU64::new(0)));
    let hearing = heard.clone();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            hearing.fetch_add(1, Ordering::SeqCst);
            let all: Vec<u8> = saying.lock().unwrap().clone();
            // All of it at once, and then nothing more ever.
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
    for (seed, _, words) in inputs(corpus("smtp"), all) {
        let _case = Case(seed);
        *said.lock().unwrap() = words;
        submitted(&gate, seed).await;
        gate.pass(Duration::from_secs(301));
    }
    assert!(heard.load(Ordering::SeqCst) >= all, "each was heard");
    record("untrusted_mail_server", &[("conversations", all)]);
}

async fn submitted(gate: &TestGate, seed: u64) {
    let new = NewApproval {
        // No agent may have too many that are open.
        agent_name: format!("Agent {}", seed % 100),
        approver_emails: vec![ALICE.to_owned()],
        timeout_seconds: Some(10),
        ..request()
    };
    gate.client.submit(&new).await.unwrap();
}

/// Whatever stands between an agent and its gate: nothing runs without the genuine receipt and the
/// genuine key.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_altered_gate_response_runs_an_action_against_its_receipt() {
    let gate = TestGate::with(&[("HO_OPEN_LIMIT", "10000")]).await;
    let all = cases(60, 1_500);
    let answers: Arc<Mutex<(Dice, Vec<Value>)>> = Arc::new(Mutex::new((Dice(0), Vec::new())));
    let changing = answers.clone();
    let between = intercepting_url(
        &gate,
        |_, body| body,
        move |path, status, body| {
            let mut answers = changing.lock().unwrap();
            let body = match path.starts_with("/api/claim/") || path == "/api/keys" {
                true if answers.0.below(2) == 0 => answers.0.garble(&body),
                _ => body,
            };
            let heard = serde_json::from_slice(&body).unwrap_or_default();
            answers.1.push(heard);
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
        *answers.lock().unwrap() = (Dice(seed), Vec::new());
        // One that has not seen the keys yet.
        let agent = Gate::new(Client::new(&between, None).unwrap());
        let agent = agent.agent(AGENT).approvers([ALICE]);
        let pending = agent.action("Delete").submit(&params).await.unwrap();
        let asked = pending.approval().unwrap().clone();
        gate.approve(&asked, ALICE).await;
        match pending.run(&params, async |_| "ran").await {
            Outcome::Executed(_) => {
                let receipt = json!(gate.status(&asked.id).await.receipt.unwrap());
                let heard = &answers.lock().unwrap().1;
                assert!(
                    heard.iter().any(|answer| answer["receipt"] == receipt),
                    "{heard:?}"
                );
                let key = |answer: &Value| answer.pointer("/keys/0/x") == Some(&genuine_key);
                assert!(heard.iter().any(key), "{heard:?}");
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
