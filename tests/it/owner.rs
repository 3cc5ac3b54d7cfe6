//! The owner of a request: only the credential that submitted it reaches it.

use human_oversight_client::parameters::{hex, sha256};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::harness::{AGENT, ALICE, Page, TestGate, http, request};
use crate::host::{KEY, OTHER_KEY};

const CLAIM: &str = r#"{"nonce":"0123456789abcdef"}"#;

/// The routes for an agent's own request, with a body.
const ROUTES: [(&str, Method, &str); 5] = [
    ("/api/status/{id}", Method::GET, ""),
    ("/api/status/{id}?wait=1", Method::GET, ""),
    ("/api/claim/{id}", Method::POST, CLAIM),
    (
        "/api/outcome/{id}",
        Method::POST,
        r#"{"status":"Executed"}"#,
    ),
    ("/api/withdraw/{id}", Method::POST, "{}"),
];

/// Calls the handler past the host, with a function key in the header or without one.
async fn call(gate: &TestGate, key: Option<&str>, method: &Method, path: &str, body: &str) -> Page {
    let http = http().build().unwrap();
    let mut call = http.request(method.clone(), gate.direct(path));
    if let Some(key) = key {
        call = call.header("x-functions-key", key);
    }
    if *method == Method::POST {
        call = call.header("content-type", "application/json");
    }
    Page::of(call.body(body.to_owned()).send().await.unwrap()).await
}

/// A submit of a request with this correlation id.
async fn submit(gate: &TestGate, key: Option<&str>, correlation: &str, wait: &str) -> Page {
    let mut body = serde_json::to_value(request()).unwrap();
    body["correlationId"] = json!(correlation);
    let path = format!("/api/submit{wait}");
    call(gate, key, &Method::POST, &path, &body.to_string()).await
}

/// What a caller learns from a refusal: everything but the id of the call.
fn learned(answer: &Page) -> (StatusCode, Vec<String>, Value) {
    let mut problem = answer.problem();
    problem["invocationId"] = Value::Null;
    let mut headers: Vec<_> = answer.headers.keys().map(ToString::to_string).collect();
    headers.sort();
    (answer.status, headers, problem)
}

fn digest(key: &str) -> String {
    hex(&sha256(key.as_bytes()))
}

/// Asserts that this caller cannot tell the request from one that does not exist.
async fn assert_hidden(gate: &TestGate, key: Option<&str>, id: &str) {
    let before = gate.stored().await;
    let (agent, _) = id.split_once('.').unwrap();
    let absent = format!("{agent}.absent");
    for (path, method, body) in &ROUTES {
        let [answer, nothing] = [id, &absent].map(|id| path.replace("{id}", id));
        let answer = call(gate, key, method, &answer, body).await;
        let nothing = call(gate, key, method, &nothing, body).await;
        assert_eq!(
            answer.status,
            StatusCode::NOT_FOUND,
            "{path}: {}",
            answer.body
        );
        assert_eq!(learned(&answer), learned(&nothing), "{path}");
    }
    assert_eq!(gate.stored().await, before);
}

async fn assert_reached(gate: &TestGate, key: Option<&str>, id: &str) {
    let answer = call(gate, key, &Method::GET, &format!("/api/status/{id}"), "").await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
}

fn id(correlation: &str) -> String {
    crate::golden::escaped_id(AGENT, correlation)
}

#[tokio::test]
async fn a_request_is_hidden_from_every_other_key_in_every_state() {
    let gate = TestGate::start().await;
    let others = [None, Some(OTHER_KEY), Some("")];
    let own = Some(KEY);
    for state in ["pending", "rejected", "approved", "executing", "executed"] {
        let submitted = submit(&gate, own, state, "").await;
        assert_eq!(submitted.status, StatusCode::ACCEPTED, "{}", submitted.body);
        let approval = gate.status(&id(state)).await;
        match state {
            "pending" => {}
            "rejected" => gate.reject(&approval, ALICE, "No.").await,
            _ => gate.approve(&approval, ALICE).await,
        }
        let claim = format!("/api/claim/{}", id(state));
        if state.starts_with("exec") {
            let claimed = call(&gate, own, &Method::POST, &claim, CLAIM).await;
            assert_eq!(claimed.status, StatusCode::OK, "{}", claimed.body);
        }
        if state == "executed" {
            let outcome = format!("/api/outcome/{}", id(state));
            let executed = r#"{"status":"Executed"}"#;
            let reported = call(&gate, own, &Method::POST, &outcome, executed).await;
            assert_eq!(reported.status, StatusCode::OK, "{}", reported.body);
        }
        for other in others {
            assert_hidden(&gate, other, &id(state)).await;
        }
        assert_reached(&gate, own, &id(state)).await;
        // The host compares keys without regard to case.
        assert_reached(&gate, Some(&KEY.to_uppercase()), &id(state)).await;
    }
}

#[tokio::test]
async fn an_id_of_another_owner_is_taken_and_nothing_of_its_request_is_answered() {
    let gate = TestGate::start().await;
    assert_eq!(
        submit(&gate, Some(KEY), "1", "").await.status,
        StatusCode::ACCEPTED
    );
    let mails = gate.mails().len();
    for other in [None, Some(OTHER_KEY)] {
        for wait in ["", "?wait=1"] {
            let taken = submit(&gate, other, "1", wait).await;
            assert_eq!(taken.status, StatusCode::CONFLICT, "{}", taken.body);
            assert!(!taken.body.contains("Delete User Account"));
            assert_eq!(taken.problem().get("errors"), None);
        }
    }
    // The decision is claimed by no other caller that waits for it.
    gate.approve(&gate.status(&id("1")).await, ALICE).await;
    let taken = submit(&gate, Some(OTHER_KEY), "1", "?wait=1").await;
    assert_eq!(taken.status, StatusCode::CONFLICT, "{}", taken.body);
    let own = submit(&gate, Some(KEY), "1", "?wait=1").await;
    assert_eq!(own.json()["status"], "Approved");
    assert_eq!(gate.stored().await.len(), 1);
    assert!(gate.mails().len() >= mails);
}

