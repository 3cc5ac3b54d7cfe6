//! An agent that does not wait: the gate wakes it, and it settles what it has stored.

#![cfg(all(feature = "mock", feature = "macros"))]

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use human_oversight_client::callback::NotVerified;
use human_oversight_client::mock::{Answer, MockCallback, MockGate};
use human_oversight_client::types::{ExecutionStatus, NewCallback};
use human_oversight_client::{Action, CallbackError, Error, Gate, Handle, Outcome, Reason};
use serde_json::{Value, json};

/// An agent as a web service: what it has stored, and how often its action ran.
struct Agent {
    gate: Gate,
    stored: Mutex<HashMap<String, (Handle, Value)>>,
    runs: AtomicU32,
}

/// What the handler of callbacks made of one.
#[derive(Debug, PartialEq)]
enum Answered {
    /// There is nothing stored for it.
    Unknown,
    Undecided,
    Ran,
    Refused(Reason, Option<ExecutionStatus>),
}

impl Agent {
    fn new(mock: &MockGate) -> Self {
        Self {
            gate: mock.gate().agent("A").approvers(["alice@example.com"]),
            stored: Mutex::default(),
            runs: AtomicU32::new(0),
        }
    }

    fn action(&self) -> Action {
        let callback = NewCallback {
            channel: "agents".to_owned(),
            state: Some("thread-17".to_owned()),
        };
        self.gate.action("Delete").callback(callback)
    }

    async fn ask(&self, user: Value) -> Handle {
        let handle = self.action().prepare();
        let row = (handle.clone(), user.clone());
        self.stored.lock().unwrap().insert(handle.id.clone(), row);
        let pending = self.action().submit_as(handle, &user).await.unwrap();
        pending.handle().clone()
    }

    async fn handle(&self, callback: MockCallback) -> Result<Answered, CallbackError> {
        let callback = self.gate.on_callback(callback.headers, callback.body)?;
        assert_eq!(callback.agent_name, "A");
        assert_eq!(callback.state.as_deref(), Some("thread-17"));
        let stored = self.stored.lock().unwrap().get(&callback.id).cloned();
        let Some((handle, user)) = stored else {
            return Ok(Answered::Unknown);
        };
        assert_eq!(callback.id, handle.id);
        assert!(callback.id.ends_with(&callback.correlation_id));
        let outcome = self.action().settle(handle, &user, |_| self.run()).await;
        Ok(match outcome {
            None => Answered::Undecided,
            Some(Outcome::Executed(())) => Answered::Ran,
            Some(Outcome::Refused(refusal)) => Answered::Refused(refusal.reason, refusal.execution),
        })
    }

    async fn run(&self) {
        self.runs.fetch_add(1, Ordering::Relaxed);
        tokio::task::yield_now().await;
    }

    fn runs(&self) -> u32 {
        self.runs.load(Ordering::Relaxed)
    }
}

fn only(mock: &MockGate) -> MockCallback {
    let mut callbacks = mock.callbacks();
    assert_eq!(callbacks.len(), 1);
    callbacks.remove(0)
}

