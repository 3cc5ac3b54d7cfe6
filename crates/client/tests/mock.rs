//! An agent under test, with a gate without people.

#![cfg(all(feature = "mock", feature = "macros"))]

use std::time::Duration;

use human_oversight_client::mock::{Answer, MockGate};
use human_oversight_client::types::{ExecutionStatus, NewApproval, NewCallback};
use human_oversight_client::{Action, Gate, Handle, Outcome, Reason, approval_gate};
use serde_json::{Value, json};

/// A tool that a model may call.
#[approval_gate(
    agent_name = "UserManagerAgent",
    action_description = "Delete User Account",
    approver_emails = ["alice@example.com"],
    gate = gate,
)]
async fn delete_user(#[approval(skip)] gate: &Gate, user_id: String) -> String {
    format!("User {user_id} deleted.")
}

#[tokio::test]
async fn a_mock_decides_by_its_policy_and_keeps_the_requests() {
    let mock =
        MockGate::new(
            |request: &NewApproval| match request.parameters["user_id"].as_str() {
                Some("1") => Answer::Approve,
                Some("2") => Answer::Reject("Ask her first.".to_owned()),
                Some("3") => Answer::Expire,
                _ => Answer::Unavailable,
            },
        );
    let gate = mock.gate();
    assert_eq!(delete_user(&gate, "1".to_owned()).await, "User 1 deleted.");
    let refused = delete_user(&gate, "2".to_owned()).await;
    assert!(refused.contains("Ask her first."), "{refused}");
    for (user_id, reason) in [("3", Reason::Timeout), ("4", Reason::Unavailable)] {
        let action = gate
            .clone()
            .approvers(["alice@example.com"])
            .action("Delete");
        let outcome = action.run(&json!({"user_id": user_id}), async |_| ()).await;
        assert_eq!(outcome.into_result().unwrap_err().reason, reason);
    }
    let requests = mock.requests();
    assert_eq!(requests.len(), 3, "without that to the unavailable gate");
    assert_eq!(requests[0].agent_name, "UserManagerAgent");
    let execution = mock.approvals()[0].execution.clone().unwrap();
    assert_eq!(execution.status, ExecutionStatus::Executed);
    assert!(mock.approvals()[1].execution.is_none());
}

/// As at the gate.
async fn taken_by_another_request(action: &Action) {
    let params = json!({"user_id": "1"});
    let handle = action.prepare();
    for _ in 0..2 {
        let _ = action.submit_as(handle.clone(), &params).await.unwrap();
    }
    let other_claimant = Handle {
        secret: "another".to_owned(),
        ..handle.clone()
    };
    for (handle, params) in [(handle, json!({"user_id": "2"})), (other_claimant, params)] {
        let refusal = action.submit_as(handle, &params).await.unwrap_err();
        assert_eq!(refusal.reason, Reason::Invalid);
        let text = refusal.to_string();
        assert!(text.contains("The correlationId is taken"), "{text}");
    }
}

#[tokio::test]
async fn a_mock_grants_a_claim_once_and_for_the_same_parameters() {
    let gate = Gate::policy(|_| Answer::Approve);
    let no_approver = gate.action("Delete").run(&json!({}), async |_| ()).await;
    assert_eq!(
        no_approver.into_result().unwrap_err().reason,
        Reason::Invalid
    );
    let action = gate.approvers(["alice@example.com"]).action("Delete");
    taken_by_another_request(&action.clone().correlation_id("call-1")).await;
    let handle = action.prepare();
    let once = action
        .submit_as(handle.clone(), &json!({"user_id": "1"}))
        .await
        .unwrap();
    let other = action
        .resume(handle.clone())
        .run(&json!({"user_id": "2"}), async |_| ())
        .await;
    assert_eq!(other.into_result().unwrap_err().reason, Reason::Unverified);
    let params = json!({"user_id": "1"});
    assert_eq!(
        once.run(&params, async |_| "ran").await,
        Outcome::Executed("ran")
    );
    let again = action.resume(handle).run(&params, async |_| "ran").await;
    assert!(again.into_result().is_err(), "once is enough");
    let failed = action
        .try_run(&params, async |_| Err::<(), _>("broken"))
        .await;
    assert_eq!(failed, Outcome::Executed(Err("broken")));
}

/// A policy of a test that fails.
fn unexpected(request: &NewApproval) -> Answer {
    panic!("not expected: {}", request.action_description)
}

#[tokio::test]
#[should_panic = "not expected: Delete"]
async fn a_policy_that_panics_ends_the_call() {
    let gate = Gate::policy(unexpected).approvers(["alice@example.com"]);
    let _ = gate.action("Delete").run(&json!({}), async |_| ()).await;
}

