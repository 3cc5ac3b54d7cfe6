//! `#[approval_gate]`: functions as users write them, behind a real gate.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use human_oversight_client::types::{Approval, ExecutionStatus, Status};
use human_oversight_client::{Gate, Outcome, Refusal, approval_gate};
use serde::Serialize;
use serde_json::{Value, json};

use crate::deadline::eventually;
use crate::harness::{AGENT, ALICE, Mail, TestGate};

const APPROVERS: [&str; 1] = [ALICE];

/// The example of the design, with the gate as an argument.
#[approval_gate(
    agent_name = AGENT,
    action_description = "Delete User Account",
    approver_emails = APPROVERS,
    refusal_return_value = "DENIED: User deletion was not approved.",
    gate = gate,
)]
async fn delete_user(#[approval(skip)] gate: &Gate, user_id: String) -> String {
    format!("deleted {user_id}")
}

/// Without `refusal_return_value`: the text of the refusal is returned.
#[approval_gate(agent_name = AGENT, action_description = "Rename", approver_emails = [ALICE], gate = gate)]
async fn rename(#[approval(skip)] gate: &Gate, user_id: &str, name: Option<&str>) -> String {
    format!("{user_id} is {name:?}")
}

/// An error of the agent's own.
#[derive(Debug, PartialEq)]
enum Failure {
    Refused(String),
    NoSuchUser,
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal.comment.unwrap_or_default())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

impl From<std::num::ParseIntError> for Failure {
    fn from(_: std::num::ParseIntError) -> Self {
        Self::NoSuchUser
    }
}

struct Agent {
    gate: Gate,
    name: String,
    ran: AtomicBool,
    is_pending: Arc<AtomicBool>,
}

impl Agent {
    fn new(gate: &TestGate) -> Self {
        Self {
            gate: Gate::new(gate.client.clone()),
            name: AGENT.to_owned(),
            ran: AtomicBool::new(false),
            is_pending: Arc::default(),
        }
    }

    /// A generic method with `?`, `return` and borrowed arguments.
    #[approval_gate(
        agent_name = &self.name,
        action_description = format!("Set {}", std::any::type_name::<T>()),
        approver_emails = APPROVERS.iter().copied(),
        timeout = std::time::Duration::from_secs(600),
        reason = "The ticket says so.",
        on_pending = {
            let is_pending = self.is_pending.clone();
            move |_: &Approval| is_pending.store(true, Ordering::SeqCst)
        },
        gate = self.gate,
    )]
    async fn set<T: Serialize + Clone>(
        &self,
        user_id: &str,
        values: &[T],
        #[approval(redact)] password: String,
    ) -> Result<(usize, T), Failure> {
        self.ran.store(true, Ordering::SeqCst);
        assert!(!password.is_empty());
        let number: usize = user_id.parse()?;
        let Some(first) = values.first() else {
            return Err(Failure::NoSuchUser);
        };
        Ok((number, first.clone()))
    }

    /// A blocking method.
    #[approval_gate(
        agent_name = &self.name,
        action_description = "Restart",
        approver_emails = APPROVERS,
        refusal_return_value = |mut refusal: Refusal| {
            refusal.detail = None;
            Outcome::Refused(refusal)
        },
        gate = self.gate,
    )]
    fn restart(&mut self, host: &str, mut times: u32) -> Outcome<u32> {
        times += u32::from(host == "db-1");
        self.name.push('!');
        Outcome::Executed(times)
    }
}

/// Decides the pending request as soon as Alice has its email; returns both.
async fn decide(gate: &TestGate, verdict: &str) -> (Approval, Mail) {
    let (approval, mail) = eventually(async || {
        let emails = gate.mails();
        let emails = emails.into_iter().filter(|mail| mail.answers.is_none());
        let requests = emails.map(async |mail| {
            let (_, id) = mail.text.split_once("/api/decision/").unwrap();
            let id = id.split(['?', '\n']).next().unwrap().trim();
            (gate.status(id).await, mail)
        });
        let requests = futures_util::future::join_all(requests).await;
        let mut requests = requests.into_iter();
        requests.find(|(approval, _)| approval.status == Status::Pending)
    })
    .await;
    match verdict {
        "approve" => gate.approve(&approval, ALICE).await,
        comment => gate.reject(&approval, ALICE, comment).await,
    }
    (approval, mail)
}

