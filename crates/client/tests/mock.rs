//! An agent under test, with a gate without people.

#![cfg(all(feature = "mock", feature = "macros"))]

use std::time::Duration;

use human_oversight_client::mock::{Answer, MockGate};
use human_oversight_client::types::{Approval, Claim, ExecutionStatus, NewApproval, Report};
use human_oversight_client::{Action, Error, Gate, Handle, Outcome, Reason, approval_gate};
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

/// As the gate does.
#[tokio::test]
async fn a_mock_takes_a_report_of_the_claim_that_it_granted_alone() {
    let mock = MockGate::new(|request| match &*request.action_description {
        "Delete" => Answer::Approve,
        _ => Answer::Reject("No.".to_owned()),
    });
    let gate = mock.gate().approvers(["alice@example.com"]);
    let client = gate.client().clone();
    let report = |nonce: Option<&str>| Report {
        status: ExecutionStatus::ExecutionFailed,
        error: None,
        nonce: nonce.map(str::to_owned),
        secret: None,
    };
    let is_refused = |answer: Result<Approval, Error>| matches!(answer, Err(Error::Problem(it)) if it.status == 409);
    for (action, is_granted) in [("Delete", true), ("Keep", false)] {
        let pending = gate.action(action).submit(&json!({})).await.unwrap();
        let id = pending.handle().id.clone();
        assert!(
            is_refused(client.outcome(&id, &report(None)).await),
            "{action}"
        );
        let claim = Claim {
            nonce: "granted".to_owned(),
            secret: None,
        };
        assert_eq!(client.claim(&id, &claim).await.is_ok(), is_granted);
        assert!(is_refused(
            client.outcome(&id, &report(Some("another"))).await
        ));
        let reported = client.outcome(&id, &report(Some("granted"))).await;
        assert_eq!(reported.is_ok(), is_granted);
    }
}

