//! `POST /api/claim/{id}`.

use std::time::Duration;

use human_oversight_client::parameters::{hex, sha256};
use human_oversight_client::types::{Claim, ExecutionStatus, Report, Status};
use human_oversight_client::{Error, permit, receipt};
use reqwest::StatusCode;
use serde_json::json;

use crate::harness::{ALICE, TestGate, request};

pub(crate) fn claim(nonce: &str) -> Claim {
    Claim {
        nonce: nonce.to_owned(),
        secret: None,
    }
}

pub(crate) const NONCE: &str = "0123456789abcdef";
const OTHER_NONCE: &str = "fedcba9876543210";

pub(crate) fn status_of(result: Result<impl std::fmt::Debug, Error>) -> u16 {
    match result {
        Err(Error::Problem(problem)) => problem.status,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_claim_is_granted_once_and_repeated_for_the_same_nonce() {
    let gate = TestGate::start().await;
    let approval = gate.ask().await;
    assert_eq!(
        status_of(gate.client.claim(&approval.id, &claim(NONCE)).await),
        409,
        "the request is not approved"
    );
    gate.approve(&approval, ALICE).await;
    let claimed = gate
        .client
        .claim(&approval.id, &claim(NONCE))
        .await
        .unwrap();
    assert_eq!(
        claimed.execution.as_ref().unwrap().status,
        ExecutionStatus::Executing
    );
    assert!(claimed.receipt.is_some());
    assert_eq!(
        gate.client
            .claim(&approval.id, &claim(NONCE))
            .await
            .unwrap(),
        claimed
    );
    assert_eq!(
        status_of(gate.client.claim(&approval.id, &claim(OTHER_NONCE)).await),
        409
    );
}

#[tokio::test]
async fn the_permit_of_a_claim_is_stored_and_given_to_its_claimant_alone() {
    let gate = TestGate::start().await;
    let approval = gate.ask().await;
    gate.approve(&approval, ALICE).await;
    let path = |call: &str| format!("/api/{call}/{}", approval.id);
    let body = json!({"nonce": NONCE}).to_string();
    let claimed = gate.post(&path("claim"), body.clone()).await.json();
    let permit = claimed["permit"].as_str().unwrap();
    assert_eq!(gate.entity(&approval.id).await["ClaimPermit"], permit);
    let again = gate.post(&path("claim"), body.clone()).await.json();
    assert_eq!(again["permit"], permit);

    let keys = gate.client.keys().await.unwrap();
    let claims = permit::verify(permit, &keys).unwrap();
    let receipt = claimed["receipt"].as_str().unwrap();
    let decided = receipt::verify(receipt, &keys).unwrap();
    assert_eq!([&claims.iss, &decided.iss], [&gate.url; 2]);
    assert_eq!(claims.jti, NONCE);
    assert_eq!(claims.receipt_digest, hex(&sha256(receipt.as_bytes())));
    assert_eq!(Some(claims.exp), decided.exp);
    assert!(receipt::verify(permit, &keys).is_err());
    assert!(permit::verify(receipt, &keys).is_err());

    let executed = json!({"status": "Executed"}).to_string();
    for answer in [
        gate.get(&format!("{}{}", gate.url, path("status"))).await,
        gate.post(&path("outcome"), executed).await,
        gate.post(&path("claim"), json!({"nonce": OTHER_NONCE}).to_string())
            .await,
        gate.get(&format!("{}{}", gate.url, path("status"))).await,
    ] {
        assert!(!answer.body.contains("ermit"), "{}", answer.body);
    }
    assert_eq!(gate.entity(&approval.id).await["ClaimPermit"], permit);
}

#[tokio::test]
async fn a_claim_with_rows_of_version_1_has_no_permit() {
    let gate = TestGate::with(&[("HO_ROWS", "1")]).await;
    let approval = gate.ask().await;
    gate.approve(&approval, ALICE).await;
    let granted = gate.client.claim(&approval.id, &claim(NONCE)).await;
    assert_eq!(granted.unwrap().permit, None);
    assert_eq!(gate.entity(&approval.id).await["ClaimPermit"], json!(null));

    // Nor does it get one later: the answer was given.
    let gate = TestGate::at(gate.dir, &[]).await;
    let again = gate.client.claim(&approval.id, &claim(NONCE)).await;
    assert_eq!(again.unwrap().permit, None);
}

#[tokio::test]
async fn a_row_with_a_permit_can_be_written_as_version_1() {
    let gate = TestGate::start().await;
    let approval = gate.ask().await;
    gate.approve(&approval, ALICE).await;
    let granted = gate.client.claim(&approval.id, &claim(NONCE)).await;
    assert!(granted.unwrap().permit.is_some());
    let gate = TestGate::at(gate.dir, &[("HO_ROWS", "1")]).await;
    let report = Report {
        status: ExecutionStatus::Executed,
        error: None,
        nonce: None,
        secret: None,
    };
    gate.client.outcome(&approval.id, &report).await.unwrap();
    assert_eq!(gate.entity(&approval.id).await["ClaimPermit"], json!(null));
    let execution = gate.status(&approval.id).await.execution.unwrap();
    assert_eq!(execution.status, ExecutionStatus::Executed);
}

#[tokio::test]
async fn claim_outcome_and_withdraw_require_the_claimants_secret() {
    let gate = TestGate::start().await;
    let mut request = request();
    request.claimant = Some(hex(&sha256(b"open sesame")));
    let approval = gate.client.submit(&request).await.unwrap();
    gate.approve(&approval, ALICE).await;
    let before = gate.stored().await;
    for secret in [
        None,
        Some(json!("")),
        Some(json!("open sesame!")),
        Some(json!("ж".repeat(256))),
    ] {
        for (path, mut body) in [
            ("claim", json!({"nonce": NONCE})),
            ("outcome", json!({"status": "Executed"})),
            ("withdraw", json!({})),
        ] {
            if let Some(secret) = &secret {
                body["secret"] = secret.clone();
            }
            let answer = gate
                .post(&format!("/api/{path}/{}", approval.id), body.to_string())
                .await;
            assert_eq!(answer.status, StatusCode::FORBIDDEN, "{path} {body}");
            answer.problem();
        }
    }
    assert_eq!(gate.stored().await, before);
    let valid = Claim {
        nonce: NONCE.to_owned(),
        secret: Some("open sesame".to_owned()),
    };
    gate.client.claim(&approval.id, &valid).await.unwrap();
}

#[tokio::test]
async fn an_approval_lapses() {
    let gate = TestGate::with(&[("HO_RUN_WITHIN", "60")]).await;
    let approval = gate.ask().await;
    gate.approve(&approval, ALICE).await;
    gate.pass(Duration::from_secs(60));
    let assert_lapsed = |approval: human_oversight_client::types::Approval| {
        assert_eq!(approval.status, Status::Approved);
        assert_eq!(approval.execution.unwrap().status, ExecutionStatus::Lapsed);
    };
    assert_lapsed(gate.status(&approval.id).await);
    assert_eq!(
        status_of(gate.client.claim(&approval.id, &claim(NONCE)).await),
        409
    );
    assert_lapsed(gate.status(&approval.id).await);
    assert!(
        gate.stored().await[0]
            .2
            .contains(r#""ExecutionStatus":"Lapsed""#),
        "the claim stored it"
    );
}

#[tokio::test]
async fn no_claim_is_granted_in_the_second_in_which_the_permit_has_lapsed() {
    let gate = TestGate::with(&[("HO_RUN_WITHIN", "60")]).await;
    let to = |millis: i64| {
        let ahead = (millis - gate.now().unix_millis()).rem_euclid(1_000);
        gate.pass(Duration::from_millis(ahead.unsigned_abs()));
    };
    let approval = gate.ask().await;
    // Near the end of a second, so that the receipt's whole seconds end long before the time in the row.
    to(900);
    gate.approve(&approval, ALICE).await;
    let decided = gate.status(&approval.id).await;
    let receipt = decided.receipt.unwrap();
    let keys = gate.client.keys().await.unwrap();
    let exp = receipt::verify(&receipt, &keys).unwrap().exp.unwrap();
    let until_exp = exp * 1_000 - gate.now().unix_millis();
    gate.pass(Duration::from_millis(until_exp.unsigned_abs()));
    assert_eq!(
        status_of(gate.client.claim(&approval.id, &claim(NONCE)).await),
        409
    );
}

#[tokio::test]
async fn a_claim_after_the_deadline_stores_the_timeout() {
    let gate = TestGate::start().await;
    let approval = gate.ask().await;
    gate.pass(Duration::from_secs(3_600));
    assert!(gate.stored().await[0].2.contains(r#""Status":"Pending""#));
    let answer = gate
        .post(
            &format!("/api/claim/{}", approval.id),
            json!({"nonce": NONCE}).to_string(),
        )
        .await;
    assert_eq!(answer.status, StatusCode::CONFLICT);
    assert!(
        answer.problem()["detail"]
            .as_str()
            .unwrap()
            .contains("Timeout")
    );
    assert!(gate.stored().await[0].2.contains(r#""Status":"Timeout""#));
}

#[tokio::test]
async fn an_invalid_claim_gets_a_problem_that_names_the_field() {
    let gate = TestGate::start().await;
    let approval = gate.ask().await;
    gate.approve(&approval, ALICE).await;
    for (body, pointer) in [
        (json!({}), "/nonce"),
        (json!({"nonce": 1}), "/nonce"),
        (json!({"nonce": "short"}), "/nonce"),
        (json!({"nonce": "x".repeat(65)}), "/nonce"),
        (json!({"nonce": "with space and more"}), "/nonce"),
        (json!({"nonce": NONCE, "secret": 1}), "/secret"),
        (
            json!({"nonce": NONCE, "secret": "x".repeat(257)}),
            "/secret",
        ),
        (json!({"nonce": NONCE, "more": 1}), "/more"),
    ] {
        let answer = gate
            .post(&format!("/api/claim/{}", approval.id), body.to_string())
            .await;
        assert_eq!(answer.status, 422, "{body}");
        assert_eq!(answer.problem()["errors"][0]["pointer"], pointer);
    }
    for id in ["x", "YQ.b"] {
        let answer = gate
            .post(
                &format!("/api/claim/{id}"),
                json!({"nonce": NONCE}).to_string(),
            )
            .await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND);
    }
    assert_eq!(gate.status(&approval.id).await.execution, None);
}

#[tokio::test]
async fn an_approver_address_may_contain_names_of_events() {
    let gate = TestGate::start().await;
    let approver = "Claimed.Lapsed@example.com";
    let mut request = request();
    request.approver_emails = vec![approver.to_owned()];
    let approval = gate.client.submit(&request).await.unwrap();
    gate.approve(&approval, approver).await;
    gate.client
        .claim(&approval.id, &claim(NONCE))
        .await
        .unwrap();
}
