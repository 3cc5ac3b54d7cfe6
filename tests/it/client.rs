//! The client's `Gate`: which actions run, and which do not.

use std::cell::Cell;
use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use axum::http::StatusCode;
use axum::routing::any;
use human_oversight_client::types::{ExecutionStatus, KeySet, Status, Withdrawal};
use human_oversight_client::{Action, Client, Gate, Handle, Outcome, Pending, Reason, Refusal};
use serde::Serialize;
use serde_json::json;
use tokio::net::TcpListener;

use crate::harness::{AGENT, ALICE, TestGate};

#[derive(Serialize)]
struct DeleteUser {
    user_id: String,
}

fn user() -> DeleteUser {
    DeleteUser {
        user_id: "1".to_owned(),
    }
}

/// An action that panics when it runs.
async fn must_not_run(_: &DeleteUser) -> String {
    panic!("it ran without an approval")
}

/// Submits a request, and approves it as Alice without claiming it.
async fn approved(gate: &TestGate) -> Pending {
    let action = gate.gate().action("Delete User Account");
    let pending = action.submit(&user()).await.unwrap();
    gate.approve(pending.approval().unwrap(), ALICE).await;
    pending
}

fn refusal(outcome: Outcome<String>) -> Refusal {
    outcome.into_result().unwrap_err()
}

#[tokio::test]
async fn an_approved_action_runs_once_and_its_outcome_is_reported() {
    let gate = TestGate::start().await;
    let action = gate.gate().action("Delete User Account");
    let pending = action.submit(&user()).await.unwrap();
    let handle = pending.handle().clone();
    gate.approve(pending.approval().unwrap(), ALICE).await;
    let user = user();
    let outcome = pending
        .run(&user, async |user| format!("deleted {}", user.user_id))
        .await;
    assert_eq!(outcome, Outcome::Executed("deleted 1".to_owned()));
    let stored = gate.status(&handle.id).await;
    assert_eq!(stored.execution.unwrap().status, ExecutionStatus::Executed);

    // A second resume is refused as used, not as rejected.
    let again = refusal(action.resume(handle).run(&user, must_not_run).await);
    assert_eq!(again.reason, Reason::Used);
    assert!(again.to_string().contains("may have run"), "{again}");
}

/// Agent frameworks run each call in a task that may move between threads.
#[tokio::test]
async fn a_wait_can_be_spawned_as_a_task() {
    let gate = TestGate::start().await;
    let pending = approved(&gate).await;
    let agent = tokio::spawn(async move {
        // The result is `Send`, but not `Sync`: all that a task can require.
        let delete = async |_: &DeleteUser| Ok::<_, Box<dyn Error + Send>>(Cell::new("deleted"));
        pending.try_run(&user(), delete).await
    });
    let outcome = agent.await.unwrap();
    assert_eq!(outcome.into_result().unwrap().unwrap().get(), "deleted");
}

#[tokio::test]
async fn a_failure_is_reported_with_its_message() {
    let gate = TestGate::start().await;
    let pending = approved(&gate).await;
    let id = pending.handle().id.clone();
    let outcome: Outcome<Result<(), String>> = pending
        .try_run(&user(), async |_| Err("no such user".to_owned()))
        .await;
    assert_eq!(outcome, Outcome::Executed(Err("no such user".to_owned())));
    let execution = gate.status(&id).await.execution.unwrap();
    assert_eq!(execution.status, ExecutionStatus::ExecutionFailed);
    assert_eq!(execution.error.as_deref(), Some("no such user"));
}

#[tokio::test]
async fn a_rejection_returns_its_comment() {
    let gate = TestGate::start().await;
    let pending = gate
        .gate()
        .action("Delete User Account")
        .submit(&user())
        .await
        .unwrap();
    gate.reject(pending.approval().unwrap(), ALICE, "Ask the owner first")
        .await;
    let refusal = refusal(pending.run(&user(), must_not_run).await);
    assert_eq!(refusal.reason, Reason::Rejected);
    assert_eq!(refusal.by.as_deref(), Some(ALICE));
    assert_eq!(
        refusal.to_string(),
        "Not run: rejected by alice@example.com. Their reason: Ask the owner first"
    );
}

