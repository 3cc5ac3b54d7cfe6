//! Callbacks: an agent that does not wait, and a sender whose signatures an independent library makes.

use std::process::Stdio;
use std::slice::from_ref;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use human_oversight_client::callback::Secret;
use human_oversight_client::types::{Claim, ExecutionStatus, Report};
use human_oversight_client::{Action, Client, Gate, Handle, Outcome, Reason};
use serde_json::{Value, json};
use time::OffsetDateTime;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::process::Command;
use tokio::sync::{Mutex, Notify};

use super::{DeleteUser, must_not_run, refusal, user};
use crate::deadline::within;
use crate::harness::{AGENT, ALICE, TestGate, repository};
use crate::operate::operate;

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// Why a callback ran nothing.
type Refused = (Reason, Option<ExecutionStatus>);

/// An agent with a web server, as the crate's README has it.
#[derive(Clone)]
struct Agent {
    gate: Gate,
    action: Action,
    stored: Arc<Mutex<Vec<Handle>>>,
    runs: Arc<AtomicU32>,
    refusals: Arc<Mutex<Vec<Refused>>>,
}

impl Agent {
    fn new(gate: &Gate) -> Self {
        let gate = gate.clone().callback_secret(SECRET).unwrap();
        Self {
            action: gate.action("Delete User Account"),
            gate,
            stored: Arc::default(),
            runs: Arc::default(),
            refusals: Arc::default(),
        }
    }

    async fn submit(&self) -> Handle {
        let handle = self.action.prepare();
        self.stored.lock().await.push(handle.clone());
        let pending = self.action.submit_as(handle, &user()).await.unwrap();
        pending.handle().clone()
    }

    /// Its web server's address.
    async fn serve(&self) -> String {
        let router = Router::new()
            .route("/", post(on_callback))
            .with_state(self.clone());
        serve(router).await
    }

    async fn refusals(&self) -> Vec<Refused> {
        std::mem::take(&mut *self.refusals.lock().await)
    }

    fn runs(&self) -> u32 {
        self.runs.load(Ordering::Relaxed)
    }
}

async fn on_callback(
    State(agent): State<Agent>,
    headers: HeaderMap,
    body: axum::body::Bytes,
) -> StatusCode {
    let Ok(callback) = agent.gate.on_callback(&headers, &body) else {
        return StatusCode::UNAUTHORIZED;
    };
    let stored = agent.stored.lock().await.clone();
    let Some(handle) = stored.into_iter().find(|it| it.id == callback.id) else {
        return StatusCode::NO_CONTENT;
    };
    let delete = async |_: &DeleteUser| {
        agent.runs.fetch_add(1, Ordering::Relaxed);
    };
    match agent.action.settle(handle, &user(), delete).await {
        None => StatusCode::SERVICE_UNAVAILABLE,
        Some(Outcome::Executed(())) => StatusCode::CREATED,
        Some(Outcome::Refused(refusal)) => {
            let seen = (refusal.reason, refusal.execution);
            agent.refusals.lock().await.push(seen);
            StatusCode::OK
        }
    }
}

async fn serve(router: Router) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async { axum::serve(listener, router).await });
    url
}

/// The body of a callback about this request, in which only the name is true.
fn body(handle: &Handle) -> String {
    let correlation_id = handle.id.split_once('.').unwrap().1;
    let data = json!({
        "agentName": AGENT, "correlationId": correlation_id, "sequence": 1, "status": "Approved", "state": "s",
    });
    json!({"type": "request.decided", "timestamp": "2026-11-28T10:00:00.000Z", "data": data})
        .to_string()
}

/// Delivers these bodies, signed by an independent library; returns the status of each answer.
async fn deliver(url: &str, secret: &str, bodies: &[String]) -> Vec<u16> {
    let python = repository().join(".tools/standardwebhooks/bin/python");
    assert!(
        python.is_file(),
        "standardwebhooks is not installed: run scripts/test once"
    );
    let mut sender = Command::new(python)
        .arg(repository().join("tests/standardwebhooks/send.py"))
        .args([url, secret])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut stdin = sender.stdin.take().unwrap();
    let lines = bodies.join("\n");
    stdin.write_all(lines.as_bytes()).await.unwrap();
    drop(stdin);
    let output = within(sender.wait_with_output()).await.unwrap();
    assert!(output.status.success());
    let statuses = String::from_utf8(output.stdout).unwrap();
    statuses.lines().map(|it| it.parse().unwrap()).collect()
}

