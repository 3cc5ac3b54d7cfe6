//! `GET /api/status/{id}`.

use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use human_oversight_client::types::{MailState, Status};
use human_oversight_client::{Client, Error};
use reqwest::StatusCode;

use crate::deadline::within;
use crate::harness::{ALICE, IN_PRODUCTION, Page, TestGate, for_alice, request};
use crate::host::{KEY, OTHER_KEY};

#[tokio::test]
async fn a_decision_ends_the_wait_at_once() {
    let gate = TestGate::start().await;
    let approval = gate.ask().await;
    let waiting = {
        let (client, id) = (gate.client.clone(), approval.id.clone());
        tokio::spawn(async move {
            let (approval, _) = client.status(&id, Duration::from_secs(60)).await.unwrap();
            (approval, Instant::now())
        })
    };
    gate.approve(&approval, ALICE).await;
    let decided = Instant::now();
    let (approval, notified_at) = waiting.await.unwrap();
    assert_eq!(approval.status, Status::Approved);
    // Well below the interval of re-reading the store: the wait was woken.
    assert!(notified_at.saturating_duration_since(decided) < Duration::from_secs(5));
}

#[tokio::test]
async fn retry_after_grows_with_age_in_production() {
    let production = TestGate::with(&[IN_PRODUCTION]).await;
    let (local, alone) = (TestGate::start().await, TestGate::alone().await);
    let growing = [15, 10, 60, 450, 3];
    for (gate, expected) in [(production, growing), (local, [1; 5]), (alone, [1; 5])] {
        let mut new = request();
        new.timeout_seconds = Some(7_200);
        let approval = gate.client.submit(&new).await.unwrap();
        let mut retry_after = Vec::new();
        for seconds in [0, 100, 500, 5_000, 1_598] {
            gate.pass(Duration::from_secs(seconds));
            let (_, pause) = gate
                .client
                .status(&approval.id, Duration::ZERO)
                .await
                .unwrap();
            retry_after.push(pause.unwrap().as_secs());
        }
        // The last value is limited by the time left until the deadline.
        assert!(
            retry_after[4] <= expected[4] && retry_after[..4] == expected[..4],
            "{retry_after:?}"
        );
    }
}

/// Else the approval could lapse before the agent learns of it.
#[tokio::test]
async fn retry_after_is_at_most_half_of_the_time_to_claim_that_a_rule_sets() {
    for (run_within, expected) in [("10s", 5), ("5m", 150), ("1h", 500)] {
        let policy = format!(
            "version = 1\n[[rule]]\nid = \"soon\"\neffect = \"require\"\n\
             stages = [{{ from = \"requested\" }}]\nrun_within = \"{run_within}\"\n"
        );
        let gate = TestGate::with(&[IN_PRODUCTION, ("HO_POLICY", &policy)]).await;
        let mut new = request();
        new.timeout_seconds = Some(7_200);
        let approval = gate.client.submit(&new).await.unwrap();
        gate.pass(Duration::from_secs(5_000));
        let read = gate.client.status(&approval.id, Duration::ZERO).await;
        let (_, pause) = read.unwrap();
        assert_eq!(pause, Some(Duration::from_secs(expected)), "{run_within}");
    }
}

#[tokio::test]
async fn a_wait_ends_at_its_limit_the_deadline_or_a_decision() {
    let gate = TestGate::start().await;
    let approval = gate.ask().await;
    let (still, pause) = gate
        .client
        .status(&approval.id, Duration::from_secs(1))
        .await
        .unwrap();
    assert_eq!(still.status, Status::Pending);
    assert_eq!(pause, Some(Duration::from_secs(1)));

    let mut short = request();
    short.timeout_seconds = Some(10);
    let short = gate.client.submit(&short).await.unwrap();
    gate.pass(Duration::from_secs(9));
    let (timed_out, _) = gate
        .client
        .status(&short.id, Duration::from_secs(60))
        .await
        .unwrap();
    assert_eq!(
        timed_out.status,
        Status::Timeout,
        "the deadline ends the wait"
    );
    assert_eq!(timed_out.response_timestamp, Some(short.expires_at));

    gate.reject(&approval, ALICE, "no").await;
    let (rejected, pause) = gate
        .client
        .status(&approval.id, Duration::from_secs(60))
        .await
        .unwrap();
    assert_eq!((rejected.status, pause), (Status::Rejected, None));
}