#[tokio::test]
async fn every_other_final_state_is_a_refusal_with_its_reason() {
    let gate = TestGate::start().await;
    let action = gate.gate().action("Delete User Account");
    let user = user();

    let pending = action.submit(&user).await.unwrap();
    let id = pending.handle().id.clone();
    gate.pass(Duration::from_secs(3_600));
    assert_eq!(
        refusal(pending.run(&user, must_not_run).await).reason,
        Reason::Timeout
    );
    assert!(
        gate.entity(&id).await["Status"] == "Timeout",
        "the claim stored the timeout"
    );

    let pending = action.submit(&user).await.unwrap();
    let secret = pending.handle().secret.clone();
    let withdrawal = Withdrawal {
        secret: Some(secret),
    };
    gate.client
        .withdraw(&pending.handle().id, &withdrawal)
        .await
        .unwrap();
    assert_eq!(
        refusal(pending.run(&user, must_not_run).await).reason,
        Reason::Cancelled
    );

    let unreachable = action.clone().approvers(["gone@example.invalid"]);
    assert_eq!(
        refusal(unreachable.run(&user, must_not_run).await).reason,
        Reason::Undeliverable
    );

    let pending = action.submit(&user).await.unwrap();
    gate.approve(pending.approval().unwrap(), ALICE).await;
    gate.pass(Duration::from_secs(3_600));
    assert_eq!(
        refusal(pending.run(&user, must_not_run).await).reason,
        Reason::Timeout,
        "the approval lapsed"
    );

    let invalid = action.clone().approvers(["alice"]);
    let invalid = refusal(invalid.run(&user, must_not_run).await);
    assert_eq!(invalid.reason, Reason::Invalid);
    assert!(invalid.detail.unwrap().contains("/approverEmails/0"));

    let large = json!({"n": 9_007_199_254_740_993_u64});
    let inexact: Outcome<()> = action.run(&large, |_| async { unreachable!() }).await;
    assert_eq!(inexact.into_result().unwrap_err().reason, Reason::Invalid);
}

#[tokio::test]
async fn a_stored_handle_resumes_the_wait() {
    let gate = TestGate::start().await;
    let action = gate.gate().action("Delete User Account");
    let handle = action.submit(&user()).await.unwrap().handle().clone();
    let stored = serde_json::to_string(&handle).unwrap();
    assert!(!format!("{handle:?}").contains(&handle.secret));
    gate.approve(&gate.status(&handle.id).await, ALICE).await;
    let handle: Handle = serde_json::from_str(&stored).unwrap();
    let outcome = action.resume(handle).run(&user(), async |_| "done").await;
    assert_eq!(outcome, Outcome::Executed("done"));
}

#[tokio::test]
async fn an_approval_runs_no_other_parameters_and_no_other_action() {
    let gate = TestGate::start().await;
    let action = gate.gate().action("Delete User Account");
    let other = DeleteUser {
        user_id: "2".to_owned(),
    };
    for resumed_as in [action.clone(), gate.gate().action("Read User Account")] {
        let pending = action.submit(&user()).await.unwrap();
        gate.approve(pending.approval().unwrap(), ALICE).await;
        let handle = pending.handle().clone();
        let params = if is_same_action(&resumed_as, &action) {
            &other
        } else {
            &user()
        };
        let refusal = refusal(
            resumed_as
                .resume(handle.clone())
                .run(params, must_not_run)
                .await,
        );
        assert_eq!(refusal.reason, Reason::Unverified);
        // The refused attempt has not used the approval.
        let outcome = action.resume(handle).run(&user(), async |_| "ran").await;
        assert_eq!(outcome, Outcome::Executed("ran"));
    }
}

fn is_same_action(one: &Action, other: &Action) -> bool {
    format!("{one:?}") == format!("{other:?}")
}

/// Whether an action runs that Alice has approved; if not, it is because its receipt did not verify.
async fn is_verified(gate: &TestGate, action: &Action) -> bool {
    let pending = action.submit(&user()).await.unwrap();
    gate.approve(pending.approval().unwrap(), ALICE).await;
    match pending.run(&user(), async |_| "ran").await.into_result() {
        Ok(ran) => {
            assert_eq!(ran, "ran");
            true
        }
        Err(refusal) => {
            assert_eq!(refusal.reason, Reason::Unverified);
            false
        }
    }
}

