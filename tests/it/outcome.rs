//! `POST /api/outcome/{id}`.

use std::time::Duration;

use human_oversight_client::types::{ExecutionStatus, Report};
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::claim::claim;
use crate::harness::{ALICE, TestGate};

pub(crate) fn report(error: Option<&str>) -> Report {
    let status = match error {
        None => ExecutionStatus::Executed,
        Some(_) => ExecutionStatus::ExecutionFailed,
    };
    Report {
        status,
        error: error.map(str::to_owned),
        secret: None,
    }
}

async fn claimed(gate: &TestGate) -> String {
    let approval = gate.ask().await;
    gate.approve(&approval, ALICE).await;
    gate.client
        .claim(&approval.id, &claim("0123456789abcdef"))
        .await
        .unwrap();
    approval.id
}

async fn post(gate: &TestGate, id: &str, body: Value) -> StatusCode {
    gate.post(&format!("/api/outcome/{id}"), body.to_string())
        .await
        .status
}

#[tokio::test]
async fn an_outcome_is_recorded_once() {
    let gate = TestGate::start().await;
    let id = claimed(&gate).await;
    let executed = gate.client.outcome(&id, &report(None)).await.unwrap();
    assert_eq!(
        executed.execution.as_ref().unwrap().status,
        ExecutionStatus::Executed
    );
    assert_eq!(
        gate.client.outcome(&id, &report(None)).await.unwrap(),
        executed,
        "a repeated report"
    );
    assert_eq!(
        post(&gate, &id, json!({"status": "ExecutionFailed"})).await,
        StatusCode::CONFLICT
    );

    let id = claimed(&gate).await;
    let failed = gate
        .client
        .outcome(&id, &report(Some("disk full")))
        .await
        .unwrap();
    let execution = failed.execution.clone().unwrap();
    assert_eq!(execution.status, ExecutionStatus::ExecutionFailed);
    assert_eq!(execution.error.as_deref(), Some("disk full"));
    assert_eq!(
        gate.client
            .outcome(&id, &report(Some("disk full")))
            .await
            .unwrap(),
        failed
    );
    assert_eq!(
        post(
            &gate,
            &id,
            json!({"status": "ExecutionFailed", "error": "other"})
        )
        .await,
        409
    );
    assert_eq!(
        post(&gate, &id, json!({"status": "Executed"})).await,
        StatusCode::CONFLICT
    );
}

#[tokio::test]
async fn an_outcome_requires_a_claim() {
    let gate = TestGate::start().await;
    let approval = gate.ask().await;
    assert_eq!(
        post(&gate, &approval.id, json!({"status": "Executed"})).await,
        StatusCode::CONFLICT
    );
    gate.approve(&approval, ALICE).await;
    assert_eq!(
        post(&gate, &approval.id, json!({"status": "Executed"})).await,
        StatusCode::CONFLICT
    );
    assert_eq!(
        post(&gate, "YQ.b", json!({"status": "Executed"})).await,
        StatusCode::NOT_FOUND
    );
}

#[tokio::test]
async fn a_missing_report_becomes_unknown_and_a_late_one_is_recorded() {
    let gate = TestGate::with(&[("HO_OUTCOME_WITHIN", "60")]).await;
    let id = claimed(&gate).await;
    gate.pass(Duration::from_secs(60));
    gate.sweep().await;
    let unknown = gate.status(&id).await.execution.unwrap();
    assert_eq!(unknown.status, ExecutionStatus::ExecutionUnknown);
    let late = gate.client.outcome(&id, &report(None)).await.unwrap();
    assert_eq!(late.execution.unwrap().status, ExecutionStatus::Executed);
    let history = &gate.stored().await[0].2;
    let events: Vec<_> = ["ExecutionUnknown", "Executed", "ReportedLate"]
        .iter()
        .map(|what| {
            history
                .find(&format!(r#"\"what\":\"{what}\""#))
                .expect("the history contains the event")
        })
        .collect();
    assert!(events.is_sorted());
}

#[tokio::test]
async fn an_invalid_report_gets_a_problem_that_names_the_field() {
    let gate = TestGate::start().await;
    let id = claimed(&gate).await;
    for (body, pointer) in [
        (json!({}), "/status"),
        (json!({"status": "Approved"}), "/status"),
        (json!({"status": null}), "/status"),
        (json!({"status": "Executed", "error": "but"}), "/error"),
        (json!({"status": "ExecutionFailed", "error": 1}), "/error"),
        (
            json!({"status": "ExecutionFailed", "error": "x".repeat(2_001)}),
            "/error",
        ),
    ] {
        let answer = gate
            .post(&format!("/api/outcome/{id}"), body.to_string())
            .await;
        assert_eq!(answer.status, 422, "{body}");
        assert_eq!(answer.problem()["errors"][0]["pointer"], pointer);
    }
    assert_eq!(
        gate.status(&id).await.execution.unwrap().status,
        ExecutionStatus::Executing
    );
}
