//! Responses that are forged, altered or lost.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::routing::any;
use human_oversight::keys::keyring;
use human_oversight_client::types::{ExecutionStatus, KeySet, Status};
use human_oversight_client::{Action, Client, Gate, Outcome, Reason};
use serde_json::json;
use tokio::net::TcpListener;

use super::{approved, intercept, must_not_run, refusal, user};
use crate::harness::{AGENT, ALICE, TestGate};

/// Whether an action runs that Alice has approved; if not, it is because its receipt did not verify, or keys
/// are pinned without an issuer.
async fn is_verified(gate: &TestGate, action: &Action) -> bool {
    let ran = match action.submit(&user()).await {
        Ok(pending) => {
            gate.approve(pending.approval().unwrap(), ALICE).await;
            pending.run(&user(), async |_| "ran").await.into_result()
        }
        Err(refusal) => Err(refusal),
    };
    match ran {
        Ok(ran) => {
            assert_eq!(ran, "ran");
            true
        }
        Err(refusal) => {
            let expected = [Reason::Unverified, Reason::Misconfigured];
            assert!(expected.contains(&refusal.reason), "{refusal:?}");
            false
        }
    }
}

#[tokio::test]
async fn only_pinned_keys_are_trusted() {
    let gate = TestGate::start().await;
    let keys = gate.client.keys().await.unwrap();
    // RFC 7517 has them as optional.
    let mut fewer = json!(keys);
    for key in fewer["keys"].as_array_mut().unwrap() {
        key.as_object_mut()
            .unwrap()
            .retain(|name, _| name != "alg" && name != "use");
    }
    let fewer: KeySet = serde_json::from_value(fewer).unwrap();
    for (trusted, runs) in [(keys, true), (fewer, true), (KeySet::default(), false)] {
        let action = gate.gate().trust(trusted).action("Delete User Account");
        assert_eq!(is_verified(&gate, &action).await, runs);
    }
}

#[tokio::test]
async fn keys_are_fetched_again_only_after_a_failed_verification() {
    let (gate, other) = (TestGate::start().await, TestGate::start().await);
    let others = KeySet {
        keys: other.client.keys().await.unwrap().keys,
        ..gate.client.keys().await.unwrap()
    };
    let others = serde_json::to_vec(&others).unwrap();
    let fetches = Arc::new(AtomicU32::new(0));
    let counted = fetches.clone();
    let altering = alter_responses(&gate, move |path, status, body| {
        // As after a key rotation between the first two calls and the third.
        let is_early = path == "/api/keys" && counted.fetch_add(1, Ordering::SeqCst) < 2;
        (status, if is_early { others.clone() } else { body })
    })
    .await;
    let action = altering.action("Delete User Account");
    for (runs, times) in [(false, 2), (true, 3), (true, 3)] {
        assert_eq!(is_verified(&gate, &action).await, runs);
        assert_eq!(fetches.load(Ordering::SeqCst), times);
    }
}

/// As in a process that fetched the keys before the operator began to replace the key.
#[tokio::test]
async fn keys_are_fetched_again_where_they_do_not_verify_a_permit() {
    let [old, new] = [(); 2].map(|()| keyring::generate_receipt_key());
    let gate = TestGate::with(&[("HO_RECEIPT_KEYS", &old)]).await;
    let handle = approved(&gate).await.handle().clone();
    let known = serde_json::to_vec(&gate.client.keys().await.unwrap()).unwrap();
    let (former, both) = (gate.url.clone(), format!("{new},{old}"));
    let settings = [("HO_RECEIPT_KEYS", &*both), ("HO_ISSUERS", &*former)];
    let gate = TestGate::at(gate.dir, &settings).await;

    let fetches = Arc::new(AtomicU32::new(0));
    let counted = fetches.clone();
    let altering = alter_responses(&gate, move |path, status, body| {
        let is_early = path == "/api/keys" && counted.fetch_add(1, Ordering::SeqCst) == 0;
        (status, if is_early { known.clone() } else { body })
    });
    let action = altering.await.issuers([&former, &gate.url]);
    let action = action.action("Delete User Account");
    let outcome = action.resume(handle).run(&user(), async |_| "ran").await;
    assert_eq!(outcome, Outcome::Executed("ran"));
    assert_eq!(fetches.load(Ordering::SeqCst), 2);
    assert!(is_verified(&gate, &action).await);
    assert_eq!(fetches.load(Ordering::SeqCst), 2);
}