#[tokio::test]
async fn only_pinned_keys_are_trusted() {
    let gate = TestGate::start().await;
    let keys = gate.client.keys().await.unwrap();
    for (trusted, runs) in [(keys, true), (KeySet { keys: Vec::new() }, false)] {
        let action = gate.gate().trust(trusted).action("Delete User Account");
        assert_eq!(is_verified(&gate, &action).await, runs);
    }
}

#[tokio::test]
async fn keys_are_fetched_again_only_after_a_failed_verification() {
    let (gate, other) = (TestGate::start().await, TestGate::start().await);
    let others = serde_json::to_vec(&other.client.keys().await.unwrap()).unwrap();
    let fetches = Arc::new(AtomicU32::new(0));
    let counted = fetches.clone();
    let altering = alter_responses(&gate, move |path, status, body| {
        // As after a key rotation between the first and the second call.
        let is_first = path == "/api/keys" && counted.fetch_add(1, Ordering::SeqCst) == 0;
        (status, if is_first { others.clone() } else { body })
    })
    .await;
    let action = altering.action("Delete User Account");
    for (runs, times) in [(false, 1), (true, 2), (true, 2)] {
        assert_eq!(is_verified(&gate, &action).await, runs);
        assert_eq!(fetches.load(Ordering::SeqCst), times);
    }
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
            matches!(reason, Reason::Unavailable | Reason::Unverified),
            "{status} {body}"
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

/// A client gate behind a proxy that changes each request with `change_request` and
/// each response with `change_response`.
pub(crate) async fn intercept(
    gate: &TestGate,
    change_request: impl Fn(&str, Vec<u8>) -> Vec<u8> + Clone + Send + Sync + 'static,
    change_response: impl Fn(&str, StatusCode, Vec<u8>) -> (StatusCode, Vec<u8>)
    + Clone
    + Send
    + Sync
    + 'static,
) -> Gate {
    let url = intercepting_url(gate, change_request, change_response).await;
    Gate::new(Client::new(&url, None).unwrap())
        .agent(AGENT)
        .approvers([ALICE])
}

/// The URL of such a proxy.
pub(crate) async fn intercepting_url(
    gate: &TestGate,
    change_request: impl Fn(&str, Vec<u8>) -> Vec<u8> + Clone + Send + Sync + 'static,
    change_response: impl Fn(&str, StatusCode, Vec<u8>) -> (StatusCode, Vec<u8>)
    + Clone
    + Send
    + Sync
    + 'static,
) -> String {
    let (client, url) = (gate.http.clone(), gate.url.clone());
    let router = Router::new().fallback(any(move |request: axum::extract::Request| {
        let (client, url) = (client.clone(), url.clone());
        let (change_request, change_response) = (change_request.clone(), change_response.clone());
        async move {
            let (parts, body) = request.into_parts();
            let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
            let target = format!("{url}{}", parts.uri);
            let body = change_request(parts.uri.path(), body.to_vec());
            let mut forwarded = client.request(parts.method, target).body(body);
            if let Some(kind) = parts.headers.get("content-type") {
                forwarded = forwarded.header("content-type", kind);
            }
            let answer = forwarded.send().await.unwrap();
            let status = answer.status();
            change_response(
                parts.uri.path(),
                status,
                answer.bytes().await.unwrap().to_vec(),
            )
        }
    }));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async { axum::serve(listener, router).await });
    url
}

