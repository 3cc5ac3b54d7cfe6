//! The legacy protocol: one call that returns the decision.

use human_oversight_client::types::ExecutionStatus;
use reqwest::StatusCode;
use serde_json::{Value, json};

use super::LEGACY_BODY;
use crate::harness::{ALICE, TestGate};

#[tokio::test]
async fn a_synchronous_submit_claims_the_approval_once() {
    let gate = TestGate::start().await;
    let caller = {
        let (http, url) = (
            gate.http.clone(),
            format!("{}/api/submit?wait=60", gate.url),
        );
        let call = http
            .post(url)
            .header("content-type", "application/json")
            .body(LEGACY_BODY);
        tokio::spawn(async move { call.send().await.unwrap().json_value().await })
    };
    let approval = gate.first_pending().await;
    gate.approve(&approval, ALICE).await;
    let (status, answer) = caller.await.unwrap();
    assert_eq!(status, StatusCode::OK);
    assert_eq!(
        answer["correlationId"],
        "4f4dbd79-e2d1-4a7e-8f3b-b2f6ffda2de1"
    );
    assert_eq!(
        (&answer["status"], &answer["approver"]),
        (&json!("Approved"), &json!(ALICE))
    );
    assert_eq!(answer["execution"]["status"], "Executing");

    let repeat = gate.post("/api/submit?wait=60", LEGACY_BODY).await;
    assert_eq!(repeat.status, StatusCode::CONFLICT, "{}", repeat.body);
    repeat.problem();
}

#[tokio::test]
async fn a_synchronous_submit_returns_a_rejection_or_a_timeout() {
    let gate = TestGate::start().await;
    let call = |wait: &str, body: String| {
        let url = format!("{}/api/submit{wait}", gate.url);
        let call = gate
            .http
            .post(url)
            .header("content-type", "application/json")
            .body(body);
        tokio::spawn(async move { call.send().await.unwrap().json_value().await })
    };
    let rejected = call("?wait=60", LEGACY_BODY.to_owned());
    let approval = gate.first_pending().await;
    gate.reject(&approval, ALICE, "not today").await;
    let (status, answer) = rejected.await.unwrap();
    assert_eq!(
        (status, &answer["status"]),
        (StatusCode::OK, &json!("Rejected"))
    );
    assert_eq!(
        (&answer["approver"], &answer["comment"]),
        (&json!(ALICE), &json!("not today"))
    );

    // Without `timeoutSeconds`, the wait is the deadline; the timeout is stored before the answer.
    let timed_out = call("?wait=1", LEGACY_BODY.replace("4f4dbd79", "00000000"));
    let (status, answer) = timed_out.await.unwrap();
    assert_eq!(
        (status, &answer["status"]),
        (StatusCode::OK, &json!("Timeout"))
    );
    assert_eq!(answer["approver"], "", "the legacy answer");
    let row = gate
        .stored()
        .await
        .into_iter()
        .find(|(key, ..)| key.starts_with("00000000"))
        .unwrap();
    assert!(row.2.contains(r#""Status":"Timeout""#), "{}", row.2);
}

#[tokio::test]
async fn a_synchronous_wait_may_end_before_the_deadline() {
    let gate = TestGate::start().await;
    let body = LEGACY_BODY.replace(r#""timestamp""#, r#""timeoutSeconds": 600, "timestamp""#);
    let pending = gate.post("/api/submit?wait=1", body.clone()).await;
    assert_eq!(pending.status, StatusCode::ACCEPTED);
    assert_eq!(pending.json()["status"], "Pending");
    let approval = gate.status(pending.json()["id"].as_str().unwrap()).await;
    gate.approve(&approval, ALICE).await;
    let approved = gate.post("/api/submit?wait=1", body).await;
    assert_eq!(
        (approved.status, &approved.json()["status"]),
        (StatusCode::OK, &json!("Approved"))
    );
    assert_eq!(
        gate.status(&approval.id).await.execution.unwrap().status,
        ExecutionStatus::Executing
    );
}

#[tokio::test]
async fn the_wait_may_be_set_by_the_prefer_header() {
    let gate = TestGate::start().await;
    let call = gate
        .http
        .post(format!("{}/api/submit", gate.url))
        .header("content-type", "application/json; charset=utf-8")
        .header("prefer", "respond-async, wait=1")
        .body(LEGACY_BODY);
    let answer = call.send().await.unwrap();
    assert_eq!(answer.headers()["preference-applied"], "wait=1");
    assert_eq!(answer.json_value().await.1["status"], "Timeout");

    // RFC 7240, section 2: names have no case, values may be quoted, and the first preference of a name counts.
    for (prefer, applied) in [
        ("Wait=1", Some("wait=1")),
        ("wait=\"1\"", Some("wait=1")),
        ("wait = 1;why=hurry", Some("wait=1")),
        (
            "handling=lenient; x=\"a, wait=7\", wait=1, wait=2",
            Some("wait=1"),
        ),
        ("return=minimal;wait=1", None),
        ("wait=1s", None),
        ("wait", None),
    ] {
        let body = LEGACY_BODY.replace(
            "\"correlationId\": \"4f4dbd79-e2d1-4a7e-8f3b-b2f6ffda2de1\", ",
            "",
        );
        let call = gate.http.post(format!("{}/api/submit", gate.url));
        let call = call.header("content-type", "application/json");
        let answer = call
            .header("prefer", prefer)
            .body(body)
            .send()
            .await
            .unwrap();
        let found = answer.headers().get("preference-applied");
        let found = found.map(|it| it.to_str().unwrap());
        assert_eq!(found, applied, "{prefer}");
    }

    for wait in ["0", "101", "-1", "x", ""] {
        let answer = gate
            .post(&format!("/api/submit?wait={wait}"), LEGACY_BODY)
            .await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "wait={wait}");
        assert!(
            answer.problem()["detail"]
                .as_str()
                .unwrap()
                .contains("1 to 100")
        );
    }
    let claimant = LEGACY_BODY.replace(
        r#""timestamp""#,
        &format!(r#""claimant": "{}", "timestamp""#, "0".repeat(64)),
    );
    assert_eq!(gate.post("/api/submit?wait=5", claimant).await.status, 422);
}

trait JsonValue {
    async fn json_value(self) -> (StatusCode, Value);
}

impl JsonValue for reqwest::Response {
    async fn json_value(self) -> (StatusCode, Value) {
        (
            self.status(),
            serde_json::from_slice(&self.bytes().await.unwrap()).unwrap(),
        )
    }
}
