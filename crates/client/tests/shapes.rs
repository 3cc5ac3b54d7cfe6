//! `#[approval_gate]` on functions of every shape: each compiles without a warning, runs on the approved
//! arguments, and returns its refusal.

#![cfg(all(feature = "mock", feature = "macros"))]
// What the attribute writes must not warn in a program that is stricter than most.
#![deny(warnings, clippy::all, clippy::pedantic, unused_qualifications)]

use std::cell::Cell;
use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;
use std::pin::Pin;

use human_oversight_client::mock::{Answer, MockGate};
use human_oversight_client::types::ExecutionStatus;
use human_oversight_client::{Outcome, Proof, Refusal, approval_gate};
use serde::Serialize;
use serde_json::{Value, json};

const BY: [&str; 1] = ["alice@example.com"];
const REFUSED: &str = "Not run: rejected by alice@example.com. Their reason: Not now.";

#[derive(Debug, PartialEq)]
enum Failure {
    Refused,
    NoSuchUser,
}

impl From<Refusal> for Failure {
    fn from(_: Refusal) -> Self {
        Self::Refused
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

#[derive(Clone, Serialize)]
struct User {
    id: u32,
    tags: Vec<String>,
}

// 1: the plainest.
#[approval_gate(agent_name = "A", action_description = "Delete", approver_emails = BY)]
async fn owned(user_id: String) -> String {
    format!("deleted {user_id}")
}

// 2: a body of one line, and no arguments.
#[approval_gate(agent_name = "A", action_description = "Restart", approver_emails = BY)]
async fn one_line() -> String {
    "restarted".to_owned()
}

// 3: borrowed arguments.
#[approval_gate(agent_name = "A", action_description = "Rename", approver_emails = BY)]
async fn borrowed(user_id: &str, name: Option<&str>, tags: &[u8]) -> String {
    format!("{user_id} {name:?} {tags:?}")
}

// 4: no return value.
#[approval_gate(
    agent_name = "A",
    action_description = "Log",
    approver_emails = BY,
    refusal_return_value = (),
)]
async fn unit(#[approval(skip)] ran: &Cell<bool>) {
    ran.set(true);
}

// 5: generic, with a where clause and a value for the refusal.
#[approval_gate(
    agent_name = "A",
    action_description = "Count",
    approver_emails = BY,
    refusal_return_value = None,
)]
async fn generic<T, const N: usize>(values: [T; N]) -> Option<T>
where
    T: Serialize + Clone,
    [T; N]: Serialize,
{
    values.first().cloned()
}

// 6: a named lifetime in the result, and an opaque argument.
#[approval_gate(
    agent_name = "A",
    action_description = "Pick",
    approver_emails = BY,
    refusal_return_value = "refused",
)]
async fn lifetimes<'a>(first: &'a str, second: impl Serialize) -> &'a str {
    let _ = second;
    first
}

// 7: an error of its own, `?`, `return` and a mutable argument.
#[approval_gate(agent_name = "A", action_description = "Set", approver_emails = BY)]
async fn fallible(mut number: u32, text: String) -> Result<u32, Failure> {
    if text.is_empty() {
        return Err(Failure::NoSuchUser);
    }
    number += text.parse::<u32>().map_err(|_| Failure::NoSuchUser)?;
    Ok(number)
}

// 8: errors that are a text, or any error.
#[approval_gate(agent_name = "A", action_description = "Set", approver_emails = BY)]
async fn text_error(number: u32) -> Result<u32, String> {
    Ok(number)
}

#[approval_gate(agent_name = "A", action_description = "Set", approver_emails = BY)]
async fn boxed_error(number: u32) -> Result<u32, Box<dyn Error + Send + Sync>> {
    Ok(number)
}

// 9: a closure makes the refusal's return value.
#[approval_gate(
    agent_name = "A",
    action_description = "Set",
    approver_emails = BY,
    refusal_return_value = |refusal: Refusal| Outcome::Refused(refusal),
)]
async fn closure(number: u32) -> Outcome<u32> {
    Outcome::Executed(number)
}

// 10: a structure, a map and a tuple; a redacted and two skipped arguments, one of them a pattern.
#[approval_gate(agent_name = "A", action_description = "Invite", approver_emails = BY)]
async fn structured(
    user: User,
    rights: BTreeMap<String, (bool, f64)>,
    #[approval(redact)] password: String,
    #[approval(skip)] (host, port): (&str, u16),
) -> String {
    let (id, tags, rights) = (user.id, user.tags.len(), rights.len());
    format!("{id} {tags} {rights} {} {host}:{port}", password.len())
}

// 11: a raw identifier, and one argument that names the request.
#[approval_gate(
    agent_name = "A",
    action_description = format!("Set {}", r#type),
    approver_emails = BY,
    correlation_id = call,
)]
async fn raw(r#type: &str, #[approval(skip)] call: &str) -> String {
    format!("{type} {call}")
}