#[tokio::test]
async fn keys_with_the_same_agents_are_one_owner() {
    let [first, second, other] = ["one", "two", "three"].map(digest);
    let keys = format!("{first}=User*,{second}=User*,{second}=Pay*,{other}=UserManagerAgent");
    let gate = TestGate::with(&[("HO_AGENT_KEYS", &keys)]).await;
    let submitted = submit(&gate, Some("one"), "1", "").await;
    assert_eq!(submitted.status, StatusCode::ACCEPTED, "{}", submitted.body);
    assert_reached(&gate, Some("two"), &id("1")).await;
    for hidden in [None, Some("three"), Some("four")] {
        assert_hidden(&gate, hidden, &id("1")).await;
    }
    let row = gate.entity(&id("1")).await;
    assert_eq!(row["Owner"], "agents:User*");
}

#[tokio::test]
async fn a_key_that_is_mapped_later_keeps_its_requests() {
    let gate = TestGate::start().await;
    assert_eq!(
        submit(&gate, Some(KEY), "1", "").await.status,
        StatusCode::ACCEPTED
    );
    let row = gate.entity(&id("1")).await;
    assert_eq!(row["Owner"], format!("key:{}", digest(KEY)));
    let [own, other] = [KEY, OTHER_KEY].map(digest);
    let keys = format!("{own}=User*,{other}=*");
    let gate = TestGate::at(gate.dir, &[("HO_AGENT_KEYS", &keys)]).await;
    assert_reached(&gate, Some(KEY), &id("1")).await;
    let again = submit(&gate, Some(KEY), "1", "").await;
    assert_eq!(again.status, StatusCode::ACCEPTED, "{}", again.body);
    assert_hidden(&gate, Some(OTHER_KEY), &id("1")).await;
}

#[tokio::test]
async fn a_row_without_an_owner_is_open_to_each_key_for_its_agent() {
    let gate = TestGate::with(&[("HO_ROWS", "1")]).await;
    assert_eq!(
        submit(&gate, Some(KEY), "1", "").await.status,
        StatusCode::ACCEPTED
    );
    assert_eq!(gate.entity(&id("1")).await.get("Owner"), None);
    let gate = TestGate::at(gate.dir, &[]).await;
    for key in [Some(KEY), Some(OTHER_KEY), None] {
        assert_reached(&gate, key, &id("1")).await;
    }
    let keys = format!("{}=*,{}=PaymentsAgent", digest(KEY), digest(OTHER_KEY));
    let gate = TestGate::at(gate.dir, &[("HO_AGENT_KEYS", &keys)]).await;
    assert_reached(&gate, Some(KEY), &id("1")).await;
    for hidden in [None, Some(OTHER_KEY)] {
        assert_hidden(&gate, hidden, &id("1")).await;
    }
}

#[tokio::test]
async fn without_a_host_a_call_without_a_key_has_an_owner_too() {
    let gate = TestGate::alone().await;
    assert_eq!(
        submit(&gate, None, "1", "").await.status,
        StatusCode::ACCEPTED
    );
    assert_eq!(gate.entity(&id("1")).await["Owner"], "local");
    assert_reached(&gate, None, &id("1")).await;
    assert_hidden(&gate, Some(KEY), &id("1")).await;
}

#[tokio::test]
async fn a_call_shows_the_gate_no_other_key_than_the_host() {
    let gate = TestGate::start().await;
    assert_eq!(
        submit(&gate, Some(KEY), "1", "").await.status,
        StatusCode::ACCEPTED
    );
    let before = gate.stored().await;
    let http = http().build().unwrap();
    let body = serde_json::to_string(&request()).unwrap();
    for (query, headers) in [
        (format!("?code={OTHER_KEY}&Code={KEY}"), vec![]),
        (format!("?CODE={KEY}&code={OTHER_KEY}"), vec![]),
        (format!("?cOdE={KEY}"), vec![OTHER_KEY]),
        (format!("?%63ode={OTHER_KEY}"), vec![KEY]),
        (String::new(), vec![KEY, OTHER_KEY]),
        (String::new(), vec!["a, b"]),
        (format!("?code={KEY},{OTHER_KEY}"), vec![]),
    ] {
        let calls = [
            (Method::GET, format!("/api/status/{}{query}", id("1")), ""),
            (Method::POST, format!("/api/submit{query}"), body.as_str()),
        ];
        for (method, path, body) in calls {
            let mut call = http.request(method, gate.direct(&path));
            for key in &headers {
                call = call.header("x-functions-key", *key);
            }
            let call = call
                .header("content-type", "application/json")
                .body(body.to_owned());
            let answer = Page::of(call.send().await.unwrap()).await;
            assert_eq!(answer.status, StatusCode::FORBIDDEN, "{query} {headers:?}");
            answer.problem();
        }
    }
    assert_eq!(gate.stored().await, before);
    for query in [format!("?Code={KEY}"), format!("?code={KEY}&CODE={KEY}")] {
        let path = format!("/api/status/{}{query}", id("1"));
        let answer = call(&gate, Some(KEY), &Method::GET, &path, "").await;
        assert_eq!(answer.status, StatusCode::OK, "{query}: {}", answer.body);
    }
}