#[tokio::test]
async fn a_request_that_nothing_waits_for_runs_once_when_its_callback_comes() {
    let gate = TestGate::start().await;
    let agent = Agent::new(&gate.gate());
    let url = agent.serve().await;
    let (handle, other) = (agent.submit().await, agent.submit().await);
    let about = body(&handle);
    // It claims a decision, and there is none.
    assert_eq!(deliver(&url, SECRET, from_ref(&about)).await, [503]);
    gate.approve(&gate.status(&handle.id).await, ALICE).await;
    let strangers = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    assert_eq!(deliver(&url, strangers, from_ref(&about)).await, [401]);
    assert!(gate.status(&handle.id).await.execution.is_none());
    let unknown = about.replace(&handle.id[handle.id.len() - 8..], "00000000");
    let deliveries = [about.clone(), about, unknown, body(&other)];
    let answers = deliver(&url, SECRET, &deliveries).await;
    assert_eq!(answers, [201, 200, 204, 503]);
    let used = (Reason::Used, Some(ExecutionStatus::Executed));
    assert_eq!(agent.refusals().await, [used]);
    assert_eq!(agent.runs(), 1);
    let execution = gate.status(&handle.id).await.execution.unwrap();
    assert_eq!(execution.status, ExecutionStatus::Executed);
}

#[tokio::test]
async fn a_callback_of_a_request_that_is_not_approved_runs_nothing() {
    let gate = TestGate::start().await;
    let agent = Agent::new(&gate.gate());
    let url = agent.serve().await;
    let rejected = agent.submit().await;
    let approval = gate.status(&rejected.id).await;
    gate.reject(&approval, ALICE, "No.").await;
    let withdrawn = agent.submit().await;
    let pending = agent.action.resume(withdrawn.clone());
    pending.withdraw().await.unwrap();
    let revoked = agent.submit().await;
    gate.approve(&gate.status(&revoked.id).await, ALICE).await;
    let command = json!({"command": "revoke", "id": revoked.id});
    operate(&gate, command).await;
    let lapsed = agent.submit().await;
    gate.approve(&gate.status(&lapsed.id).await, ALICE).await;
    gate.pass(std::time::Duration::from_secs(16 * 60));
    let expired = agent.submit().await;
    gate.pass(std::time::Duration::from_secs(2 * 3_600));
    let bodies = [&rejected, &withdrawn, &revoked, &lapsed, &expired].map(body);
    assert_eq!(deliver(&url, SECRET, &bodies).await, [200; 5]);
    let reasons = [
        Reason::Rejected,
        Reason::Cancelled,
        Reason::Revoked,
        Reason::Timeout,
        Reason::Timeout,
    ];
    assert_eq!(agent.refusals().await, reasons.map(|it| (it, None)));
    assert_eq!(agent.runs(), 0);
}

#[tokio::test]
async fn while_the_gate_is_away_or_paused_nothing_is_settled_and_a_later_callback_runs_it() {
    let gate = TestGate::start().await;
    let agent = Agent::new(&gate.gate());
    let handle = agent.submit().await;
    gate.approve(&gate.status(&handle.id).await, ALICE).await;
    let away = Gate::new(Client::new("http://127.0.0.1:1", None).unwrap());
    let away = away.agent(AGENT).approvers([ALICE]);
    let action = away.action("Delete User Account");
    let settled = action.settle(handle.clone(), &user(), must_not_run).await;
    assert_eq!(refusal(settled.unwrap()).reason, Reason::Unavailable);
    operate(&gate, json!({"command": "pause", "because": "x"})).await;
    let user = user();
    let settle = |handle| {
        agent
            .action
            .settle(handle, &user, async |_| "ran".to_owned())
    };
    let settled = settle(handle.clone()).await;
    assert_eq!(refusal(settled.unwrap()).reason, Reason::Paused);
    operate(&gate, json!({"command": "resume"})).await;
    let settled = settle(handle).await;
    assert_eq!(settled, Some(Outcome::Executed("ran".to_owned())));
}