#[test]
#[should_panic = "not expected: Delete"]
fn a_policy_that_panics_ends_the_call_that_blocks() {
    let gate = Gate::policy(unexpected).approvers(["alice@example.com"]);
    let _ = gate.action("Delete").run_blocking(&json!({}), |_| ());
}

#[tokio::test]
async fn a_mock_refuses_what_every_gate_refuses() {
    let mock = MockGate::new(|_| Answer::Approve);
    let gate = mock.gate().agent("Agent").approvers(["alice@example.com"]);
    let action = || gate.action("Delete");
    let named = |name: &str| gate.clone().agent(name).action("Delete");
    let asking = |people: &[&str]| {
        gate.clone()
            .approvers(people.iter().copied())
            .action("Delete")
    };
    let seconds = Duration::from_secs;
    let called = |channel: &str, state: &str| {
        action().callback(NewCallback {
            channel: channel.to_owned(),
            state: Some(state.to_owned()),
        })
    };
    let long = "a".repeat(2_001);
    let cases = [
        ("/agentName must have 1 to 128 characters", named("")),
        (
            "/agentName must have 1 to 128 characters",
            named(&long[..129]),
        ),
        (
            "/agentName must have at most 170 bytes of UTF-8",
            named(&"ü".repeat(86)),
        ),
        (
            "/agentName must not contain `://`: a name is no URL",
            named("https://a"),
        ),
        ("/agentName must be without spaces around it", named(" A")),
        (
            "/agentName must be one line without control characters",
            named("A\u{202e}B"),
        ),
        (
            "/actionDescription must have 1 to 256 characters",
            gate.action(" "),
        ),
        (
            "/actionDescription must have 1 to 256 characters",
            gate.action(&long[..257]),
        ),
        (
            "/actionDescription must be one line without control characters",
            gate.action("Delete\nall"),
        ),
        (
            "/timeoutSeconds must be a whole number from 10 to 2592000",
            action().timeout(seconds(5)),
        ),
        (
            "/timeoutSeconds must be a whole number from 10 to 2592000",
            action().timeout(seconds(2_592_001)),
        ),
        (
            "/reason must have 0 to 2000 characters",
            action().reason(&long),
        ),
        (
            "/reason must not have control characters other than line ends and tabs",
            action().reason("\0"),
        ),
        (
            "/approverEmails must be an array of 1 to 20 email addresses",
            asking(&[]),
        ),
        (
            "/approverEmails/0 must be a plain email address, such as alice@example.com",
            asking(&["alice"]),
        ),
        (
            "/approverEmails/1 occurs twice",
            asking(&["a@b.example", "A+x@b.example"]),
        ),
        (
            "/approverEmails/0 is the person the agent acts for, who cannot approve",
            action().on_behalf_of("Alice@example.com"),
        ),
        (
            "/onBehalfOf must be a plain email address, such as alice@example.com",
            action().on_behalf_of("me"),
        ),
        (
            "/correlationId must have 1 to 64 characters of [A-Za-z0-9._-]",
            action().correlation_id("a b"),
        ),
        (
            "/supersedes must be the id of a request",
            action().supersedes("1"),
        ),
        (
            "/callback/channel must have 1 to 64 characters",
            called("", ""),
        ),
        (
            "/callback/state must have 0 to 256 characters",
            called("a", &long[..257]),
        ),
    ];
    for (why, action) in cases {
        refuses(&action, &json!({}), why).await;
    }
    let text = |length: usize| json!({"text": "a".repeat(length)});
    let why = "/parameters must have at most 30720 bytes of canonical JSON";
    refuses(&action(), &text(31_000), why).await;
    refuses(
        &action(),
        &text(66_000),
        "The request is larger than the gate takes.",
    )
    .await;
    assert!(mock.requests().is_empty());
    let at_the_limits = gate
        .agent("ü".repeat(85))
        .action("😀".repeat(256))
        .timeout(seconds(10))
        .reason("a\n\t".repeat(666))
        .on_behalf_of("me@bücher.example");
    let outcome = at_the_limits.run(&text(30_000), async |_| "ran").await;
    assert_eq!(outcome, Outcome::Executed("ran"));
}

async fn refuses(action: &Action, params: &Value, why: &str) {
    let outcome = action.run(params, async |_| ()).await;
    let refusal = outcome.into_result().unwrap_err();
    assert_eq!(refusal.reason, Reason::Invalid, "{why}");
    let text = refusal.to_string();
    assert!(text.ends_with(why), "{text}");
}
