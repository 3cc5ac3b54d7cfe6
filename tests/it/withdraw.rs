//! `POST /api/withdraw/{id}`.

use std::time::Duration;

use futures_util::future::join_all;
use human_oversight_client::types::{Status, Withdrawal};
use reqwest::StatusCode;

use crate::backing_store::behind_a_proxy;
use crate::deadline::eventually;
use crate::harness::{ALICE, TestGate};
use crate::proxy::Fault;
use crate::tables::operation;

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

/// The result of the request's emails was not stored.
#[tokio::test]
async fn who_may_have_been_asked_gets_the_notice_of_the_end() {
    let (gate, proxy) = behind_a_proxy(&[]).await;
    let refused = Fault::Answer {
        status: 400,
        retry_after: None,
        body: "",
    };
    proxy.fault(|request| operation(request) == "PUT approvals", refused);
    let approval = gate.ask().await;
    assert!(proxy.all_faults_applied());
    gate.pass(Duration::from_secs(61));
    let nothing = Withdrawal::default();
    gate.client.withdraw(&approval.id, &nothing).await.unwrap();
    let look = async || {
        gate.sweep().await;
        let mails = gate.mails().into_iter();
        let withdrawn = mails.filter(|it| it.subject.contains("[Withdrawn]"));
        (withdrawn.count() == 2).then_some(())
    };
    eventually(look).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_withdrawal_without_a_body_can_be_delivered_40_times_at_once() {
    let gate = TestGate::start().await;
    let approval = gate.ask().await;
    let url = format!("{}/api/withdraw/{}", gate.url, approval.id);
    let deliveries = join_all((0..40).map(|_| gate.http.post(&url).send())).await;
    let mut answers = Vec::new();
    for answer in deliveries {
        let answer = answer.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        answers.push(answer.text().await.unwrap());
    }
    answers.dedup();
    assert_eq!(answers.len(), 1, "{answers:?}");
    gate.sweep().await;
    gate.sweep().await;
    let row = &gate.stored().await[0].2;
    assert_eq!(row.matches(r#"\"what\":\"Cancelled\""#).count(), 1, "{row}");
    let notices = gate.mails().len() - approval.notifications.len();
    assert!(
        notices <= approval.notifications.len(),
        "one notice a person"
    );
}