/// A gate that is away when it is asked for a status for the first time, for a quarter of an hour, as it says; and
/// that notifies the test then.
async fn away_at_first(gate: &TestGate) -> (Gate, Arc<Notify>) {
    let asked = Arc::new(Notify::new());
    let is_first = Arc::new(std::sync::atomic::AtomicBool::new(true));
    let (client, notify) = (gate.client.clone(), asked.clone());
    let status = move |State(client): State<Client>, Path(id): Path<String>| async move {
        if is_first.swap(false, Ordering::Relaxed) {
            notify.notify_one();
            let retry_after = [("retry-after", "900")];
            return (StatusCode::SERVICE_UNAVAILABLE, retry_after).into_response();
        }
        let status = client.status(&id, std::time::Duration::ZERO).await;
        Json(status.unwrap().0).into_response()
    };
    let keys = async |State(client): State<Client>| Json(client.keys().await.unwrap());
    let router = Router::new()
        .route("/api/status/{id}", get(status))
        .route("/api/keys", get(keys))
        .route("/api/claim/{id}", post(claim))
        .route("/api/outcome/{id}", post(outcome))
        .with_state(client);
    let client = Client::new(&serve(router).await, None).unwrap();
    let away = Gate::new(client).agent(AGENT).approvers([ALICE]);
    (away.callback_secret(SECRET).unwrap(), asked)
}

async fn claim(
    State(client): State<Client>,
    Path(id): Path<String>,
    Json(claim): Json<Claim>,
) -> Response {
    Json(client.claim(&id, &claim).await.unwrap()).into_response()
}

async fn outcome(
    State(client): State<Client>,
    Path(id): Path<String>,
    Json(report): Json<Report>,
) -> Response {
    Json(client.outcome(&id, &report).await.unwrap()).into_response()
}

#[tokio::test]
async fn a_callback_wakes_what_waits_for_its_request_in_the_same_process() {
    let gate = TestGate::start().await;
    let handle = Agent::new(&gate.gate()).submit().await;
    gate.approve(&gate.status(&handle.id).await, ALICE).await;
    let (away, asked) = away_at_first(&gate).await;
    let resumed = away.action("Delete User Account").resume(handle.clone());
    let waiting = tokio::spawn(async move { resumed.run(&user(), async |_| "ran").await });
    within(asked.notified()).await;
    let secret = Secret::parse(SECRET).unwrap();
    let now = OffsetDateTime::now_utc().unix_timestamp().to_string();
    let body = body(&handle);
    let signature = secret.sign("1", &now, body.as_bytes());
    let headers = [
        ("webhook-id", "1"),
        ("webhook-timestamp", &now),
        ("webhook-signature", &signature),
    ];
    away.on_callback(headers, &body).unwrap();
    // Sooner than the quarter of an hour.
    let outcome = within(waiting).await.unwrap();
    assert_eq!(outcome, Outcome::Executed("ran"));
}

#[tokio::test]
async fn the_vectors_are_what_an_independent_library_signs() {
    let vectors = include_str!("../../../conformance/callbacks.json");
    let vectors: Value = serde_json::from_str(vectors).unwrap();
    let cases = vectors["cases"].as_array().unwrap().iter();
    let cases: Vec<&Value> = cases
        .filter(|case| case["result"] == "verified" && case["headers"]["webhook-id"].is_string())
        .collect();
    assert!(cases.len() >= 6, "{}", cases.len());
    let script = "import json, sys; from datetime import datetime, timezone; from standardwebhooks import Webhook\n\
        webhook = Webhook(sys.argv[1])\n\
        for case in json.loads(sys.argv[2]):\n\
        \x20   at = datetime.fromtimestamp(int(case['headers']['webhook-timestamp']), timezone.utc)\n\
        \x20   print(webhook.sign(case['headers']['webhook-id'], at, case['body']))";
    let python = repository().join(".tools/standardwebhooks/bin/python");
    let signing = Command::new(python)
        .args(["-c", script, vectors["secret"].as_str().unwrap()])
        .arg(json!(cases).to_string())
        .output();
    let output = within(signing).await.unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let signed = String::from_utf8(output.stdout).unwrap();
    for (case, signature) in cases.iter().zip(signed.lines()) {
        let signatures = case["headers"]["webhook-signature"].as_str().unwrap();
        assert!(
            signatures.split(' ').any(|it| it == signature),
            "{}",
            case["name"]
        );
    }
    assert_eq!(signed.lines().count(), cases.len());
}