/// A server that is no gate and gives the same answer to every call.
async fn impostor(status: StatusCode, kind: &'static str, body: String) -> Gate {
    let router = Router::new().fallback(any(move || {
        let body = body.clone();
        async move { (status, [("content-type", kind)], body) }
    }));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async { axum::serve(listener, router).await });
    Gate::new(Client::new(&url, None).unwrap())
        .agent(AGENT)
        .approvers([ALICE])
}

#[tokio::test]
async fn no_response_of_an_impostor_runs_the_action() {
    let approved = json!({
        "id": "VXNlck1hbmFnZXJBZ2VudA.x", "correlationId": "x", "agentName": AGENT,
        "actionDescription": "Delete User Account",
        "parametersDigest": human_oversight_client::parameters::hex(
            &human_oversight_client::parameters::Parameters::new(&user()).unwrap().digest()),
        "status": "Approved", "approver": ALICE, "comment": null,
        "requestTimestamp": "2026-11-22T17:30:00.000Z", "expiresAt": "2099-11-22T18:30:00.000Z",
        "responseTimestamp": "2026-11-22T17:31:00.000Z", "execution": null, "notifications": [],
        "deliverable": "ok", "receipt": null, "statusUrl": "http://127.0.0.1/",
        "keys": [],
    });
    let with = |member: &str, value: serde_json::Value| {
        let mut answer = approved.clone();
        answer[member] = value;
        answer.to_string()
    };
    let forged = "eyJhbGciOiJub25lIn0.eyJkZWNpc2lvbiI6IkFwcHJvdmVkIn0.";
    let json_type = "application/json";
    for (status, kind, body) in [
        (200, json_type, approved.to_string()),
        (200, json_type, with("receipt", json!(forged))),
        (200, json_type, with("receipt", json!(""))),
        (200, json_type, with("parametersDigest", json!("0"))),
        (200, json_type, with("status", json!("approved"))),
        (200, json_type, with("status", json!("ApprovedByMagic"))),
        (200, json_type, with("status", json!(null))),
        (200, json_type, "{}".to_owned()),
        (200, json_type, "[]".to_owned()),
        (200, json_type, String::new()),
        (200, json_type, r#"{"status": "Approved"}"#.to_owned()),
        (200, json_type, approved.to_string()[..300].to_owned()),
        (200, json_type, "x".repeat(1_000_000)),
        (200, "text/html", "<html>Approved</html>".to_owned()),
        (204, json_type, String::new()),
        (301, "text/html", String::new()),
        (401, "text/html", String::new()),
        (403, json_type, "{}".to_owned()),
        (404, "text/html", "not here".to_owned()),
        (418, json_type, approved.to_string()),
    ] {
        let gate = impostor(StatusCode::from_u16(status).unwrap(), kind, body.clone()).await;
        let outcome = gate
            .action("Delete User Account")
            .run(&user(), must_not_run)
            .await;
        let reason = refusal(outcome).reason;
        assert!(
            matches!(reason, Reason::Misconfigured | Reason::Unverified),
            "{status} {body}: {reason:?}"
        );
    }
}

/// A client gate behind a proxy that changes each response.
async fn alter_responses(
    gate: &TestGate,
    change_response: impl Fn(&str, StatusCode, Vec<u8>) -> (StatusCode, Vec<u8>)
    + Clone
    + Send
    + Sync
    + 'static,
) -> Gate {
    intercept(gate, |_, body| body, change_response).await
}

#[tokio::test]
async fn lost_responses_are_retried_without_a_second_request() {
    let gate = TestGate::start().await;
    // Every other response is lost after the gate has sent it.
    let answers = Arc::new(AtomicU32::new(0));
    let counted = answers.clone();
    let lossy = alter_responses(&gate, move |_, status, body| {
        if counted.fetch_add(1, Ordering::SeqCst).is_multiple_of(2) {
            (StatusCode::BAD_GATEWAY, Vec::new())
        } else {
            (status, body)
        }
    });
    let action = lossy.await.action("Delete User Account");
    let pending = action.submit(&user()).await.unwrap();
    assert_eq!((gate.stored().await.len(), gate.mails().len()), (1, 1));
    let id = pending.handle().id.clone();
    assert_eq!(
        gate.status(&id).await.notifications[0].attempts,
        1,
        "one email was sent"
    );
    gate.approve(&gate.status(&id).await, ALICE).await;
    let runs = AtomicU32::new(0);
    let outcome = pending
        .run(&user(), async |_| runs.fetch_add(1, Ordering::SeqCst))
        .await;
    assert_eq!(outcome, Outcome::Executed(0));
    assert_eq!(runs.into_inner(), 1);
    assert_eq!(
        gate.status(&id).await.execution.unwrap().status,
        ExecutionStatus::Executed
    );
    assert!(answers.load(Ordering::SeqCst) >= 8);
}

#[tokio::test]
async fn an_answer_that_is_no_gates_is_asked_for_again() {
    let gate = TestGate::start().await;
    let page = b"<html>Be right back.</html>".to_vec();
    for (call, status, body) in [
        ("/api/status/", StatusCode::OK, page.clone()),
        ("/api/claim/", StatusCode::OK, page.clone()),
        ("/api/claim/", StatusCode::OK, Vec::new()),
        ("/api/claim/", StatusCode::OK, b"{}".to_vec()),
        ("/api/claim/", StatusCode::FOUND, Vec::new()),
        ("/api/claim/", StatusCode::FORBIDDEN, page.clone()),
        // The request was submitted, so the address and the key were right.
        ("/api/status/", StatusCode::NOT_FOUND, page.clone()),
        ("/api/status/", StatusCode::UNAUTHORIZED, page.clone()),
        ("/api/claim/", StatusCode::NOT_FOUND, Vec::new()),
        ("/api/claim/", StatusCode::UNAUTHORIZED, page.clone()),
        ("/api/outcome/", StatusCode::NOT_FOUND, page.clone()),
        ("/api/outcome/", StatusCode::UNAUTHORIZED, Vec::new()),
        ("/api/outcome/", StatusCode::OK, page.clone()),
        ("/api/outcome/", StatusCode::FOUND, Vec::new()),
    ] {
        let is_first = Arc::new(AtomicBool::new(true));
        let altering = alter_responses(&gate, move |path, real, answer| {
            if path.starts_with(call) && is_first.swap(false, Ordering::SeqCst) {
                (status, body.clone())
            } else {
                (real, answer)
            }
        });
        let action = altering.await.action("Delete User Account");
        let pending = action.submit(&user()).await.unwrap();
        gate.approve(pending.approval().unwrap(), ALICE).await;
        let id = pending.handle().id.clone();
        let outcome = pending.run(&user(), async |_| "ran").await;
        assert_eq!(outcome, Outcome::Executed("ran"), "{call} {status}");
        let execution = gate.status(&id).await.execution.unwrap();
        assert_eq!(execution.status, ExecutionStatus::Executed);
    }
}

#[tokio::test]
async fn a_genuine_receipt_in_an_altered_response_runs_nothing() {
    let gate = TestGate::start().await;
    for (member, value) in [
        ("/status", json!("Rejected")),
        ("/status", json!("ApprovedByMagic")),
        ("/execution/status", json!("Executed")),
        ("/execution/status", json!("Lapsed")),
        ("/execution", json!(null)),
        ("/id", json!("YQ.b")),
        ("/receipt", json!(null)),
    ] {
        let altering = alter_responses(&gate, move |path, status, body| {
            if !path.starts_with("/api/claim/") {
                return (status, body);
            }
            let mut answer: serde_json::Value = serde_json::from_slice(&body).unwrap();
            *answer.pointer_mut(member).unwrap() = value.clone();
            (status, answer.to_string().into_bytes())
        });
        let pending = altering
            .await
            .action("Delete User Account")
            .submit(&user())
            .await
            .unwrap();
        gate.approve(pending.approval().unwrap(), ALICE).await;
        assert_eq!(
            refusal(pending.run(&user(), must_not_run).await).reason,
            Reason::Unverified,
            "{member}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_was_accepted_otherwise_than_it_was_submitted_is_withdrawn() {
    let gate = TestGate::start().await;
    let altering = alter_responses(&gate, |path, status, body| {
        if path != "/api/submit" {
            return (status, body);
        }
        let mut answer: serde_json::Value = serde_json::from_slice(&body).unwrap();
        answer["parametersDigest"] = json!("0".repeat(64));
        (status, answer.to_string().into_bytes())
    });
    let action = altering.await.action("Delete User Account");
    let action = action.correlation_id("altered");
    let id = action.prepare().id;
    let refusal = action.submit(&user()).await.unwrap_err();
    assert_eq!(refusal.reason, Reason::Unverified);
    assert!(!refusal.no_one_was_asked());
    let wait = gate.client.status(&id, Duration::from_secs(10));
    assert_eq!(wait.await.unwrap().0.status, Status::Cancelled);
}

#[tokio::test]
async fn an_approval_that_has_lapsed_by_the_agents_clock_alone_names_the_clock() {
    let gate = TestGate::start().await;
    gate.back(Duration::from_secs(2 * 3_600));
    let action = gate.gate().action("Delete User Account");
    let action = action.timeout(Duration::from_secs(86_400));
    let pending = action.submit(&user()).await.unwrap();
    let id = pending.handle().id.clone();
    gate.approve(pending.approval().unwrap(), ALICE).await;
    let refusal = refusal(pending.run(&user(), must_not_run).await);
    assert_eq!(refusal.reason, Reason::Unverified, "{refusal:?}");
    assert!(
        refusal.to_string().contains("Do not try again"),
        "{refusal}"
    );
    let detail = refusal.detail.unwrap();
    assert!(detail.contains("this clock may be ahead"), "{detail}");
    assert!(gate.status(&id).await.execution.is_none());
}

/// As where a person decides while the deadline passes: the status is provisional, and the claim settles it.
#[tokio::test]
async fn nor_is_one_a_timeout_that_has_lapsed_by_it_after_the_claim() {
    let gate = TestGate::start().await;
    gate.back(Duration::from_secs(2 * 3_600));
    let altering = alter_responses(&gate, |path, status, body| {
        if !path.starts_with("/api/status/") {
            return (status, body);
        }
        let mut answer: serde_json::Value = serde_json::from_slice(&body).unwrap();
        answer["status"] = json!("Timeout");
        (status, answer.to_string().into_bytes())
    });
    let action = altering.await.action("Delete User Account");
    let action = action.timeout(Duration::from_secs(86_400));
    let pending = action.submit(&user()).await.unwrap();
    let id = pending.handle().id.clone();
    gate.approve(pending.approval().unwrap(), ALICE).await;
    let refusal = refusal(pending.run(&user(), must_not_run).await);
    assert_eq!(refusal.reason, Reason::Unverified, "{refusal:?}");
    let detail = refusal.detail.unwrap();
    assert!(detail.contains("this clock may be ahead"), "{detail}");
    let execution = gate.status(&id).await.execution.unwrap();
    assert_eq!(execution.status, ExecutionStatus::ExecutionFailed);
}
