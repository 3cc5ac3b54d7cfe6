//! The client's `Gate`: which actions run, and which do not.

mod callbacks;
mod handles;
mod interest;
mod network;
pub(crate) mod permits;
mod refusals;
mod responses;
mod runtimes;
mod waits;

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::routing::any;
use human_oversight_client::types::{ExecutionStatus, Withdrawal};
use human_oversight_client::{Action, Client, Gate, Outcome, Pending, Reason, Refusal};
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
    assert!(again.to_string().ends_with("the action ran."), "{again}");
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
async fn an_approver_address_may_have_any_domain_that_the_gate_takes() {
    let gate = TestGate::start().await;
    for (named, signed) in [
        ("Bob@Bücher.example", "Bob@xn--bcher-kva.example"),
        // To a URL, it is an IP address that is wrong.
        ("bob@Example.123", "bob@example.123"),
    ] {
        let action = gate.gate().approvers([named]).action("Delete User Account");
        let pending = action.submit(&user()).await.unwrap();
        gate.approve(pending.approval().unwrap(), signed).await;
        let outcome = pending.run(&user(), async |_| 1).await;
        assert_eq!(outcome, Outcome::Executed(1), "{named}");
    }
}

#[test]
fn the_url_of_the_gate_is_validated() {
    for good in [
        "http://127.0.0.1:7071",
        "http://127.8.9.10:7071",
        "http://[::1]:7071",
        "http://localhost:7071",
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
        // The function key would be readable on the way.
        "http://gate.example.com",
        "http://192.0.2.1:7071",
        "http://0.0.0.0:7071",
        "http://[::]:7071",
        "http://localhost.example.com",
        "http://127.0.0.1.example.com",
    ] {
        assert!(Client::new(bad, None).is_err(), "{bad}");
    }
    let client = Client::new("https://gate.example.com", Some("top-secret-key")).unwrap();
    assert!(!format!("{client:?}").contains("top-secret"));
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
