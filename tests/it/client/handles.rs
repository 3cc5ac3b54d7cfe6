//! Which handle an action has, and which handles it takes.

use human_oversight_client::types::Status;
use human_oversight_client::{Client, Gate, Outcome, Reason, Refusal, flush};
use serde_json::Value;

use super::{must_not_run, refusal, user};
use crate::deadline::within;
use crate::harness::{ALICE, TestGate};

#[tokio::test]
async fn a_second_call_under_one_name_is_the_same_request_whose_approval_is_used_once() {
    let gate = TestGate::start().await;
    // Made anew for each call, as by a gated function.
    let action = || gate.gate().action("Delete User Account");
    let action = || action().correlation_id("call-1");
    let first = action().submit(&user()).await.unwrap();
    let second = action().submit(&user()).await.unwrap();
    assert_eq!(first.approval(), second.approval());
    gate.approve(first.approval().unwrap(), ALICE).await;
    let outcome = first.run(&user(), async |_| "ran").await;
    assert_eq!(outcome, Outcome::Executed("ran"));
    let used = "Not run again: the approval was used before, and the action ran.";
    let again = refusal(second.run(&user(), must_not_run).await);
    assert_eq!(again.to_string(), used);
    let later = refusal(action().run(&user(), must_not_run).await);
    assert_eq!(later.to_string(), used);
    assert_eq!(gate.stored().await.len(), 1);
}

#[tokio::test]
async fn a_handle_of_another_agent_is_refused_before_anything_is_sent() {
    let gate = TestGate::start().await;
    let action = gate.gate().action("Delete User Account");
    let handle = action.prepare();
    let _ = action.submit_as(handle.clone(), &user()).await.unwrap();
    let (stored, mails) = (gate.stored().await, gate.mails().len());

    let renamed = gate.gate().agent("NewName").action("Delete User Account");
    let is_refused = |refusal: Refusal| {
        assert_eq!(refusal.reason, Reason::Invalid);
        assert_eq!(
            refusal.to_string(),
            "Not run: the request is invalid. Correct it before you try again. the handle is of another agent"
        );
    };
    let submitted = renamed.submit_as(handle.clone(), &user()).await;
    is_refused(submitted.unwrap_err());
    let ran = renamed.run_as(handle.clone(), &user(), must_not_run).await;
    is_refused(refusal(ran));
    // No person has decided, and none must for this to be said.
    let resumed = renamed.resume(handle.clone());
    is_refused(refusal(within(resumed.run(&user(), must_not_run)).await));
    let settled = renamed.settle(handle, &user(), must_not_run).await;
    is_refused(refusal(settled.unwrap()));
    assert_eq!((gate.stored().await, gate.mails().len()), (stored, mails));
}

#[test]
fn a_claim_key_gives_the_handles_of_the_vectors() {
    let vectors = include_str!("../../../conformance/handles.json");
    let vectors: Value = serde_json::from_str(vectors).unwrap();
    for case in vectors["cases"].as_array().unwrap() {
        let text = |name: &str| case[name].as_str().unwrap();
        let client = Client::new("https://gate.example.com", None).unwrap();
        let gate = Gate::new(client).agent(text("agent"));
        let gate = gate.claim_key(text("key")).unwrap();
        let action = gate.action("Delete User Account");
        let handle = action.clone().correlation_id(text("correlationId"));
        let handle = handle.prepare();
        assert_eq!((&*handle.id, &*handle.secret), (text("id"), text("secret")));
        assert_ne!(action.prepare().secret, action.prepare().secret);
        let shown = format!("{gate:?} {handle:?}");
        for secret in [text("key"), text("secret")] {
            assert!(!shown.contains(secret), "{shown}");
        }
    }
}

/// Another process with the same key may wait for it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dropped_wait_leaves_a_named_request_with_a_claim_key_pending() {
    let gate = TestGate::start().await;
    for (key, name, status) in [
        (true, Some("call-1"), Status::Pending),
        (true, None, Status::Cancelled),
        (false, Some("call-2"), Status::Cancelled),
    ] {
        let mut agent = gate.gate();
        if key {
            agent = agent.claim_key(&"5a".repeat(32)).unwrap();
        }
        let (submitted, mut ids) = tokio::sync::mpsc::unbounded_channel();
        let mut action = agent.action("Delete User Account");
        action = action.on_pending(move |it| submitted.send(it.id.clone()).unwrap());
        if let Some(name) = name {
            action = action.correlation_id(name);
        }
        let waiting = tokio::spawn(async move { action.run(&user(), must_not_run).await });
        let id = within(ids.recv()).await.unwrap();
        waiting.abort();
        assert!(waiting.await.unwrap_err().is_cancelled());
        within(flush()).await;
        assert_eq!(gate.status(&id).await.status, status, "{key} {name:?}");
    }
}
