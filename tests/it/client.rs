//! The client's gate: what it runs, and all that it does not.

use std::cell::Cell;
use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::routing::any;
use human_oversight_client::types::{ExecutionStatus, KeySet, Status, Withdrawal};
use human_oversight_client::{Action, Client, Gate, Handle, Outcome, Pending, Reason, Refusal};
use serde::Serialize;
use serde_json::json;
use tokio::net::TcpListener;

use crate::deadline::{eventually, within};
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

/// An action that must not run.
async fn never(_: &DeleteUser) -> String {
    panic!("it ran without an approval")
}

/// A request that Alice has approved, and that nobody has claimed.
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

    // The approval is used up, whoever comes with its handle; and it is not told as a no.
    let again = refusal(action.resume(handle).run(&user, never).await);
    assert_eq!(again.reason, Reason::Used);
    assert!(again.to_string().contains("may have run"), "{again}");
}

/// Frameworks of agents run each call in a task that may change its thread.
#[tokio::test]
async fn an_agent_can_wait_in_a_task_of_its_own() {
    let gate = TestGate::start().await;
    let pending = approved(&gate).await;
    let agent = tokio::spawn(async move {
        // As much as a task can ask for: a result that is sent, but not shared.
        let delete = async |_: &DeleteUser| Ok::<_, Box<dyn Error + Send>>(Cell::new("deleted"));
        pending.try_run(&user(), delete).await
    });
    let outcome = agent.await.unwrap();
    assert_eq!(outcome.into_result().unwrap().unwrap().get(), "deleted");
}