#[tokio::test]
async fn an_action_runs_once_however_often_its_callback_comes() {
    let mock = MockGate::new(|_| Answer::Approve);
    let agent = Arc::new(Agent::new(&mock));
    let handle = agent.ask(json!({"user": "1"})).await;
    assert_eq!(agent.runs(), 0, "submit does not wait");
    assert_eq!(only(&mock).channel, "agents");
    let deliveries = (0..8).map(|_| {
        let (agent, callback) = (agent.clone(), only(&mock));
        tokio::spawn(async move { agent.handle(callback).await.unwrap() })
    });
    let mut ran = 0;
    for answered in deliveries.collect::<Vec<_>>() {
        match answered.await.unwrap() {
            Answered::Ran => ran += 1,
            Answered::Refused(Reason::Used, Some(_)) => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((ran, agent.runs()), (1, 1));
    let again = agent.handle(only(&mock)).await.unwrap();
    let used = Answered::Refused(Reason::Used, Some(ExecutionStatus::Executed));
    assert_eq!(again, used, "the request is settled");
    agent.stored.lock().unwrap().remove(&handle.id);
    assert_eq!(agent.handle(only(&mock)).await.unwrap(), Answered::Unknown);
    assert_eq!(agent.runs(), 1);
}

#[tokio::test]
async fn what_is_not_an_approval_of_exactly_this_runs_nothing() {
    for (answer, reason) in [
        (Answer::Reject("No.".to_owned()), Reason::Rejected),
        (Answer::Expire, Reason::Timeout),
    ] {
        let mock = MockGate::new(move |_| answer.clone());
        let agent = Agent::new(&mock);
        agent.ask(json!({"user": "1"})).await;
        let answered = agent.handle(only(&mock)).await.unwrap();
        assert_eq!(answered, Answered::Refused(reason, None));
        assert_eq!(agent.runs(), 0);
    }
    let mock = MockGate::new(|_| Answer::Approve);
    let agent = Agent::new(&mock);
    let handle = agent.ask(json!({"user": "1"})).await;
    let other = (handle.clone(), json!({"user": "2"}));
    agent.stored.lock().unwrap().insert(handle.id, other);
    let answered = agent.handle(only(&mock)).await.unwrap();
    assert_eq!(answered, Answered::Refused(Reason::Unverified, None));
    assert_eq!(agent.runs(), 0);
}

#[tokio::test]
async fn a_callback_that_is_not_the_gates_runs_nothing() {
    let mock = MockGate::new(|_| Answer::Approve);
    let agent = Agent::new(&mock);
    agent.ask(json!({"user": "1"})).await;
    let mut altered = only(&mock);
    altered.body.push(b' ');
    let stranger = MockGate::new(|_| Answer::Approve);
    Agent::new(&stranger).ask(json!({"user": "1"})).await;
    for forged in [altered, only(&stranger)] {
        let refused = agent.handle(forged).await;
        assert!(
            matches!(
                refused,
                Err(CallbackError::NotVerified(NotVerified::BadSignature))
            ),
            "{refused:?}"
        );
    }
    assert_eq!(agent.runs(), 0);
    assert!(mock.approvals()[0].execution.is_none());
}

#[test]
fn a_gate_without_a_secret_takes_no_callback_and_a_bad_secret_is_none() {
    let gate = Gate::new(human_oversight_client::Client::new("http://127.0.0.1:1", None).unwrap());
    let refused = gate.on_callback([("webhook-id", "1")], "");
    assert!(
        matches!(refused, Err(CallbackError::NoSecret)),
        "{refused:?}"
    );
    let error = gate.clone().callback_secret("whsec_topsecret").unwrap_err();
    assert!(matches!(error, Error::Settings(_)));
    assert!(!error.to_string().contains("topsecret"), "{error}");
    let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let gate = gate.callback_secret(secret).unwrap();
    assert!(!format!("{gate:?}").contains("MfKQ"), "{gate:?}");
    let refused = gate.on_callback([("webhook-id", "1")], "");
    assert!(
        matches!(refused, Err(CallbackError::NotVerified(_))),
        "{refused:?}"
    );
}

#[tokio::test]
async fn only_requests_that_name_a_channel_have_callbacks() {
    let mock = MockGate::new(|_| Answer::Approve);
    let gate = mock.gate().agent("A").approvers(["alice@example.com"]);
    let action = gate.action("Delete");
    let ran = action.run(&json!({}), async |_| ()).await;
    assert_eq!(ran, Outcome::Executed(()));
    assert!(mock.callbacks().is_empty());
    let ran = action
        .callback("agents")
        .run(&json!({}), async |_| ())
        .await;
    assert_eq!(ran, Outcome::Executed(()));
    let requests = mock.requests();
    assert_eq!(requests[0].callback, None);
    assert_eq!(requests[1].callback, Some("agents".into()));
    let woken = gate.on_callback(only(&mock).headers, only(&mock).body);
    assert_eq!(woken.unwrap().state, None);
}
