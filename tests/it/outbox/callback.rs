//! Callbacks: an agent that does not wait is woken when its request has ended.

use std::time::{Duration, Instant};

use human_oversight::domain::DeliveryState;
use human_oversight_client::types::Approval;
use reqwest::StatusCode;
use serde_json::{Value, json};

use super::receiver::Receiver;
use super::{gate_with, signed_headers};
use crate::azurite::azurite;
use crate::backing_store;
use crate::channels::verify;
use crate::deadline::eventually;
use crate::harness::{AGENT, ALICE, TestGate, request};
use crate::proxy::Proxy;
use crate::tables::operations;

const POLICY: &str = r#"
version = 1

[channels.agents]
kind = "webhook"
url = "HO_CHANNEL_AGENTS"
callback_for = ["UserManager*"]

[channels.ledger]
kind = "webhook"
url = "HO_CHANNEL_LEDGER"
"#;

async fn gate_that_calls_back(receiver: &Receiver) -> TestGate {
    let elsewhere = "https://hooks.example.com/";
    let channels = [
        ("HO_CHANNEL_AGENTS", receiver.url.as_str()),
        ("HO_CHANNEL_LEDGER", elsewhere),
    ];
    gate_with(POLICY, &channels).await
}

fn body(callback: Value) -> Value {
    let mut body = serde_json::to_value(request()).unwrap();
    body["callback"] = callback;
    body
}

async fn submit(gate: &TestGate, callback: Value) -> Approval {
    let answer = gate.post("/api/submit", body(callback).to_string()).await;
    assert_eq!(answer.status, StatusCode::ACCEPTED, "{}", answer.body);
    serde_json::from_str(&answer.body).unwrap()
}

#[tokio::test]
async fn an_agent_is_woken_within_a_second_of_the_decision() {
    let receiver = Receiver::start().await;
    let gate = gate_that_calls_back(&receiver).await;
    let approval = submit(
        &gate,
        json!({"channel": "agents", "state": "job 17 \u{1f600}"}),
    )
    .await;
    let question = gate.question(&approval, ALICE);
    let began_at = Instant::now();
    gate.decide(&question, &[("decision", "reject")]).await;
    let received = receiver.until(1).await;
    assert!(began_at.elapsed() < Duration::from_secs(20));
    let event = verify(&signed_headers(&received[0]), &received[0].body).await;
    let event = event.expect("the signature is valid");
    assert_eq!(event["type"], "request.decided");
    assert_eq!(
        event["data"],
        json!({
            "agentName": AGENT, "correlationId": approval.correlation_id, "status": "Rejected",
            "sequence": 2, "state": "job 17 \u{1f600}",
        })
    );
    // The agent's text is not for people.
    let page = gate.get(&question.link).await;
    assert!(!page.body.contains("job 17"));
    assert!(
        !gate
            .mails()
            .iter()
            .any(|mail| mail.source.contains("job 17"))
    );
}

#[tokio::test]
async fn an_agent_is_woken_when_its_request_expires_and_needs_no_state() {
    let receiver = Receiver::start().await;
    let gate = gate_that_calls_back(&receiver).await;
    submit(&gate, json!({"channel": "agents", "state": null})).await;
    gate.pass(Duration::from_secs(7_200));
    gate.sweep().await;
    let received = receiver.until(1).await[0].json();
    assert_eq!(received["type"], "request.expired");
    assert_eq!(received["data"].get("state"), None);
}

#[tokio::test]
async fn only_a_channel_that_the_policy_gives_to_the_agent_calls_it_back() {
    let receiver = Receiver::start().await;
    let gate = gate_that_calls_back(&receiver).await;
    let longest = "界".repeat(256);
    submit(&gate, json!({"channel": "agents", "state": longest})).await;
    for (callback, pointer) in [
        (json!({"channel": "ledger"}), "/callback/channel"),
        (json!({"channel": "nowhere"}), "/callback/channel"),
        (json!({"channel": receiver.url}), "/callback/channel"),
        (json!({"channel": 1}), "/callback/channel"),
        (json!({}), "/callback/channel"),
        (
            json!({"channel": "agents", "state": "界".repeat(257)}),
            "/callback/state",
        ),
        (json!({"channel": "agents", "state": 1}), "/callback/state"),
        (
            json!({"channel": "agents", "url": "https://evil.example"}),
            "/callback",
        ),
        (json!("agents"), "/callback"),
    ] {
        let answer = gate
            .post("/api/submit", body(callback.clone()).to_string())
            .await;
        assert_eq!(
            answer.status,
            StatusCode::UNPROCESSABLE_ENTITY,
            "{callback}"
        );
        assert_eq!(answer.json()["errors"][0]["pointer"], pointer, "{callback}");
    }
    let mut other = body(json!({"channel": "agents"}));
    other["agentName"] = "Another Agent".into();
    let answer = gate.post("/api/submit", other.to_string()).await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    let none = TestGate::start().await;
    let answer = none
        .post(
            "/api/submit",
            body(json!({"channel": "agents"})).to_string(),
        )
        .await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
}

/// The count that `scripts/cost` takes: the write of the lease is that of the decision, so a callback costs the list of
/// channels that are switched off, once a minute, and the write of its result.
#[tokio::test]
async fn a_callback_costs_two_operations_of_tables() {
    let receiver = Receiver::start().await;
    let mut counts = Vec::new();
    for callback in [None, Some(json!({"channel": "agents"}))] {
        let proxy = Proxy::start(azurite().port).await;
        let tables = backing_store::tables(proxy.port);
        let urls = [
            ("HO_CHANNEL_AGENTS", receiver.url.as_str()),
            ("HO_CHANNEL_LEDGER", "https://hooks.example.com/"),
        ];
        let settings = [&backing_store::borrowed(&tables)[..], &urls].concat();
        let gate = gate_with(POLICY, &settings).await;
        let awaited = callback.is_some();
        let approval = match callback {
            None => gate.ask().await,
            Some(callback) => submit(&gate, callback).await,
        };
        let question = gate.question(&approval, ALICE);
        proxy.clear();
        gate.decide(&question, &[("decision", "reject")]).await;
        gate.until_kept(1).await;
        if awaited {
            let id = approval.id.parse().unwrap();
            let look = async || {
                let row = gate.store.get(&id).await.unwrap();
                let state = row.approval.outbox[0].state;
                matches!(state, DeliveryState::Sent(_)).then_some(())
            };
            eventually(look).await;
        }
        let done = operations(&proxy);
        // The reads of the test itself.
        let done = done.iter().filter(|it| *it != "GET approvals");
        counts.push(done.cloned().collect::<Vec<_>>());
    }
    let [without, with] = &counts[..] else {
        panic!("two counts");
    };
    assert_eq!(with.len() - without.len(), 2, "{without:#?} {with:#?}");
}