#[tokio::test]
async fn a_failure_is_reported_with_its_words() {
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
async fn a_rejection_comes_back_with_its_comment() {
    let gate = TestGate::start().await;
    let pending = gate
        .gate()
        .action("Delete User Account")
        .submit(&user())
        .await
        .unwrap();
    gate.reject(pending.approval().unwrap(), ALICE, "Ask the owner first")
        .await;
    let refusal = refusal(pending.run(&user(), never).await);
    assert_eq!(refusal.reason, Reason::Rejected);
    assert_eq!(refusal.by.as_deref(), Some(ALICE));
    assert_eq!(
        refusal.to_string(),
        "Not run: rejected by alice@example.com. Their reason: Ask the owner first"
    );
}

#[tokio::test]
async fn every_other_end_is_a_refusal_with_its_reason() {
    let gate = TestGate::start().await;
    let action = gate.gate().action("Delete User Account");
    let user = user();

    let pending = action.submit(&user).await.unwrap();
    let id = pending.handle().id.clone();
    gate.pass(Duration::from_secs(3_600));
    assert_eq!(
        refusal(pending.run(&user, never).await).reason,
        Reason::Timeout
    );
    assert!(
        gate.entity(&id).await["Status"] == "Timeout",
        "the claim settled it"
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
        refusal(pending.run(&user, never).await).reason,
        Reason::Cancelled
    );

    let nobody = action.clone().approvers(["gone@example.invalid"]);
    assert_eq!(
        refusal(nobody.run(&user, never).await).reason,
        Reason::Undeliverable
    );

    let pending = action.submit(&user).await.unwrap();
    gate.approve(pending.approval().unwrap(), ALICE).await;
    gate.pass(Duration::from_secs(3_600));
    assert_eq!(
        refusal(pending.run(&user, never).await).reason,
        Reason::Timeout,
        "it lapsed"
    );

    let invalid = action.clone().approvers(["nobody"]);
    let invalid = refusal(invalid.run(&user, never).await);
    assert_eq!(invalid.reason, Reason::Invalid);
    assert!(invalid.detail.unwrap().contains("/approverEmails/0"));

    let large = json!({"n": 9_007_199_254_740_993_u64});
    let unfit: Outcome<()> = action.run(&large, |_| async { unreachable!() }).await;
    assert_eq!(unfit.into_result().unwrap_err().reason, Reason::Invalid);
}

#[tokio::test]
async fn a_wait_outlives_its_process() {
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
async fn what_runs_is_what_was_shown_or_nothing() {
    let gate = TestGate::start().await;
    let action = gate.gate().action("Delete User Account");
    let other = DeleteUser {
        user_id: "2".to_owned(),
    };
    for approve_as in [action.clone(), gate.gate().action("Read User Account")] {
        let pending = action.submit(&user()).await.unwrap();
        gate.approve(pending.approval().unwrap(), ALICE).await;
        let handle = pending.handle().clone();
        let params = if approve_as_is(&approve_as, &action) {
            &other
        } else {
            &user()
        };
        let refusal = refusal(approve_as.resume(handle.clone()).run(params, never).await);
        assert_eq!(refusal.reason, Reason::Unverified);
        // The mistake has not used the approval up.
        let outcome = action.resume(handle).run(&user(), async |_| "ran").await;
        assert_eq!(outcome, Outcome::Executed("ran"));
    }
}

fn approve_as_is(one: &Action, other: &Action) -> bool {
    format!("{one:?}") == format!("{other:?}")
}

/// Whether an action ran that Alice approved; if not, its receipt was not believed.
async fn is_believed(gate: &TestGate, action: &Action) -> bool {
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
async fn only_trusted_keys_count_where_some_are_named() {
    let gate = TestGate::start().await;
    let keys = gate.client.keys().await.unwrap();
    for (trusted, runs) in [(keys, true), (KeySet { keys: Vec::new() }, false)] {
        let action = gate.gate().trust(trusted).action("Delete User Account");
        assert_eq!(is_believed(&gate, &action).await, runs);
    }
}

#[tokio::test]
async fn keys_are_asked_for_again_only_when_those_that_were_published_do_not_verify() {
    let (gate, other) = (TestGate::start().await, TestGate::start().await);
    let others = serde_json::to_vec(&other.client.keys().await.unwrap()).unwrap();
    let asked = Arc::new(AtomicU32::new(0));
    let counted = asked.clone();
    let between = between(&gate, move |path, status, body| {
        // As if the gate's operator had changed them after the first time.
        let is_first = path == "/api/keys" && counted.fetch_add(1, Ordering::SeqCst) == 0;
        (status, if is_first { others.clone() } else { body })
    })
    .await;
    let action = between.action("Delete User Account");
    for (runs, times) in [(false, 1), (true, 2), (true, 2)] {
        assert_eq!(is_believed(&gate, &action).await, runs);
        assert_eq!(asked.load(Ordering::SeqCst), times);
    }
}

/// Something that is not the gate, answering the same to everything.
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
async fn no_answer_of_an_impostor_runs_anything() {
    let approved = json!({
        "id": "VXNlck1hbmFnZXJBZ2VudA.x", "correlationId": "x", "agentName": AGENT,
        "actionDescription": "Delete User Account",
        "parametersDigest": human_oversight_client::parameters::hex(
            &human_oversight_client::parameters::Parameters::of(&user()).unwrap().digest()),
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
        let outcome = gate.action("Delete User Account").run(&user(), never).await;
        let reason = refusal(outcome).reason;
        assert!(
            matches!(reason, Reason::Unavailable | Reason::Unverified),
            "{status} {body}"
        );
    }
}

/// The gate behind something that does as `change` says with each answer.
async fn between(
    gate: &TestGate,
    change: impl Fn(&str, StatusCode, Vec<u8>) -> (StatusCode, Vec<u8>) + Clone + Send + Sync + 'static,
) -> Gate {
    in_the_middle(gate, |_, body| body, change).await
}

/// The same, for what is asked too.
pub(crate) async fn in_the_middle(
    gate: &TestGate,
    ask: impl Fn(&str, Vec<u8>) -> Vec<u8> + Clone + Send + Sync + 'static,
    change: impl Fn(&str, StatusCode, Vec<u8>) -> (StatusCode, Vec<u8>) + Clone + Send + Sync + 'static,
) -> Gate {
    let url = door_in_the_middle(gate, ask, change).await;
    Gate::new(Client::new(&url, None).unwrap())
        .agent(AGENT)
        .approvers([ALICE])
}

/// Where it is.
pub(crate) async fn door_in_the_middle(
    gate: &TestGate,
    ask: impl Fn(&str, Vec<u8>) -> Vec<u8> + Clone + Send + Sync + 'static,
    change: impl Fn(&str, StatusCode, Vec<u8>) -> (StatusCode, Vec<u8>) + Clone + Send + Sync + 'static,
) -> String {
    let (client, url) = (gate.http.clone(), gate.url.clone());
    let router = Router::new().fallback(any(move |request: axum::extract::Request| {
        let (client, url) = (client.clone(), url.clone());
        let (ask, change) = (ask.clone(), change.clone());
        async move {
            let (parts, body) = request.into_parts();
            let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
            let target = format!("{url}{}", parts.uri);
            let body = ask(parts.uri.path(), body.to_vec());
            let mut forwarded = client.request(parts.method, target).body(body);
            if let Some(kind) = parts.headers.get("content-type") {
                forwarded = forwarded.header("content-type", kind);
            }
            let answer = forwarded.send().await.unwrap();
            let status = answer.status();
            change(
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
async fn a_gate_that_stumbles_is_asked_again_and_gets_no_second_request() {
    let gate = TestGate::start().await;
    // Loses every other answer after the gate has given it.
    let answers = Arc::new(AtomicU32::new(0));
    let counted = answers.clone();
    let stumbling = between(&gate, move |_, status, body| {
        match counted.fetch_add(1, Ordering::SeqCst).is_multiple_of(2) {
            true => (StatusCode::BAD_GATEWAY, Vec::new()),
            false => (status, body),
        }
    });
    let action = stumbling.await.action("Delete User Account");
    let pending = action.submit(&user()).await.unwrap();
    assert_eq!((gate.stored().await.len(), gate.mails().len()), (1, 1));
    let id = pending.handle().id.clone();
    assert_eq!(
        gate.status(&id).await.notifications[0].attempts,
        1,
        "mailed once"
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
async fn a_genuine_receipt_in_other_words_runs_nothing() {
    let gate = TestGate::start().await;
    for (member, words) in [
        ("/status", json!("Rejected")),
        ("/status", json!("ApprovedByMagic")),
        ("/execution/status", json!("Executed")),
        ("/execution/status", json!("Lapsed")),
        ("/execution", json!(null)),
        ("/id", json!("YQ.b")),
        ("/receipt", json!(null)),
    ] {
        let altering = between(&gate, move |path, status, body| {
            if !path.starts_with("/api/claim/") {
                return (status, body);
            }
            let mut answer: serde_json::Value = serde_json::from_slice(&body).unwrap();
            *answer.pointer_mut(member).unwrap() = words.clone();
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
            refusal(pending.run(&user(), never).await).reason,
            Reason::Unverified,
            "{member}"
        );
    }
}

#[tokio::test]
async fn a_failure_is_reported_whatever_is_in_its_words() {
    let gate = TestGate::start().await;
    let pending = approved(&gate).await;
    let id = pending.handle().id.clone();
    let words = format!(
        "\u{1b}[31mno such user\u{1b}[0m\r\n\u{0}{}",
        "x".repeat(5_000)
    );
    let outcome = pending
        .try_run(&user(), async |_| Err::<(), _>(words.clone()))
        .await;
    assert_eq!(outcome, Outcome::Executed(Err(words.clone())));
    let execution = gate.status(&id).await.execution.unwrap();
    assert_eq!(execution.status, ExecutionStatus::ExecutionFailed);
    assert_eq!(execution.error.unwrap().chars().count(), 2_000);
}

#[tokio::test]
async fn asking_again_under_a_stored_name_is_the_same_request() {
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
async fn approvers_may_be_written_as_people_write_them() {
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
fn the_address_is_taken_as_people_paste_it() {
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

/// How a request stands once it is no longer pending, which somebody else sees to.
async fn in_the_end(gate: &TestGate, id: &str) -> Status {
    let wait = gate.client.status(id, Duration::from_secs(30));
    wait.await.unwrap().0.status
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_stops_waiting_takes_the_request_back() {
    let gate = TestGate::start().await;
    let (taken, mut asked) = tokio::sync::mpsc::unbounded_channel();
    let action = gate
        .gate()
        .action("Delete User Account")
        .on_pending(move |approval| taken.send(approval.id.clone()).unwrap());
    let waiting = tokio::spawn(async move { action.run(&user(), never).await });
    let id = within(asked.recv()).await.unwrap();
    waiting.abort();
    assert_eq!(in_the_end(&gate, &id).await, Status::Cancelled);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wait_that_was_detached_leaves_the_request_standing() {
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
        assert!(wait.await.is_err(), "it waits");
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
async fn an_action_that_was_given_up_or_panicked_is_told_as_such() {
    let gate = TestGate::start().await;
    let told = async |id: &str| {
        eventually(async || {
            let execution = gate.status(id).await.execution.unwrap();
            (execution.status != ExecutionStatus::Executing).then_some(execution)
        })
        .await
    };
    let pending = approved(&gate).await;
    let id = pending.handle().id.clone();
    let (running, runs) = tokio::sync::oneshot::channel();
    let given_up = tokio::spawn(async move {
        let action = async |_: &DeleteUser| {
            running.send(()).unwrap();
            std::future::pending::<()>().await;
        };
        pending.run(&user(), action).await
    });
    within(runs).await.unwrap();
    given_up.abort();
    let execution = told(&id).await;
    assert_eq!(execution.status, ExecutionStatus::ExecutionFailed);
    assert!(execution.error.unwrap().contains("a part of it"));

    let pending = approved(&gate).await;
    let id = pending.handle().id.clone();
    let panicking = tokio::spawn(async move { pending.run(&user(), never).await });
    assert!(panicking.await.unwrap_err().is_panic());
    assert_eq!(told(&id).await.status, ExecutionStatus::ExecutionFailed);

    let permit = approved(&gate).await.claim(&user()).await.unwrap();
    let id = format!("{permit:?}");
    assert!(id.contains("Permit") && !id.contains("secret"), "{id}");
    permit.executed().await;
}

#[tokio::test]
async fn parameters_that_change_while_a_person_decides_are_not_run() {
    let gate = TestGate::start().await;
    let action = gate.gate().action("Delete User Account");
    /// It is `1` for the first looks, and then another.
    struct Changing {
        looks: AtomicU32,
        first: u32,
    }
    impl Serialize for Changing {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            let look = self.looks.fetch_add(1, Ordering::SeqCst);
            let user_id = if look < self.first { "1" } else { "2" };
            json!({"user_id": user_id}).serialize(serializer)
        }
    }
    let changing = |first| Changing {
        looks: AtomicU32::new(0),
        first,
    };
    // So often parameters are read to be shown once.
    let shown_once = changing(u32::MAX);
    let pending = action.submit(&shown_once).await.unwrap();
    let id = pending.handle().id.clone();
    gate.approve(pending.approval().unwrap(), ALICE).await;
    let changing = changing(shown_once.looks.into_inner());
    let outcome = pending.run(&changing, async |_| panic!("it ran")).await;
    let refusal: Refusal = Outcome::<()>::into_result(outcome).unwrap_err();
    assert_eq!(refusal.reason, Reason::Unverified);
    let execution = gate.status(&id).await.execution.unwrap();
    assert_eq!(execution.status, ExecutionStatus::ExecutionFailed);
    assert!(execution.error.unwrap().contains("the parameters changed"));
}

#[tokio::test]
async fn who_waits_hears_of_it() {
    let gate = TestGate::start().await;
    let heard = Arc::new(std::sync::Mutex::new(Vec::new()));
    let tell = heard.clone();
    let action = gate
        .gate()
        .action("Delete User Account")
        .on_pending(move |approval| tell.lock().unwrap().push(approval.id.clone()));
    let pending = action.submit(&user()).await.unwrap();
    let id = pending.handle().id.clone();
    assert_eq!(*heard.lock().unwrap(), std::slice::from_ref(&id));
    gate.reject(pending.approval().unwrap(), ALICE, "no").await;
    let outcome = pending.run(&user(), never).await;
    assert_eq!(refusal(outcome).reason, Reason::Rejected);
    assert_eq!(*heard.lock().unwrap(), [id], "nothing is pending any more");
}

/// On one thread that waits, nothing else can run.
#[tokio::test(flavor = "current_thread")]
async fn a_permit_can_be_reported_from_whatever_thread() {
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
