//! Which answers to a claim count: replayed, swapped and missing permits, other gates, other keys.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use axum::http::StatusCode;
use human_oversight_client::receipt::thumbprint;
use human_oversight_client::types::{ExecutionStatus, KeySet};
use human_oversight_client::{Client, Gate, Handle, Outcome, Reason};
use serde_json::{Value, json};

use super::{approved, intercept, intercepting_url, must_not_run, refusal, user};
use crate::harness::{AGENT, ALICE, BOB, TestGate};

/// A party between agent and gate that records the last answer to each call, to repeat it later.
#[derive(Clone, Default)]
pub(crate) struct Recorder {
    answers: Arc<Mutex<HashMap<String, Answer>>>,
    replays: Arc<AtomicBool>,
}

type Answer = (StatusCode, Vec<u8>);

impl Recorder {
    /// Records from now on; returns the address to call.
    pub(crate) async fn start(&self, gate: &TestGate) -> String {
        let recorder = self.clone();
        let keep = |_: &str, body| body;
        intercepting_url(gate, keep, move |path, status, body| {
            let mut answers = recorder.answers.lock().unwrap();
            if recorder.replays.load(Ordering::SeqCst) {
                return answers.get(path).cloned().unwrap_or((status, body));
            }
            answers.insert(path.to_owned(), (status, body.clone()));
            (status, body)
        })
        .await
    }

    /// Repeats what was recorded.
    pub(crate) fn replay(&self) {
        self.replays.store(true, Ordering::SeqCst);
    }
}

/// A gate at this address with pinned keys, as a fresh process of the agent has it.
fn restarted(url: &str, keys: &KeySet) -> Gate {
    Gate::new(Client::new(url, None).unwrap())
        .agent(AGENT)
        .approvers([ALICE])
        .trust(keys.clone())
}

#[tokio::test]
async fn recorded_answers_run_nothing_after_a_restart_with_a_stored_handle() {
    let gate = TestGate::start().await;
    let keys = gate.client.keys().await.unwrap();
    let recorder = Recorder::default();
    let url = recorder.start(&gate).await;
    let runs = AtomicU32::new(0);
    let run = async |_: &_| runs.fetch_add(1, Ordering::SeqCst);

    let action = restarted(&url, &keys).action("Delete User Account");
    let handle = action.prepare();
    // Stored as an earlier version did it, with the nonce of its claim.
    let mut stored = serde_json::to_value(&handle).unwrap();
    stored["nonce"] = json!("0123456789abcdef0123456789abcdef");
    let pending = action.submit_as(handle.clone(), &user()).await.unwrap();
    gate.approve(pending.approval().unwrap(), ALICE).await;
    assert_eq!(pending.run(&user(), run).await, Outcome::Executed(0));

    recorder.replay();
    let recorded: Value = {
        let answers = recorder.answers.lock().unwrap();
        serde_json::from_slice(&answers[&format!("/api/claim/{}", handle.id)].1).unwrap()
    };
    assert!(recorded["permit"].is_string(), "{recorded}");
    for _ in 0..2 {
        let handle: Handle = serde_json::from_value(stored.clone()).unwrap();
        let action = restarted(&url, &keys).action("Delete User Account");
        let again = action.resume(handle).run(&user(), run).await;
        let refusal = again.into_result().unwrap_err();
        assert_eq!(refusal.reason, Reason::Unverified);
        let detail = refusal.detail.unwrap();
        assert!(detail.contains("the answer to another claim"), "{detail}");
    }
    assert_eq!(runs.load(Ordering::SeqCst), 1);
    let execution = gate.status(&handle.id).await.execution.unwrap();
    assert_eq!(execution.status, ExecutionStatus::Executed);
}

#[tokio::test]
async fn another_permit_than_that_of_the_claim_runs_nothing() {
    let gate = TestGate::start().await;
    let other = approved(&gate).await.claim(&user()).await.unwrap();
    for (permit, why) in [
        (json!(null), "without a permit"),
        (json!("permit"), "not a permit"),
        (json!(other.receipt()), "not a permit"),
        (json!(other.jws()), "another request"),
    ] {
        let altering = intercept(
            &gate,
            |_, body| body,
            move |path, status, body| {
                if !path.starts_with("/api/claim/") {
                    return (status, body);
                }
                let mut answer: Value = serde_json::from_slice(&body).unwrap();
                answer["permit"] = permit.clone();
                (status, answer.to_string().into_bytes())
            },
        );
        let action = altering.await.action("Delete User Account");
        let pending = action.submit(&user()).await.unwrap();
        let id = pending.handle().id.clone();
        gate.approve(pending.approval().unwrap(), ALICE).await;
        let refusal = refusal(pending.run(&user(), must_not_run).await);
        assert_eq!(refusal.reason, Reason::Unverified, "{why}");
        let detail = refusal.detail.unwrap();
        assert!(detail.contains(why), "{why}: {detail}");
        let execution = gate.status(&id).await.execution.unwrap();
        assert_eq!(execution.status, ExecutionStatus::ExecutionFailed, "{why}");
    }
    other.executed().await;
}

