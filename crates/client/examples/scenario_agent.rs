//! The agent of `conformance/run.py`: see `conformance/README.md`.

use std::io::{self, BufRead};
use std::process;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use human_oversight_client::types::{Approval, NewApproval, Status};
use human_oversight_client::{Action, Gate, Handle, Outcome, Pending, Reason, Refusal, flush};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::Notify;

/// The first line of the standard input.
#[derive(Clone, Deserialize)]
struct Order {
    #[serde(flatten)]
    request: NewApproval,
    copies: usize,
    fails: Option<String>,
    handle: Option<Handle>,
}

/// A further line of it, where the request names a callback.
#[derive(Deserialize)]
struct Line {
    callback: Call,
}

/// What the agent's web server gets.
#[derive(Deserialize)]
struct Call {
    headers: Vec<(String, String)>,
    body: String,
}

#[tokio::main]
async fn main() {
    let order: Order = serde_json::from_str(&read_line()).expect("an order");
    let has_callback = order.request.callback.is_some();
    let cancel = Arc::new(Notify::new());
    let agents = match Gate::from_env() {
        Ok(gate) => (0..order.copies)
            .map(|_| tokio::spawn(run(gate.clone(), order.clone())))
            .collect(),
        Err(error) => {
            tell_refusal(&error.into());
            Vec::new()
        }
    };
    let aborts: Vec<_> = agents.iter().map(|agent| agent.abort_handle()).collect();
    let cancelled = cancel.clone();
    if !has_callback {
        std::thread::spawn(move || {
            if !read_line().is_empty() {
                cancelled.notify_one();
            }
        });
    }
    tokio::spawn(async move {
        cancel.notified().await;
        aborts.iter().for_each(|agent| agent.abort());
    });
    let mut is_cancelled = false;
    for agent in agents {
        is_cancelled |= agent.await.is_err();
    }
    if is_cancelled {
        tell(json!({"event": "end", "outcome": "cancelled"}));
    }
    flush().await;
    // A thread still reads the standard input.
    process::exit(0);
}

async fn run(gate: Gate, order: Order) {
    if let Err(refusal) = run_or_refuse(gate, order).await {
        tell_refusal(&refusal);
    }
}

async fn run_or_refuse(gate: Gate, order: Order) -> Result<(), Refusal> {
    let Order { request, fails, .. } = order;
    let votes = Mutex::new(None);
    let mut action = gate
        .clone()
        .agent(request.agent_name)
        .action(request.action_description)
        .approvers(request.approver_emails)
        .on_pending(move |approval| tell_progress(approval, &votes));
    if let Some(seconds) = request.timeout_seconds {
        action = action.timeout(Duration::from_secs(seconds.into()));
    }
    if let Some(id) = request.supersedes {
        action = action.supersedes(id);
    }
    let parameters = Value::Object(request.parameters);
    if let Some(callback) = request.callback {
        let action = action.callback(callback);
        return await_callback(&gate, &action, order.handle, &parameters).await;
    }
    let pending = submit(&action, order.handle, &parameters).await?;
    if is_pending(&pending) {
        tell(json!({"event": "pending", "handle": pending.handle()}));
    }
    let permit = pending.claim(&parameters).await?;
    tell(json!({"event": "ran", "parameters": parameters}));
    let comment = permit.proof().comment.clone();
    match fails {
        None => {
            permit.executed().await;
            tell(json!({"event": "end", "outcome": "executed", "comment": comment}));
        }
        Some(error) => {
            permit.failed(error).await;
            tell(json!({"event": "end", "outcome": "failed"}));
        }
    }
    Ok(())
}

/// Submits the request, unless it was before, and settles it when a callback is about it.
async fn await_callback(
    gate: &Gate,
    action: &Action,
    stored: Option<Handle>,
    parameters: &Value,
) -> Result<(), Refusal> {
    let handle = match stored {
        Some(handle) => handle,
        None => {
            let pending = action.submit_as(action.prepare(), parameters).await?;
            tell(json!({"event": "pending", "handle": pending.handle()}));
            pending.handle().clone()
        }
    };
    loop {
        let line = tokio::task::spawn_blocking(read_line).await;
        let Line { callback: call } =
            serde_json::from_str(&line.expect("a line")).expect("a callback");
        let result = match gate.on_callback(call.headers, call.body) {
            Err(_) => "not-verified",
            Ok(callback) if callback.id != handle.id => "unknown",
            Ok(_) => match settle(action, handle.clone(), parameters).await {
                None => "undecided",
                Some(outcome) => {
                    tell(json!({"event": "callback", "result": "settled"}));
                    return outcome.into_result();
                }
            },
        };
        tell(json!({"event": "callback", "result": result}));
    }
}

async fn settle(action: &Action, handle: Handle, parameters: &Value) -> Option<Outcome<()>> {
    let run = async |parameters| tell(json!({"event": "ran", "parameters": parameters}));
    let outcome = action.settle(handle, parameters, run).await;
    if let Some(Outcome::Executed(())) = outcome {
        tell(json!({"event": "end", "outcome": "executed"}));
    }
    outcome
}

async fn submit(
    action: &Action,
    handle: Option<Handle>,
    parameters: &Value,
) -> Result<Pending, Refusal> {
    match handle {
        Some(handle) => action.submit_as(handle, parameters).await,
        None => action.submit(parameters).await,
    }
}

fn is_pending(pending: &Pending) -> bool {
    let approval = pending.approval();
    approval.is_some_and(|approval| approval.status == Status::Pending)
}

/// Tells how many votes there are, if that has changed.
fn tell_progress(approval: &Approval, told: &Mutex<Option<(usize, usize)>>) {
    let Some(progress) = &approval.progress else {
        return;
    };
    let votes = (progress.given, progress.needed);
    if told.lock().unwrap().replace(votes) != Some(votes) {
        tell(json!({"event": "progress", "given": votes.0, "needed": votes.1}));
    }
}

fn tell_refusal(refusal: &Refusal) {
    tell(json!({
        "event": "end", "outcome": "refused", "reason": word(refusal.reason), "text": refusal.to_string(),
        "question": refusal.question(), "id": refusal.id(),
    }));
}

/// The word of a reason: its name in lower case, with hyphens.
fn word(reason: Reason) -> String {
    let mut word = String::new();
    for letter in format!("{reason:?}").chars() {
        if letter.is_uppercase() && !word.is_empty() {
            word.push('-');
        }
        word.extend(letter.to_lowercase());
    }
    word
}

#[expect(clippy::print_stdout, reason = "what the agent reports to `run.py`")]
fn tell(event: Value) {
    println!("{event}");
}

fn read_line() -> String {
    let mut line = String::new();
    io::stdin()
        .lock()
        .read_line(&mut line)
        .expect("the standard input can be read");
    line
}