async fn parameters(gate: &TestGate, approval: &Approval) -> Value {
    let row = gate.entity(&approval.id).await;
    serde_json::from_str(row["Parameters"].as_str().unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_function_runs_with_the_approved_parameters_or_returns_the_refusal() {
    let gate = TestGate::start().await;
    let own = Gate::new(gate.client.clone());
    let call = delete_user(&own, "1".to_owned());
    let (answer, (approval, _)) = futures_util::join!(call, decide(&gate, "approve"));
    assert_eq!(answer, "deleted 1");
    assert_eq!(parameters(&gate, &approval).await, json!({"user_id": "1"}));
    let done = gate.status(&approval.id).await;
    assert_eq!(done.action_description, "Delete User Account");
    assert_eq!(done.execution.unwrap().status, ExecutionStatus::Executed);

    let call = delete_user(&own, "2".to_owned());
    let (answer, _) = futures_util::join!(call, decide(&gate, "no"));
    assert_eq!(answer, "DENIED: User deletion was not approved.");

    let call = rename(&own, "3", None);
    let (answer, (approval, _)) = futures_util::join!(call, decide(&gate, "Ask her first."));
    assert!(answer.contains("Ask her first."), "{answer}");
    let shown = parameters(&gate, &approval).await;
    assert_eq!(shown, json!({"user_id": "3", "name": null}));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failing_method_is_reported_and_redacted_arguments_are_hidden() {
    let gate = TestGate::start().await;
    let agent = Agent::new(&gate);
    let password = || "correct horse".to_owned();
    let call = agent.set("7", &[1.5, 2.5], password());
    let (answer, (approval, mail)) = futures_util::join!(call, decide(&gate, "approve"));
    assert_eq!(answer, Ok((7, 1.5)));
    assert!(agent.is_pending.load(Ordering::SeqCst));
    assert_eq!(
        parameters(&gate, &approval).await,
        json!({"user_id": "7", "values": [1.5, 2.5], "password": "«redacted»"})
    );
    assert!(mail.text.contains("The ticket says so.") && !mail.source.contains("horse"));
    assert_eq!(approval.action_description, "Set f64");

    for (user_id, values) in [("x", &["a"][..]), ("8", &[])] {
        let call = agent.set(user_id, values, password());
        let decides = decide(&gate, "approve");
        let (answer, (approval, _)) = futures_util::join!(call, decides);
        assert_eq!(answer, Err(Failure::NoSuchUser));
        let execution = gate.status(&approval.id).await.execution.unwrap();
        assert_eq!(execution.status, ExecutionStatus::ExecutionFailed);
        assert_eq!(execution.error.as_deref(), Some("NoSuchUser"));
    }
    agent.ran.store(false, Ordering::SeqCst);
    let call = agent.set("9", &[true], password());
    let (answer, _) = futures_util::join!(call, decide(&gate, "Not today."));
    assert_eq!(answer, Err(Failure::Refused("Not today.".to_owned())));
    assert!(!agent.ran.load(Ordering::SeqCst));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_blocking_function_blocks_its_thread_until_the_decision() {
    let gate = TestGate::start().await;
    let agent = Agent::new(&gate);
    let call = tokio::task::spawn_blocking(move || {
        let mut agent = agent;
        let first = agent.restart("db-1", 1);
        (first, agent.restart("db-2", 5), agent.name)
    });
    let (approval, _) = decide(&gate, "approve").await;
    decide(&gate, "no").await;
    let (first, second, name) = call.await.unwrap();
    assert_eq!(first, Outcome::Executed(2));
    assert_eq!(
        second.into_result().unwrap_err().comment.as_deref(),
        Some("no")
    );
    assert_eq!(name, format!("{AGENT}!"), "the action ran once");
    let shown = parameters(&gate, &approval).await;
    assert_eq!(shown, json!({"host": "db-1", "times": 1}));
    let done = gate.status(&approval.id).await.execution.unwrap();
    assert_eq!(done.status, ExecutionStatus::Executed);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn run_blocking_works_without_the_attribute() {
    let gate = TestGate::start().await;
    let action = gate.gate().approvers([ALICE]).action("Restart");
    let call = tokio::task::spawn_blocking(move || {
        let host = json!({"host": "db-1"});
        let first = action.run_blocking(&host, |host| host["host"].clone());
        let failed: Outcome<Result<(), String>> =
            action.try_run_blocking(&host, |_| Err("no such host".to_owned()));
        (first, failed)
    });
    decide(&gate, "approve").await;
    let (failing, _) = decide(&gate, "approve").await;
    let (first, failed) = call.await.unwrap();
    assert_eq!(first, Outcome::Executed(json!("db-1")));
    assert_eq!(failed, Outcome::Executed(Err("no such host".to_owned())));
    let execution = gate.status(&failing.id).await.execution.unwrap();
    assert_eq!(execution.error.as_deref(), Some("no such host"));
}

#[tokio::test]
async fn arguments_without_a_json_form_are_refused() {
    let gate = TestGate::start().await;
    let agent = Agent::new(&gate);
    let refused = agent.set("1", &[f64::NAN], "x".to_owned()).await;
    assert_eq!(refused, Err(Failure::Refused(String::new())));
    assert!(!agent.ran.load(Ordering::SeqCst));
    assert!(gate.mails().is_empty() && gate.stored().await.is_empty());
}

/// The argument and the result are `Send`, but not `Sync`.
#[approval_gate(agent_name = AGENT, action_description = "Count", approver_emails = [ALICE], gate = gate)]
async fn count(
    #[approval(skip)] gate: Gate,
    to: std::cell::Cell<u32>,
) -> Result<std::cell::Cell<u32>, Failure> {
    Ok(to)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gated_function_can_be_spawned_as_a_task() {
    let gate = TestGate::start().await;
    let call = tokio::spawn(count(
        Gate::new(gate.client.clone()),
        std::cell::Cell::new(7),
    ));
    decide(&gate, "approve").await;
    assert_eq!(call.await.unwrap().unwrap().get(), 7);
}
