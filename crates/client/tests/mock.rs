//! An agent under test, with a gate without people.

#![cfg(all(feature = "mock", feature = "macros"))]

use human_oversight_client::mock::{Answer, MockGate};
use human_oversight_client::types::{ExecutionStatus, NewApproval};
use human_oversight_client::{Action, Gate, Handle, Outcome, Reason, approval_gate};
use serde_json::json;

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