// 12: not `async`.
#[approval_gate(agent_name = "A", action_description = "Stop", approver_emails = BY)]
fn blocking(host: &str) -> String {
    host.to_owned()
}

// 13: not `async`, fallible, with a `return`.
#[approval_gate(agent_name = "A", action_description = "Stop", approver_emails = BY)]
fn blocking_fallible(mut times: u32) -> Result<u32, Failure> {
    if times == 0 {
        return Err(Failure::NoSuchUser);
    }
    times -= 1;
    Ok(times)
}

// 14: a future in a box.
#[approval_gate(agent_name = "A", action_description = "Stop", approver_emails = BY)]
fn boxed_future(times: u32) -> Pin<Box<dyn Future<Output = Result<u32, Failure>> + Send>> {
    Box::pin(async move { Ok(times + 1) })
}

// 15: one gated function calls another; each has a proof of its own.
#[approval_gate(agent_name = "A", action_description = "Outer", approver_emails = BY)]
async fn nested(user_id: String) -> String {
    let outer = Proof::current().unwrap();
    let (inner, deleted) = (blocking_proof(), owned(user_id).await);
    assert_eq!(Proof::current().unwrap(), outer);
    assert_ne!(inner.unwrap(), outer);
    deleted
}

#[approval_gate(
    agent_name = "A",
    action_description = "Inner",
    approver_emails = BY,
    refusal_return_value = None,
)]
fn blocking_proof() -> Option<Proof> {
    Proof::current()
}

struct Agent {
    name: String,
}

impl Agent {
    // 16: methods that borrow, and settings that name `self`.
    #[approval_gate(agent_name = &self.name, action_description = "Read", approver_emails = BY)]
    async fn by_reference(&self, number: u32) -> String {
        format!("{} {number}", self.name)
    }

    #[approval_gate(agent_name = "A", action_description = "Write", approver_emails = BY)]
    async fn by_mutable_reference(&mut self, mut number: u32) -> String {
        number += 1;
        self.name.push('!');
        format!("{} {number}", self.name)
    }

    // 17: a method that takes `self`, and a function without it.
    #[approval_gate(agent_name = self.name.clone(), action_description = "End", approver_emails = BY)]
    async fn by_value(self) -> String {
        self.name
    }

    #[approval_gate(agent_name = "A", action_description = "Make", approver_emails = BY)]
    fn associated(name: String) -> Result<Self, Failure> {
        Ok(Self { name })
    }
}

trait Tool {
    fn call(&self, user_id: &str) -> impl Future<Output = String> + Send;
}

impl Tool for Agent {
    // 18: an `async fn` in a trait.
    #[approval_gate(agent_name = "A", action_description = "Call", approver_emails = BY)]
    async fn call(&self, user_id: &str) -> String {
        format!("{} {user_id}", self.name)
    }
}

#[async_trait::async_trait]
trait DynamicTool {
    async fn call_it(&mut self, user_id: &str, mut number: u32) -> Result<String, Failure>;

    // 19: the body that a trait gives, under `async_trait`.
    #[approval_gate(
        agent_name = "A",
        action_description = "Default",
        approver_emails = BY,
        refusal_return_value = (),
    )]
    async fn provided(&self, number: u32) {
        let _ = number;
    }
}

#[async_trait::async_trait]
impl DynamicTool for Agent {
    // 20: a method under `async_trait`.
    #[approval_gate(agent_name = &self.name, action_description = "Call", approver_emails = BY)]
    async fn call_it(&mut self, user_id: &str, mut number: u32) -> Result<String, Failure> {
        number += 1;
        if user_id.is_empty() {
            return Err(Failure::NoSuchUser);
        }
        self.name.push('?');
        Ok(format!("{} {user_id} {number}", self.name))
    }
}

fn agent() -> Agent {
    Agent {
        name: "Bot".to_owned(),
    }
}

fn user() -> User {
    User {
        id: 7,
        tags: vec!["new".to_owned()],
    }
}

/// What all of them return.
async fn call_all() -> Vec<Value> {
    let ran = Cell::new(false);
    unit(&ran).await;
    let mut other = agent();
    let (mut dynamic, rights) = (agent(), BTreeMap::from([("read".to_owned(), (true, 0.5))]));
    vec![
        json!(owned("1".to_owned()).await),
        json!(one_line().await),
        json!(borrowed("1", None, &[1, 2]).await),
        json!(ran.get()),
        json!(generic([true, false]).await),
        json!(lifetimes("first", 2).await),
        json!(fallible(1, "2".to_owned()).await.ok()),
        json!(text_error(1).await),
        json!(boxed_error(1).await.map_err(|error| error.to_string())),
        json!(closure(1).await.into_result().map_err(String::from)),
        json!(structured(user(), rights, "secret".to_owned(), ("db", 1)).await),
        json!(raw("role", "call-1").await),
        json!(blocking("db")),
        json!(blocking_fallible(1).ok()),
        json!(boxed_future(1).await.ok()),
        json!(nested("1".to_owned()).await),
        json!(agent().by_reference(1).await),
        json!(other.by_mutable_reference(1).await),
        json!(other.by_value().await),
        json!(Agent::associated("Bot".to_owned()).ok().map(|it| it.name)),
        json!(agent().call("1").await),
        json!(dynamic.provided(1).await),
        json!(dynamic.call_it("1", 1).await.ok()),
        json!(dynamic.name),
    ]
}