#[tokio::test]
async fn lost_responses_are_retried_without_a_second_request() {
    let gate = TestGate::start().await;
    // Every other response is lost after the gate has sent it.
    let answers = Arc::new(AtomicU32::new(0));
    let counted = answers.clone();
    let lossy = alter_responses(&gate, move |_, status, body| {
        match counted.fetch_add(1, Ordering::SeqCst).is_multiple_of(2) {
            true => (StatusCode::BAD_GATEWAY, Vec::new()),
            false => (status, body),
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

#[tokio::test]
async fn any_failure_message_is_reported_up_to_the_limit() {
    let gate = TestGate::start().await;
    let pending = approved(&gate).await;
    let id = pending.handle().id.clone();
    let message = format!(
        "\u{1b}[31mno such user\u{1b}[0m\r\n\u{0}{}",
        "x".repeat(5_000)
    );
    let outcome = pending
        .try_run(&user(), async |_| Err::<(), _>(message.clone()))
        .await;
    assert_eq!(outcome, Outcome::Executed(Err(message.clone())));
    let execution = gate.status(&id).await.execution.unwrap();
    assert_eq!(execution.status, ExecutionStatus::ExecutionFailed);
    assert_eq!(execution.error.unwrap().chars().count(), 2_000);
}

#[tokio::test]
async fn a_repeated_submit_with_a_stored_handle_is_idempotent() {
    let gate = TestGate::start().await;
    let action = gate
        .gate()
        .action("Delete User Account")
        .correlation_id("nightly-42");
    let handle = action.prepare();
    let first = action.submit_as(handle.clone(), &user()).await.unwrap();
    let again = action.submit_as(handle.clone(), &user()).await.unwrap();
    assert_eq!(first.approval(), again.approval());
    assert_eq!((gate.stored().await.len(), gate.mails().len()), (1, 2));
    gate.approve(first.approval().unwrap(), ALICE).await;
    assert_eq!(again.run(&user(), async |_| 1).await, Outcome::Executed(1));
    assert_eq!(
        first
            .run(&user(), async |_| 2)
            .await
            .into_result()
            .unwrap_err()
            .reason,
        Reason::Used
    );
}

#[tokio::test]
async fn an_approver_address_may_have_an_international_domain() {
    let gate = TestGate::start().await;
    let action = gate
        .gate()
        .approvers(["Bob@Bücher.example"])
        .action("Delete User Account");
    let pending = action.submit(&user()).await.unwrap();
    gate.approve(pending.approval().unwrap(), "Bob@xn--bcher-kva.example")
        .await;
    assert_eq!(
        pending.run(&user(), async |_| 1).await,
        Outcome::Executed(1)
    );
}

#[test]
fn the_url_of_the_gate_is_validated() {
    for good in [
        "http://127.0.0.1:7071",
        "https://gate.example.com/",
        "https://gate.example.com/api/",
    ] {
        assert!(Client::new(good, Some("key")).is_ok(), "{good}");
    }
    for bad in [
        "",
        "gate.example.com",
        "ftp://gate.example.com",
        "mailto:x@example.com",
        "https://gate.example.com/api/submit?wait=100&code=top-secret",
        "https://top-secret@gate.example.com",
    ] {
        assert!(Client::new(bad, None).is_err(), "{bad}");
    }
    let client = Client::new("https://gate.example.com", Some("top-secret-key")).unwrap();
    assert!(!format!("{client:?}").contains("top-secret"));
}

/// Waits until the request is not pending; returns its status.
async fn final_status(gate: &TestGate, id: &str) -> Status {
    let wait = gate.client.status(id, Duration::from_secs(30));
    wait.await.unwrap().0.status
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dropped_wait_withdraws_the_request() {
    let gate = TestGate::start().await;
    let (submitted, mut ids) = tokio::sync::mpsc::unbounded_channel();
    let action = gate
        .gate()
        .action("Delete User Account")
        .on_pending(move |approval| submitted.send(approval.id.clone()).unwrap());
    let waiting = tokio::spawn(async move { action.run(&user(), must_not_run).await });
    let id = ids.recv().await.unwrap();
    waiting.abort();
    assert_eq!(final_status(&gate, &id).await, Status::Cancelled);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_detached_wait_leaves_the_request_pending() {
    let gate = TestGate::start().await;
    let action = gate.gate().action("Delete User Account");
    let handle = action.prepare();
    let _ = action.submit_as(handle.clone(), &user()).await.unwrap();
    let again = action.resume(handle.clone());
    let detached = action.submit(&user()).await.unwrap().detach();
    let other = detached.handle().clone();
    for pending in [again, detached] {
        let user = user();
        let wait = tokio::time::timeout(Duration::from_millis(300), pending.claim(&user));
        assert!(wait.await.is_err(), "the claim waits");
    }
    for handle in [handle, other] {
        gate.approve(&gate.status(&handle.id).await, ALICE).await;
        let ran = action
            .resume(handle)
            .run(&user(), async |_| "deleted")
            .await;
        assert_eq!(ran, Outcome::Executed("deleted"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancelled_or_panicked_action_is_reported_as_failed() {
    let gate = TestGate::start().await;
    let finished = async |id: &str| {
        let started = Instant::now();
        loop {
            let execution = gate.status(id).await.execution.unwrap();
            if execution.status != ExecutionStatus::Executing {
                break execution;
            }
            assert!(started.elapsed() < Duration::from_secs(30));
        }
    };
    let pending = approved(&gate).await;
    let id = pending.handle().id.clone();
    let (running, runs) = tokio::sync::oneshot::channel();
    let aborted = tokio::spawn(async move {
        let action = async |_: &DeleteUser| {
            running.send(()).unwrap();
            std::future::pending::<()>().await;
        };
        pending.run(&user(), action).await
    });
    runs.await.unwrap();
    aborted.abort();
    let execution = finished(&id).await;
    assert_eq!(execution.status, ExecutionStatus::ExecutionFailed);
    assert!(execution.error.unwrap().contains("a part of it"));

    let pending = approved(&gate).await;
    let id = pending.handle().id.clone();
    let panicking = tokio::spawn(async move { pending.run(&user(), must_not_run).await });
    assert!(panicking.await.unwrap_err().is_panic());
    assert_eq!(finished(&id).await.status, ExecutionStatus::ExecutionFailed);

    let permit = approved(&gate).await.claim(&user()).await.unwrap();
    let id = format!("{permit:?}");
    assert!(id.contains("Permit") && !id.contains("secret"), "{id}");
    permit.executed().await;
}

#[tokio::test]
async fn parameters_that_change_after_the_claim_are_not_run() {
    let gate = TestGate::start().await;
    let action = gate.gate().action("Delete User Account");
    /// Serializes with user `1` the first times, and then with another user.
    struct Changing {
        reads: AtomicU32,
        stable_reads: u32,
    }
    impl Serialize for Changing {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            let read = self.reads.fetch_add(1, Ordering::SeqCst);
            let user_id = if read < self.stable_reads { "1" } else { "2" };
            json!({"user_id": user_id}).serialize(serializer)
        }
    }
    let changing = |stable_reads| Changing {
        reads: AtomicU32::new(0),
        stable_reads,
    };
    // Counts how many times a submit serializes the parameters.
    let shown_once = changing(u32::MAX);
    let pending = action.submit(&shown_once).await.unwrap();
    let id = pending.handle().id.clone();
    gate.approve(pending.approval().unwrap(), ALICE).await;
    let changing = changing(shown_once.reads.into_inner());
    let outcome = pending
        .run(&changing, async |_| panic!("the action ran"))
        .await;
    let refusal: Refusal = Outcome::<()>::into_result(outcome).unwrap_err();
    assert_eq!(refusal.reason, Reason::Unverified);
    let execution = gate.status(&id).await.execution.unwrap();
    assert_eq!(execution.status, ExecutionStatus::ExecutionFailed);
    assert!(execution.error.unwrap().contains("the parameters changed"));
}

#[tokio::test]
async fn on_pending_is_called_once() {
    let gate = TestGate::start().await;
    let called = Arc::new(std::sync::Mutex::new(Vec::new()));
    let calls = called.clone();
    let action = gate
        .gate()
        .action("Delete User Account")
        .on_pending(move |approval| calls.lock().unwrap().push(approval.id.clone()));
    let pending = action.submit(&user()).await.unwrap();
    let id = pending.handle().id.clone();
    assert_eq!(*called.lock().unwrap(), std::slice::from_ref(&id));
    gate.reject(pending.approval().unwrap(), ALICE, "no").await;
    let outcome = pending.run(&user(), must_not_run).await;
    assert_eq!(refusal(outcome).reason, Reason::Rejected);
    assert_eq!(
        *called.lock().unwrap(),
        [id],
        "the callback is not called again"
    );
}

/// On a runtime with one thread, a blocking report must not wait for that thread.
#[tokio::test(flavor = "current_thread")]
async fn blocking_reports_work_inside_a_runtime() {
    let gate = tokio::task::spawn_blocking(|| {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let gate = runtime.block_on(TestGate::start());
        (gate, runtime)
    });
    let (gate, runtime) = gate.await.unwrap();
    let permit = approved(&gate).await.claim(&user()).await.unwrap();
    permit.executed_blocking();
    let permit = approved(&gate).await.claim(&user()).await.unwrap();
    permit.failed_blocking("broken");
    let stopped = tokio::task::spawn_blocking(move || drop((gate, runtime)));
    stopped.await.unwrap();
}