#[tokio::test]
async fn whose_claim_was_not_granted_reports_nothing_of_the_one_that_was() {
    let gate = TestGate::start().await;
    let action = gate.gate().action("Delete User Account");
    let handle = action.submit(&user()).await.unwrap().handle().clone();
    gate.approve(&gate.status(&handle.id).await, ALICE).await;
    let running = action.resume(handle.clone()).claim(&user()).await.unwrap();

    // To the second worker nothing is claimed yet, and the answer to its claim is the recorded one of the first.
    let mut granted = json!(gate.status(&handle.id).await);
    granted["permit"] = json!(running.jws());
    let altering = intercept(
        &gate,
        |_, body| body,
        move |path, status, body| {
            let mut answer = granted.clone();
            if path.starts_with("/api/status/") {
                answer["execution"] = json!(null);
            } else if !path.starts_with("/api/claim/") {
                return (status, body);
            }
            (StatusCode::OK, answer.to_string().into_bytes())
        },
    );
    let second = altering.await.action("Delete User Account");
    let refusal = refusal(
        second
            .resume(handle.clone())
            .run(&user(), must_not_run)
            .await,
    );
    assert_eq!(refusal.reason, Reason::Unverified);
    let execution = gate.status(&handle.id).await.execution.unwrap();
    assert_eq!(execution.status, ExecutionStatus::Executing);

    running.executed().await;
    let execution = gate.status(&handle.id).await.execution.unwrap();
    assert_eq!(execution.status, ExecutionStatus::Executed);
}

#[tokio::test]
async fn a_claim_that_may_have_been_granted_is_reported_whatever_its_last_answer_is() {
    for (first, reason) in [
        ((StatusCode::OK, ""), Reason::Paused),
        ((StatusCode::SERVICE_UNAVAILABLE, ""), Reason::Paused),
        (
            (StatusCode::INTERNAL_SERVER_ERROR, "integrity"),
            Reason::Unavailable,
        ),
    ] {
        let gate = TestGate::start().await;
        let pending = approved(&gate).await;
        let handle = pending.handle().clone();
        let claims = Arc::new(AtomicU32::new(0));
        let altering = intercept(
            &gate,
            |_, body| body,
            move |path, status, body| {
                if !path.starts_with("/api/claim/") {
                    return (status, body);
                }
                match (claims.fetch_add(1, Ordering::SeqCst), first) {
                    (0, (status, "")) => (status, Vec::new()),
                    (0, (status, kind)) => (status, problem(status, kind)),
                    _ => (
                        StatusCode::FORBIDDEN,
                        problem(StatusCode::FORBIDDEN, "paused"),
                    ),
                }
            },
        );
        let action = altering.await.action("Delete User Account");
        let resumed = action.resume(handle.clone());
        let refusal = refusal(resumed.run(&user(), must_not_run).await);
        assert_eq!(refusal.reason, reason);
        let execution = gate.status(&handle.id).await.execution.unwrap();
        assert_eq!(execution.status, ExecutionStatus::ExecutionFailed);
    }
}

fn problem(status: StatusCode, kind: &str) -> Vec<u8> {
    let kind = format!("urn:human-oversight:problem:{kind}");
    let status = status.as_u16();
    let problem = json!({
        "type": kind, "title": "No", "status": status, "detail": "No.", "invocationId": "1",
    });
    problem.to_string().into_bytes()
}

#[tokio::test]
async fn an_approval_by_a_person_who_left_the_list_is_refused_in_the_gates_own_words() {
    let gate = TestGate::start().await;
    let handle = approved(&gate).await.handle().clone();
    let before = gate.url.clone();
    let settings = [
        ("HO_ISSUERS", before.as_str()),
        ("HO_ALLOWED_APPROVERS", BOB),
    ];
    let gate = TestGate::at(gate.dir, &settings).await;
    let action = gate.gate().action("Delete User Account");
    let refused = refusal(
        action
            .resume(handle.clone())
            .run(&user(), must_not_run)
            .await,
    );
    assert_eq!(refused.reason, Reason::Invalid, "{refused:?}");
    assert_eq!(refused.id(), Some(handle.id.as_str()));
    assert!(
        refused
            .to_string()
            .contains("no longer on the operator's list (HO_ALLOWED_APPROVERS)"),
        "{refused}"
    );
    assert_eq!(gate.status(&handle.id).await.execution, None);
}