#[tokio::test]
async fn reading_the_status_changes_nothing() {
    let gate = TestGate::start().await;
    let approval = gate.ask().await;
    gate.pass(Duration::from_secs(7_200));
    let before = gate.stored().await;
    let url = format!("{}/api/status/{}", gate.url, approval.id);
    for _ in 0..3 {
        assert_eq!(
            gate.http.get(&url).send().await.unwrap().status(),
            StatusCode::OK
        );
        let direct = gate.direct(&format!("/api/status/{}", approval.id));
        assert_eq!(
            gate.http.head(&direct).send().await.unwrap().status(),
            StatusCode::OK
        );
    }
    assert_eq!(gate.status(&approval.id).await.status, Status::Timeout);
    assert_eq!(gate.stored().await, before);
}

#[tokio::test]
async fn one_caller_holds_at_most_100_waits() {
    let gate = TestGate::start().await;
    let approval = gate.client.submit(&for_alice()).await.unwrap();
    let others = Client::new(&gate.url, Some(OTHER_KEY)).unwrap();
    let of_other = others.submit(&request()).await.unwrap();
    let wait = |id: &str, key: &'static str| {
        let url = format!("{}/api/status/{id}?wait=60", gate.url);
        let request = gate.http.get(url).header("x-functions-key", key);
        async move { Page::of(request.send().await.unwrap()).await }
    };
    // Of 101 calls at once, one is refused; the others wait.
    let mut waits: FuturesUnordered<_> = (0..101).map(|_| wait(&approval.id, KEY)).collect();
    let refused = within(waits.next()).await.unwrap();
    assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS);
    assert!(refused.header("retry-after").parse::<u64>().unwrap() >= 1);
    let problem = refused.problem();
    assert_eq!(
        problem["type"],
        "urn:human-oversight:problem:too-many-waits"
    );
    assert!(
        problem["detail"].as_str().unwrap().contains("100"),
        "{problem}"
    );

    // A submit that would wait stores nothing and sends no email.
    let before = (gate.stored().await, gate.mails().len());
    for (query, prefer) in [("?wait=60", None), ("", Some("wait=60"))] {
        let mut submit = gate
            .http
            .post(format!("{}/api/submit{query}", gate.url))
            .header("content-type", "application/json")
            .body(serde_json::to_vec(&request()).unwrap());
        if let Some(prefer) = prefer {
            submit = submit.header("prefer", prefer);
        }
        let answer = Page::of(submit.send().await.unwrap()).await;
        assert_eq!(
            answer.status,
            StatusCode::TOO_MANY_REQUESTS,
            "{}",
            answer.body
        );
    }
    assert_eq!((gate.stored().await, gate.mails().len()), before);

    // Calls that do not wait, other callers and approvers are not held up.
    assert_eq!(gate.status(&approval.id).await.status, Status::Pending);
    let other = wait(&of_other.id, OTHER_KEY);
    let decided = async {
        gate.reject(&of_other, ALICE, "no").await;
        gate.reject(&approval, ALICE, "no").await;
        while let Some(answer) = waits.next().await {
            assert_eq!(answer.status, StatusCode::OK);
        }
    };
    let (other, ()) = within(futures_util::future::join(other, decided)).await;
    assert_eq!(other.status, StatusCode::OK);
    // The waits have ended, so there is room again.
    assert_eq!(wait(&approval.id, KEY).await.status, StatusCode::OK);
}

#[tokio::test]
async fn an_unknown_id_is_not_found() {
    let gate = TestGate::start().await;
    gate.ask().await;
    for id in [
        "x",
        "VXNlck1hbmFnZXJBZ2VudA.none",
        "",
        ".",
        "VXNlck1hbmFnZXJBZ2VudA.%2e%2e%2f",
        "%00",
    ] {
        let answer = gate.get(&gate.direct(&format!("/api/status/{id}"))).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{id}");
        answer.problem();
    }
    let missing = gate.client.status("YQ.b", Duration::from_secs(5)).await;
    assert!(matches!(missing, Err(Error::Problem(problem)) if problem.status == 404));
}

#[tokio::test]
async fn the_agent_sees_an_unreachable_approver_at_once() {
    let gate = TestGate::start().await;
    let mut request = request();
    request.approver_emails = vec![ALICE.to_owned(), "gone@example.invalid".to_owned()];
    let approval = gate.client.submit(&request).await.unwrap();
    assert_eq!(approval.status, Status::Pending);
    assert_eq!(
        approval.deliverable,
        human_oversight_client::types::Deliverable::Degraded
    );
    assert_eq!(approval.notifications[1].state, MailState::Failed);

    request.approver_emails = vec!["gone@example.invalid".to_owned()];
    let approval = gate.client.submit(&request).await.unwrap();
    assert_eq!(approval.status, Status::Undeliverable);
    assert!(approval.response_timestamp.is_some());
}
