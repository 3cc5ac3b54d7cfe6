//! Waits that are resumed, dropped or detached, and actions that are cancelled.

use std::cell::Cell;
use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use human_oversight_client::types::{ExecutionStatus, Status};
use human_oversight_client::{Handle, Outcome, Reason};
use serde_json::json;

use super::interest::behind_a_proxy;
use super::{DeleteUser, approved, must_not_run, refusal, user};
use crate::deadline::{eventually, within};
use crate::harness::{ALICE, IN_PRODUCTION, TestGate};
use crate::operate::operate;
use crate::proxy::Fault;

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
async fn what_can_never_run_under_a_handle_is_refused_before_people_decide() {
    let gate = TestGate::start().await;
    let action = gate.gate().action("Delete User Account");
    let handle = action.prepare();
    let never_submitted = action.resume(handle.clone());
    let refused = within(never_submitted.run(&user(), must_not_run)).await;
    let refused = refusal(refused);
    assert_eq!(refused.reason, Reason::Invalid);
    let text = refused.to_string();
    assert!(text.contains("no such request"), "{text}");

    let _ = action.submit_as(handle.clone(), &user()).await.unwrap();
    let other = DeleteUser {
        user_id: "2".to_owned(),
    };
    let changed = action.resume(handle.clone());
    let refused = refusal(within(changed.run(&other, must_not_run)).await);
    assert_eq!(refused.reason, Reason::Unverified);
    assert_eq!(gate.status(&handle.id).await.status, Status::Pending);
}

/// In production calls that wait are billed: the first call asks, and is not held.
#[tokio::test]
async fn a_call_is_held_only_where_the_gate_says_that_it_may() {
    for (settings, may_hold) in [(&[][..], true), (&[IN_PRODUCTION], false)] {
        let gate = TestGate::with(settings).await;
        let (proxy, action) = behind_a_proxy(&gate).await;
        let pending = action.submit(&user()).await.unwrap().detach();
        let status = format!("GET /api/status/{}", pending.handle().id);
        let held = format!("{status}?wait=25");
        let waiting = tokio::spawn(async move { pending.claim(&user()).await.is_ok() });
        let calls = async || {
            let calls = proxy.requests().into_iter();
            let calls: Vec<String> = calls.filter(|it| it.starts_with(&status)).collect();
            (calls.len() > usize::from(may_hold)).then_some(calls)
        };
        let calls = eventually(calls).await;
        let expected = [status.clone(), held];
        assert_eq!(calls, expected[..=usize::from(may_hold)]);
        waiting.abort();
    }
}

#[tokio::test]
async fn a_gate_that_asks_for_no_wait_is_not_called_without_a_pause() {
    let gate = TestGate::start().await;
    let (proxy, action) = behind_a_proxy(&gate).await;
    let busy = Fault::Answer {
        status: 503,
        retry_after: Some(0),
        body: "",
    };
    proxy.fault(|it| it == "POST /api/submit", busy);
    let began_at = Instant::now();
    let pending = action.submit(&user()).await;
    assert!(began_at.elapsed() >= Duration::from_millis(250));
    drop(pending.unwrap().detach());
}

#[tokio::test]
async fn a_refusal_while_paused_is_not_final() {
    let gate = TestGate::start().await;
    let action = gate.gate().action("Delete User Account");
    let handle = action.submit(&user()).await.unwrap().handle().clone();
    gate.approve(&gate.status(&handle.id).await, ALICE).await;
    operate(&gate, json!({"command": "pause", "because": "x"})).await;
    let resumed = action.resume(handle.clone());
    let paused = refusal(resumed.run(&user(), must_not_run).await);
    assert_eq!(paused.reason, Reason::Paused);
    let new = refusal(action.run(&user(), must_not_run).await);
    assert_eq!(new.reason, Reason::Paused);
    assert_eq!(
        new.to_string(),
        "Not run: the operator has paused operations. Try again later."
    );
    operate(&gate, json!({"command": "resume"})).await;
    let outcome = action.resume(handle).run(&user(), async |_| "done").await;
    assert_eq!(outcome, Outcome::Executed("done"));
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
    let id = within(ids.recv()).await.unwrap();
    waiting.abort();
    assert_eq!(final_status(&gate, &id).await, Status::Cancelled);
}

/// What a program must do before it ends: the calls in the background would end with it.
#[test]
fn flush_waits_for_what_is_withdrawn_and_reported_in_the_background() {
    let runtime = || tokio::runtime::Runtime::new().unwrap();
    let (host, program) = (runtime(), runtime());
    let gate = host.block_on(TestGate::start());
    let action = gate.gate().action("Delete User Account");
    let (withdrawn, given_up) = program.block_on(async {
        let (user, pending) = (user(), action.submit(&user()).await.unwrap());
        let withdrawn = pending.handle().id.clone();
        // Waits, and is dropped.
        assert!(pending.claim(&user).now_or_never().is_none());
        let pending = approved(&gate).await;
        let given_up = pending.handle().id.clone();
        drop(pending.claim(&user).await.unwrap());
        human_oversight_client::flush().await;
        (withdrawn, given_up)
    });
    drop(program);
    host.block_on(async {
        assert_eq!(gate.status(&withdrawn).await.status, Status::Cancelled);
        let execution = gate.status(&given_up).await.execution.unwrap();
        assert_eq!(execution.status, ExecutionStatus::ExecutionFailed);
        drop(gate);
    });
    human_oversight_client::flush_blocking();
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
        eventually(async || {
            let execution = gate.status(id).await.execution.unwrap();
            (execution.status != ExecutionStatus::Executing).then_some(execution)
        })
        .await
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
    within(runs).await.unwrap();
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