#[tokio::test]
async fn a_gate_without_permits_is_refused_before_anyone_is_asked() {
    let gate = TestGate::with(&[("HO_ROWS", "1")]).await;
    assert_eq!(gate.client.keys().await.unwrap().issuers, [""; 0]);
    let action = gate.gate().action("Delete User Account");
    let refusal = action.submit(&user()).await.unwrap_err();
    assert_eq!(refusal.reason, Reason::Unverified);
    assert!(refusal.no_one_was_asked());
    let detail = refusal.detail.unwrap();
    assert!(detail.contains("upgrade the gate"), "{detail}");
    assert!(gate.stored().await.is_empty());
}

#[tokio::test]
async fn a_gate_of_another_issuer_is_refused_before_people_are_asked() {
    let gate = TestGate::start().await;
    let elsewhere = gate.gate().issuers(["https://elsewhere.example.com/"]);
    let error = elsewhere.check().await.unwrap_err().to_string();
    assert!(
        error.contains("HO_ISSUER") && error.contains(&gate.url),
        "{error}"
    );
    let action = elsewhere.action("Delete User Account").approvers([ALICE]);
    let refused = refusal(action.run(&user(), must_not_run).await);
    assert_eq!(refused.reason, Reason::Misconfigured);
    assert!(gate.stored().await.is_empty());
}

#[tokio::test]
async fn a_receipt_of_another_issuer_is_refused_before_the_claim() {
    let gate = TestGate::start().await;
    let pending = approved(&gate).await;
    let handle = pending.handle().clone();
    let elsewhere = gate.gate().issuers(["https://elsewhere.example.com/"]);
    let action = elsewhere.action("Delete User Account");
    let refused = refusal(
        action
            .resume(handle.clone())
            .run(&user(), must_not_run)
            .await,
    );
    assert_eq!(refused.reason, Reason::Unavailable);
    assert!(refused.detail.unwrap().contains("HO_ISSUER"));
    assert_eq!(gate.status(&handle.id).await.execution, None);

    // The gate has moved: its earlier address counts where the operator says so.
    let before = gate.url.clone();
    for (settings, runs) in [(&[][..], false), (&[("HO_ISSUERS", before.as_str())], true)] {
        let moved = TestGate::at(tempfile::tempdir().unwrap(), settings).await;
        let issuers = moved.client.keys().await.unwrap().issuers;
        assert_eq!(issuers[0], moved.url);
        assert_eq!(issuers.contains(&before), runs);
    }
    let gate = TestGate::at(gate.dir, &[("HO_ISSUERS", &before)]).await;
    let action = gate.gate().action("Delete User Account");
    let outcome = action.resume(handle).run(&user(), async |_| "ran").await;
    assert_eq!(outcome, Outcome::Executed("ran"));
}

#[tokio::test]
async fn the_receipt_of_another_claimant_is_refused_before_the_claim() {
    let gate = TestGate::start().await;
    let pending = approved(&gate).await;
    let handle = pending.handle().clone();
    let other = Handle {
        secret: "0".repeat(64),
        ..handle.clone()
    };
    let action = gate.gate().action("Delete User Account");
    let refusal = refusal(action.resume(other).run(&user(), must_not_run).await);
    assert_eq!(refusal.reason, Reason::Unverified);
    assert!(refusal.detail.unwrap().contains("another claimant"));
    assert_eq!(gate.status(&handle.id).await.execution, None);
}

#[tokio::test]
async fn the_keys_of_an_impostor_do_not_count_where_thumbprints_are_pinned() {
    let (gate, impostor) = (TestGate::start().await, TestGate::start().await);
    let keys = gate.client.keys().await.unwrap();
    let pinned = |gate: Gate| {
        let thumbprints = keys.keys.iter().map(thumbprint);
        gate.trust_thumbprints(thumbprints).issuers(&keys.issuers)
    };
    let action = pinned(impostor.gate()).action("Delete User Account");
    let refusal = action.submit(&user()).await.unwrap_err();
    assert_eq!(refusal.reason, Reason::Unverified);
    assert!(refusal.detail.unwrap().contains("HO_KEYS"));
    assert!(impostor.stored().await.is_empty());

    let action = pinned(gate.gate()).action("Delete User Account");
    let pending = action.submit(&user()).await.unwrap();
    gate.approve(pending.approval().unwrap(), ALICE).await;
    let outcome = pending.run(&user(), async |_| "ran").await;
    assert_eq!(outcome, Outcome::Executed("ran"));
}

#[tokio::test]
async fn pinned_keys_need_an_issuer() {
    let gate = TestGate::start().await;
    let mut keys = gate.client.keys().await.unwrap();
    keys.issuers.clear();
    let action = gate.gate().trust(keys).action("Delete User Account");
    let refusal = action.submit(&user()).await.unwrap_err();
    assert_eq!(refusal.reason, Reason::Misconfigured);
    assert!(refusal.detail.unwrap().contains("HO_ISSUER"));
    assert!(gate.stored().await.is_empty());
}