#[tokio::test]
async fn a_function_of_any_shape_runs_on_the_approved_arguments() {
    let mock = MockGate::new(|_| Answer::Approve);
    let returned = mock.gate().scope(Box::pin(call_all())).await;
    let expected = json!([
        "deleted 1",
        "restarted",
        "1 None [1, 2]",
        true,
        true,
        "first",
        3,
        {"Ok": 1},
        {"Ok": 1},
        {"Ok": 1},
        "7 1 1 6 db:1",
        "role call-1",
        "db",
        0,
        2,
        "deleted 1",
        "Bot 1",
        "Bot! 2",
        "Bot!",
        "Bot",
        "Bot 1",
        null,
        "Bot? 1 2",
        "Bot?",
    ]);
    assert_eq!(json!(returned), expected);
    for approval in mock.approvals() {
        let execution = approval.execution.unwrap().status;
        assert_eq!(execution, ExecutionStatus::Executed, "{}", approval.id);
    }
    let shown: Vec<Value> = mock
        .requests()
        .into_iter()
        .map(|request| json!(request.parameters))
        .collect();
    let structured = json!({
        "user": {"id": 7, "tags": ["new"]},
        "rights": {"read": [true, 0.5]},
        "password": "«redacted»",
    });
    for parameters in [
        json!({}),
        json!({"user_id": "1", "name": null, "tags": [1, 2]}),
        json!({"values": [true, false]}),
        json!({"number": 1, "text": "2"}),
        structured,
        json!({"type": "role"}),
        json!({"user_id": "1", "number": 1}),
    ] {
        assert!(shown.contains(&parameters), "{parameters}");
    }
    let named = mock
        .requests()
        .into_iter()
        .find(|it| it.action_description == "Set role");
    assert_eq!(named.unwrap().correlation_id.as_deref(), Some("call-1"));
}

#[tokio::test]
async fn a_refused_function_of_any_shape_returns_its_refusal_and_does_not_run() {
    let mock = MockGate::new(|_| Answer::Reject("Not now.".to_owned()));
    let returned = mock.gate().scope(Box::pin(call_all())).await;
    let texts: Vec<&str> = returned.iter().filter_map(Value::as_str).collect();
    let refused = |text: &&&str| **text == REFUSED;
    assert_eq!(texts.iter().filter(refused).count(), 11, "{returned:?}");
    let others: Vec<&&str> = texts.iter().filter(|text| !refused(text)).collect();
    // The value for the refusal of one, and the name of the agent, which nothing has changed.
    assert_eq!(others, [&"refused", &"Bot"]);
    for value in returned.iter().filter(|value| !value.is_string()) {
        let error = json!({"Err": REFUSED});
        assert!(
            [json!(null), json!(false), error].contains(value),
            "{value}"
        );
    }
    assert!(mock.approvals().iter().all(|it| it.execution.is_none()));
}

#[tokio::test]
async fn a_failed_function_is_reported_as_failed() {
    let mock = MockGate::new(|_| Answer::Approve);
    mock.gate()
        .scope(async {
            let failed = fallible(1, String::new()).await;
            assert_eq!(failed, Err(Failure::NoSuchUser));
            assert_eq!(blocking_fallible(0), Err(Failure::NoSuchUser));
            let failed = agent().call_it("", 1).await;
            assert_eq!(failed, Err(Failure::NoSuchUser));
        })
        .await;
    let executions = mock.approvals().into_iter().map(|it| it.execution.unwrap());
    let errors: Vec<Option<String>> = executions.map(|execution| execution.error).collect();
    assert_eq!(errors, vec![Some("NoSuchUser".to_owned()); 3]);
}

#[test]
fn a_scope_has_a_gate_of_its_own_without_a_runtime() {
    let [yes, no] = [true, false].map(|approves| {
        MockGate::new(move |_| {
            if approves {
                Answer::Approve
            } else {
                Answer::Reject("Not now.".to_owned())
            }
        })
    });
    let answers = yes.gate().scope_blocking(|| {
        let inner = no.gate().scope_blocking(|| blocking("db"));
        (inner, blocking("db"))
    });
    assert_eq!(answers, (REFUSED.to_owned(), "db".to_owned()));
    assert!(Proof::current().is_none());
}
