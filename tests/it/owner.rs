//! The owner of a request: only the credential that submitted it reaches it.

use human_oversight_client::parameters::{hex, sha256};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::harness::{AGENT, ALICE, Log, Page, TestGate, http, request};
use crate::host::{KEY, OTHER_KEY};

/// A whole link token, of no approver: one that lacks a part is not looked up.
pub(crate) const FOREIGN_LINK: &str = "?k=1k1.AbCdEfGhIjKlMnOpQrStUvWxYz0123456789-_AbCdE";

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

/// Asserts that these links open the same page for the request as for one that does not exist.
async fn assert_page_hidden(gate: &TestGate, id: &str, links: &[&str]) {
    let (agent, _) = id.split_once('.').unwrap();
    for link in links {
        let open = async |id: &str| {
            gate.get(&gate.direct(&format!("/api/decision/{id}{link}")))
                .await
        };
        let (page, nothing) = (open(id).await, open(&format!("{agent}.absent")).await);
        assert_eq!(page.status, StatusCode::NOT_FOUND, "{}", page.body);
        assert_eq!(page.body, nothing.body);
        let names = |page: &Page| page.headers.keys().cloned().collect::<Vec<_>>();
        assert_eq!(names(&page), names(&nothing));
    }
}

async fn assert_integrity_problem(gate: &TestGate, key: Option<&str>, id: &str) {
    for (path, method, body) in &ROUTES {
        let answer = call(gate, key, method, &path.replace("{id}", id), body).await;
        assert_eq!(answer.status, 500, "{path}: {}", answer.body);
        let kind = "urn:human-oversight:problem:integrity";
        assert_eq!(answer.problem()["type"], kind, "{path}");
    }
}

#[tokio::test]
async fn a_damaged_request_is_an_integrity_problem_to_its_owner_and_absent_to_others() {
    let gate = TestGate::start().await;
    let own = Some(KEY);
    type Damage = fn(&mut Value);
    let damages: [(&str, Damage); 5] = [
        ("a value", |row| {
            row["ActionDescription"] = json!("Read User Account")
        }),
        ("a column more", |row| row["Extra"] = json!("x")),
        ("no seal", |row| {
            drop(row.as_object_mut().unwrap().remove("RowSeal"))
        }),
        ("an approver", |row| {
            row["Notifications"] = json!("nonsense")
        }),
        ("its index entry", |row| row["DueEntry"] = json!("nonsense")),
    ];
    for (number, (name, damage)) in damages.into_iter().enumerate() {
        let id = id(&number.to_string());
        let submitted = submit(&gate, own, &number.to_string(), "").await;
        assert_eq!(submitted.status, StatusCode::ACCEPTED, "{}", submitted.body);
        let link = gate.question(&gate.status(&id).await, ALICE).link;
        gate.tamper(&id, None, damage).await;
        assert_integrity_problem(&gate, own, &id).await;
        for other in [None, Some(OTHER_KEY), Some("")] {
            assert_hidden(&gate, other, &id).await;
            let taken = submit(&gate, other, &number.to_string(), "").await;
            assert_eq!(taken.status, StatusCode::CONFLICT, "{}", taken.body);
        }
        let again = submit(&gate, own, &number.to_string(), "").await;
        assert_eq!(again.status, 500, "{}", again.body);
        assert_page_hidden(&gate, &id, &["", FOREIGN_LINK]).await;
        let page = gate.get(&link).await;
        let is_known = name != "an approver";
        assert_eq!(page.status, if is_known { 500 } else { 404 }, "{name}");
    }
}

#[tokio::test]
async fn a_damaged_request_whose_owner_cannot_be_known_is_absent_to_every_caller() {
    let gate = TestGate::start().await;
    type Damage = fn(&mut Value);
    let damages: [Damage; 4] = [
        |row| drop(row.as_object_mut().unwrap().remove("Owner")),
        |row| row["Owner"] = json!("nonsense"),
        |row| row["Owner"] = json!(1),
        |row| *row = json!({}),
    ];
    for (number, damage) in damages.into_iter().enumerate() {
        let id = id(&number.to_string());
        submit(&gate, Some(KEY), &number.to_string(), "").await;
        gate.tamper(&id, None, damage).await;
        let log = Log::default();
        let _guard = log.collect();
        for caller in [None, Some(KEY), Some(OTHER_KEY)] {
            assert_hidden(&gate, caller, &id).await;
        }
        assert!(log.count("integrity problem") > 0, "the operator sees it");
        assert_page_hidden(&gate, &id, &["", FOREIGN_LINK]).await;
    }
}

#[tokio::test]
async fn a_receipt_that_contradicts_its_row_is_shown_to_the_owner_only() {
    let gate = TestGate::start().await;
    submit(&gate, Some(KEY), "1", "").await;
    gate.approve(&gate.status(&id("1")).await, ALICE).await;
    let mut row = gate.store.get(&id("1").parse().unwrap()).await.unwrap();
    let human_oversight::domain::State::Approved { decision, .. } = &mut row.approval.state else {
        panic!("{row:?}");
    };
    decision.words.comment = Some("Gladly.".to_owned());
    gate.store.replace(row, None).await.unwrap();
    assert_integrity_problem(&gate, Some(KEY), &id("1")).await;
    for other in [None, Some(OTHER_KEY)] {
        assert_hidden(&gate, other, &id("1")).await;
    }
    assert_page_hidden(&gate, &id("1"), &["", FOREIGN_LINK]).await;
}

#[tokio::test]
async fn calls_of_strangers_for_a_damaged_request_cannot_fill_the_log() {
    let gate = TestGate::start().await;
    submit(&gate, Some(KEY), "1", "").await;
    gate.tamper(&id("1"), None, |row| row["Reason"] = json!("x"))
        .await;
    gate.begin_minute();
    let log = Log::default();
    let _guard = log.collect();
    for _ in 0..40 {
        assert_page_hidden(&gate, &id("1"), &[FOREIGN_LINK]).await;
        let status = format!("/api/status/{}", id("1"));
        call(&gate, Some(OTHER_KEY), &Method::GET, &status, "").await;
    }
    let lines = log.count("integrity problem") + log.count("answered");
    assert_eq!(lines, 60);
    assert!(log.count("integrity problem") > 30);
    assert_integrity_problem(&gate, Some(KEY), &id("1")).await;
    let lines = log.count("integrity problem") + log.count("answered");
    assert_eq!(lines, 60 + ROUTES.len());
}