#[tokio::test]
async fn a_mock_can_be_paused() {
    let gate = Gate::policy(|_| Answer::Pause).approvers(["alice@example.com"]);
    let outcome = gate.action("Delete").run(&json!({}), async |_| "ran").await;
    let Outcome::Refused(refusal) = &outcome else {
        panic!("{outcome:?}");
    };
    assert_eq!(refusal.reason, Reason::Paused);
    assert_eq!(outcome.executed_or("refused"), "refused");
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
    let outcome = once.run(&params, async |_| "ran").await;
    assert_eq!(outcome.executed_or("refused"), "ran");
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

/// A value of a vector, with its long texts written out.
fn written_out(value: &Value) -> Value {
    match value {
        Value::Object(members) => match members.get("times").and_then(Value::as_u64) {
            Some(times) => {
                let text = |name: &str| members.get(name).and_then(Value::as_str);
                let repeated = text("text").unwrap().repeat(times as usize);
                Value::String(repeated + text("end").unwrap_or_default())
            }
            None => {
                let written = |(name, value): (&String, &Value)| (name.clone(), written_out(value));
                members.iter().map(written).collect()
            }
        },
        Value::Array(items) => items.iter().map(written_out).collect(),
        other => other.clone(),
    }
}

fn action(gate: Gate, request: NewApproval) -> Action {
    let gate = gate.agent(request.agent_name);
    let mut action = gate
        .approvers(request.approver_emails)
        .action(request.action_description);
    if let Some(seconds) = request.timeout_seconds {
        action = action.timeout(Duration::from_secs(seconds.into()));
    }
    if let Some(reason) = request.reason {
        action = action.reason(reason);
    }
    if let Some(address) = request.on_behalf_of {
        action = action.on_behalf_of(address);
    }
    if let Some(name) = request.correlation_id {
        action = action.correlation_id(name);
    }
    if let Some(earlier) = request.supersedes {
        action = action.supersedes(earlier);
    }
    if let Some(callback) = request.callback {
        action = action.callback(callback);
    }
    action
}

#[tokio::test]
async fn a_mock_takes_and_refuses_what_every_gate_does() {
    let mock = MockGate::new(|_| Answer::Approve);
    let file: Value =
        serde_json::from_str(include_str!("../../../conformance/requests.json")).unwrap();
    for list in ["accepted", "refused"] {
        for case in file[list].as_array().unwrap() {
            let mut request = file["request"].clone();
            let change = written_out(&case["change"]);
            let members = change.as_object().unwrap().clone();
            request.as_object_mut().unwrap().extend(members);
            let request: NewApproval = serde_json::from_value(request).unwrap();
            let params = Value::Object(request.parameters.clone());
            let outcome = action(mock.gate(), request)
                .run(&params, async |_| ())
                .await;
            let Some(pointers) = case["pointers"].as_array() else {
                assert_eq!(outcome, Outcome::Executed(()), "{case}");
                continue;
            };
            let Err(refusal) = outcome.into_result() else {
                panic!("it ran: {case}");
            };
            assert_eq!(refusal.reason, Reason::Invalid, "{case}");
            let text = refusal.to_string();
            for pointer in pointers {
                let named = format!("{} ", pointer.as_str().unwrap());
                assert!(text.contains(&named), "{case}: {text}");
            }
        }
    }
    assert_eq!(
        mock.requests().len(),
        file["accepted"].as_array().unwrap().len()
    );
}

#[tokio::test]
async fn a_timeout_of_any_length_is_refused_in_the_gates_words() {
    let gate = Gate::policy(|_| Answer::Approve).approvers(["alice@example.com"]);
    let action = gate.action("Delete").timeout(Duration::MAX);
    let outcome = action.run(&json!({}), async |_| ()).await;
    let text = outcome.into_result().unwrap_err().to_string();
    let words = "/timeoutSeconds must be a whole number from 10 to 2592000";
    assert!(text.contains(words), "{text}");
}

/// What `Client::submit` sends as it is; an action would refuse some of it before.
#[tokio::test]
async fn a_mock_refuses_parameters_that_the_gate_cannot_read_in_one_way() {
    let mock = MockGate::new(|_| Answer::Approve);
    let gate = mock.gate();
    let submit = async |parameters: Value| {
        let Value::Object(parameters) = parameters else {
            panic!("an object")
        };
        let request = NewApproval {
            agent_name: "A".to_owned(),
            action_description: "Delete".to_owned(),
            parameters,
            approver_emails: vec!["alice@example.com".to_owned()],
            ..NewApproval::default()
        };
        match gate.client().submit(&request).await {
            Err(Error::Problem(problem)) => *problem,
            other => panic!("{other:?}"),
        }
    };
    for parameters in [
        json!({"n": 9_007_199_254_740_993_u64}),
        json!({"to": {"$serde_json::private::RawValue": "\"alice\""}}),
    ] {
        let problem = submit(parameters).await;
        assert_eq!(
            (problem.status, &*problem.errors[0].pointer),
            (422, "/parameters")
        );
    }
    let nested = |levels| (0..levels).fold(json!(1), |inner, _| json!({"a": inner}));
    for levels in [64, 126] {
        let problem = submit(nested(levels)).await;
        assert_eq!(problem.status, 400);
        assert!(problem.kind.ends_with(":bad-request"), "{problem:?}");
    }
    let params = nested(63);
    let action = gate.approvers(["alice@example.com"]).action("Delete");
    let outcome = action.run(&params, async |_| ()).await;
    assert_eq!(outcome, Outcome::Executed(()));
}

#[tokio::test]
async fn a_mock_refuses_a_body_that_is_too_large() {
    let mock = MockGate::new(|_| Answer::Approve);
    let action = mock
        .gate()
        .approvers(["alice@example.com"])
        .action("Delete");
    let params = json!({"text": "a".repeat(66_000)});
    let refusal = action
        .run(&params, async |_| ())
        .await
        .into_result()
        .unwrap_err();
    assert_eq!(refusal.reason, Reason::Invalid);
    let text = refusal.to_string();
    assert!(
        text.ends_with("The request is larger than the gate takes."),
        "{text}"
    );
}
