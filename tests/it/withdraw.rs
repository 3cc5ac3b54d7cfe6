//! `POST /api/withdraw/{id}`.

use std::time::Duration;

use human_oversight_client::types::{Status, Withdrawal};
use reqwest::StatusCode;

use crate::harness::{ALICE, TestGate};

#[tokio::test]
async fn a_withdrawn_request_cannot_be_decided() {
    let gate = TestGate::start().await;
    let approval = gate.ask().await;
    let question = gate.question(&approval, ALICE);
    let opened = gate.get(&question.link).await;
    let withdrawn = gate
        .client
        .withdraw(&approval.id, &Withdrawal::default())
        .await
        .unwrap();
    assert_eq!(withdrawn.status, Status::Cancelled);
    assert_eq!(
        gate.client
            .withdraw(&approval.id, &Withdrawal::default())
            .await
            .unwrap(),
        withdrawn
    );

    let form = [("decision", "approve"), ("code", question.code.as_str())];
    let answer = gate.send_form(&opened, &form).await;
    assert_eq!(answer.status, StatusCode::CONFLICT);
    assert!(answer.body.contains("Withdrawn by the agent"));
    assert_eq!(gate.status(&approval.id).await.status, Status::Cancelled);
}

#[tokio::test]
async fn withdrawing_needs_no_body_and_undoes_no_decision() {
    let gate = TestGate::start().await;
    let (one, two, three) = (gate.ask().await, gate.ask().await, gate.ask().await);
    let withdraw = async |id: &str| {
        let url = format!("{}/api/withdraw/{id}", gate.url);
        gate.http.post(url).send().await.unwrap().status()
    };
    assert_eq!(withdraw(&one.id).await, StatusCode::OK);
    gate.reject(&two, ALICE, "no").await;
    assert_eq!(withdraw(&two.id).await, StatusCode::CONFLICT);
    gate.approve(&three, ALICE).await;
    assert_eq!(withdraw(&three.id).await, StatusCode::CONFLICT);
    let late = gate.ask().await;
    gate.pass(Duration::from_secs(3_600));
    assert_eq!(withdraw(&late.id).await, StatusCode::CONFLICT);
    assert_eq!(gate.status(&late.id).await.status, Status::Timeout);
    assert_eq!(withdraw("YQ.b").await, StatusCode::NOT_FOUND);
}
