//! `docs/http.md`: its example agents and its calls, with a real gate.

mod vectors;

use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use human_oversight_client::types::{Approval, ExecutionStatus, KeySet, Status};
use human_oversight_protocol::parameters::{hex, sha256};
use reqwest::StatusCode;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio::sync::OnceCell;

use crate::claim::claim;
use crate::client::intercepting_url;
use crate::client::permits::Recorder;
use crate::deadline::{eventually, within};
use crate::hand_over::{LIST, hand_over};
use crate::harness::{ALICE, BOB, TestGate, repository};
use crate::host::KEY;

/// Characters that programming languages escape differently.
const USER: &str = "1 é€😀 \"\\/\u{7f}\u{2028}\n\t";

#[derive(Clone, Copy, Debug, PartialEq)]
enum Agent {
    Python,
    TypeScript,
}

const AGENTS: [Agent; 2] = [Agent::Python, Agent::TypeScript];

impl Agent {
    /// Starts the agent; `folder` stores its pending request.
    async fn start(self, gate: &str, folder: &Path) -> Child {
        self.start_for(USER, gate, folder).await
    }

    async fn start_for(self, user: &str, gate: &str, folder: &Path) -> Child {
        let mut command = match self {
            Self::Python => Command::new("python3"),
            Self::TypeScript => Command::new("node"),
        };
        command
            .arg(match self {
                Self::Python => repository().join("examples/http/agent.py"),
                Self::TypeScript => compiled().await.join("agent.js"),
            })
            .arg(user)
            .current_dir(folder)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("HO_URL", format!("{gate}/api/"))
            .env("HO_KEY", KEY)
            .env("APPROVER_EMAILS", " alice@Example.com , ")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap()
    }
}

/// The TypeScript agent, type-checked and compiled for Node 20.
async fn compiled() -> &'static Path {
    static COMPILED: OnceCell<TempDir> = OnceCell::const_new();
    let compile = || async {
        let tools = repository().join(".tools/typescript");
        assert!(
            tools.join("installed").is_file(),
            "TypeScript is not installed: run scripts/test once"
        );
        let folder = tempfile::tempdir().unwrap();
        let run = Command::new("node")
            .arg(tools.join("node_modules/typescript/bin/tsc"))
            .args(["--strict", "--noUncheckedIndexedAccess"])
            // Newer versions of Node run the TypeScript file.
            .args(["--erasableSyntaxOnly", "--target", "es2022"])
            .args(["--module", "nodenext", "--types", "node", "--typeRoots"])
            .arg(tools.join("node_modules/@types"))
            .arg("--outDir")
            .arg(folder.path())
            .arg(repository().join("examples/http/agent.ts"))
            .kill_on_drop(true)
            .output();
        let run = within(run).await.unwrap();
        assert!(run.status.success(), "{run:?}");
        folder
    };
    COMPILED.get_or_init(compile).await.path()
}

/// An agent that has submitted a request.
struct Waiting {
    gate: TestGate,
    folder: TempDir,
    process: Child,
    approval: Approval,
}

impl Waiting {
    async fn start(agent: Agent) -> Self {
        let gate = TestGate::start().await;
        let url = gate.url.clone();
        Self::start_at(gate, &url, agent).await
    }

    /// The agent calls the gate at `url`, which may be a proxy.
    async fn start_at(gate: TestGate, url: &str, agent: Agent) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let process = agent.start(url, folder.path()).await;
        let approval = gate.first_pending().await;
        Self {
            gate,
            folder,
            process,
            approval,
        }
    }

    /// Waits for the agent's end; returns its output and the request.
    async fn end(self) -> (TestGate, TempDir, String, Approval) {
        let output = within(self.process.wait_with_output()).await.unwrap();
        let printed = printed(&output);
        let approval = self.gate.status(&self.approval.id).await;
        (self.gate, self.folder, printed, approval)
    }
}

fn printed(output: &Output) -> String {
    let printed = String::from_utf8(output.stdout.clone()).unwrap();
    assert!(output.status.success(), "{output:?}");
    printed
}

/// The files that the agent stores for its pending request.
fn stored_files(folder: &TempDir) -> Vec<PathBuf> {
    let files = std::fs::read_dir(folder.path()).unwrap();
    files.map(|file| file.unwrap().path()).collect()
}

#[tokio::test]
async fn approved_agents_run_once_and_report() {
    for agent in AGENTS {
        let mut waiting = Waiting::start(agent).await;
        let [file] = &stored_files(&waiting.folder)[..] else {
            panic!("the agent stores one file with id and secret")
        };
        let secret = std::fs::read(file).unwrap();
        let mode = std::os::unix::fs::PermissionsExt::mode(&file.metadata().unwrap().permissions());
        assert_eq!(mode & 0o777, 0o600);
        // Another process resumes the request.
        waiting.process.kill().await.unwrap();
        let (url, folder) = (waiting.gate.url.clone(), waiting.folder.path());
        waiting.process = agent.start(&url, folder).await;
        let (file, id) = (file.clone(), waiting.approval.id.clone());
        waiting.gate.approve(&waiting.approval, ALICE).await;
        let (gate, folder, printed, approval) = waiting.end().await;
        assert_eq!(printed, format!("User {USER} deleted.\n"), "{agent:?}");
        let execution = approval.execution.unwrap();
        assert_eq!(execution.status, ExecutionStatus::Executed);
        assert_eq!((gate.stored().await.len(), gate.mails().len()), (1, 1));
        assert!(stored_files(&folder).is_empty());

        // As after a crash between the action and the clean-up: the used approval runs nothing.
        std::fs::write(&file, secret).unwrap();
        let again = agent.start(&gate.url, folder.path()).await;
        let printed = self::printed(&within(again.wait_with_output()).await.unwrap());
        assert!(
            printed.starts_with("DENIED: ") && printed.contains("Executed"),
            "{printed}"
        );
        assert_eq!(
            gate.status(&id).await.execution.unwrap().status,
            execution.status
        );
    }
}

/// The agents name Alice.
#[tokio::test]
async fn approvals_by_others_count_where_a_policy_or_a_hand_over_says_so() {
    let rule = |effect: &str| {
        format!(
            "version = 1\n[groups]\nleads = [\"{BOB}\"]\n[[rule]]\nid = \"deletions\"\nactions = [\"Delete *\"]\n{effect}"
        )
    };
    let leads = rule("effect = \"require\"\nstages = [{ from = \"leads\" }]");
    let itself = rule("effect = \"approve\"\nwhen = [{ parameter = \"/user_id\", is = \"1\" }]");
    let (leads, itself) = (("HO_POLICY", &*leads), ("HO_POLICY", &*itself));
    for (setting, agent) in [leads, itself, LIST]
        .into_iter()
        .flat_map(|setting| AGENTS.map(|agent| (setting, agent)))
    {
        let gate = TestGate::with(&[setting]).await;
        let folder = tempfile::tempdir().unwrap();
        // No rule approves what misleads.
        let process = agent.start_for("1", &gate.url, folder.path()).await;
        if setting != itself {
            let approval = gate.first_pending().await;
            if setting == LIST {
                hand_over(&gate, &approval, ALICE, BOB).await;
                eventually(async || gate.mails().into_iter().find(|mail| mail.to == BOB)).await;
            }
            gate.approve(&approval, BOB).await;
        }
        let printed = printed(&within(process.wait_with_output()).await.unwrap());
        assert_eq!(printed, "User 1 deleted.\n", "{agent:?}, {setting:?}");
    }
}

#[tokio::test]
async fn rejected_agents_do_not_run_and_print_the_reason() {
    let comments = ["Ask Legal first", ""].into_iter();
    for (agent, comment) in comments.flat_map(|comment| AGENTS.map(|agent| (agent, comment))) {
        let waiting = Waiting::start(agent).await;
        let (gate, approval) = (&waiting.gate, &waiting.approval);
        gate.reject(approval, ALICE, comment).await;
        let (_, folder, printed, approval) = waiting.end().await;
        // Without a comment, no `None` and no `null` stands in its place.
        let why = match comment {
            "" => format!("Rejected by {ALICE}\n"),
            comment => format!("Rejected by {ALICE}: {comment}\n"),
        };
        assert!(
            printed.starts_with("DENIED: ") && printed.ends_with(&why),
            "{printed}"
        );
        assert_eq!(approval.status, Status::Rejected);
        assert!(stored_files(&folder).is_empty());
    }
}

#[tokio::test]
async fn expired_agents_do_not_run_and_store_the_timeout() {
    for agent in AGENTS {
        let waiting = Waiting::start(agent).await;
        waiting.gate.pass(Duration::from_secs(86_400));
        let id = waiting.approval.id.clone();
        let (gate, _, printed, _) = waiting.end().await;
        assert!(
            printed.starts_with("DENIED: ") && printed.contains("Timeout"),
            "{printed}"
        );
        assert_eq!(gate.entity(&id).await["Status"], "Timeout");
    }
}

#[tokio::test]
async fn lost_responses_are_retried() {
    for agent in AGENTS {
        let gate = TestGate::start().await;
        // The first response to each kind of call is lost after the gate has sent it.
        let lost = Arc::new([const { AtomicU32::new(0) }; 4]);
        let url = intercepting_url(
            &gate,
            |_, body| body,
            move |path, status, body| {
                let calls = ["submit", "status", "claim", "outcome"];
                let call = calls.iter().position(|call| path.contains(call));
                if call.is_some_and(|call| lost[call].fetch_add(1, Ordering::SeqCst) == 0) {
                    (StatusCode::BAD_GATEWAY, Vec::new())
                } else {
                    (status, body)
                }
            },
        );
        let url = url.await;
        let waiting = Waiting::start_at(gate, &url, agent).await;
        waiting.gate.approve(&waiting.approval, ALICE).await;
        let (gate, _, printed, approval) = waiting.end().await;
        assert_eq!(printed, format!("User {USER} deleted.\n"), "{agent:?}");
        assert_eq!(
            approval.execution.unwrap().status,
            ExecutionStatus::Executed
        );
        assert_eq!((gate.stored().await.len(), gate.mails().len()), (1, 1));
    }
}

#[tokio::test]
async fn keys_that_are_replaced_while_people_decide_count() {
    for agent in AGENTS {
        let (gate, before) = (TestGate::start().await, TestGate::start().await);
        let former = KeySet {
            keys: before.client.keys().await.unwrap().keys,
            ..gate.client.keys().await.unwrap()
        };
        let former = serde_json::to_vec(&former).unwrap();
        let is_replaced = Arc::new(AtomicBool::new(false));
        let url = intercepting_url(
            &gate,
            |_, body| body,
            move |path, status, body| {
                let is_early = path == "/api/keys" && !is_replaced.swap(true, Ordering::SeqCst);
                (status, if is_early { former.clone() } else { body })
            },
        )
        .await;
        let waiting = Waiting::start_at(gate, &url, agent).await;
        waiting.gate.approve(&waiting.approval, ALICE).await;
        let (_gate, folder, printed, _) = waiting.end().await;
        assert_eq!(printed, format!("User {USER} deleted.\n"), "{agent:?}");
        assert!(stored_files(&folder).is_empty(), "{agent:?}");
    }
}

#[tokio::test]
async fn agents_give_up_a_gate_that_never_responds_and_keep_their_request() {
    let give_up = async |agent: Agent| {
        let folder = tempfile::tempdir().unwrap();
        let started = Instant::now();
        let process = agent.start("http://127.0.0.1:1", folder.path()).await;
        let output = within(process.wait_with_output()).await.unwrap();
        let took = started.elapsed().as_secs();
        assert!((25..50).contains(&took), "{agent:?}: {took} s");
        let printed = printed(&output);
        assert!(
            printed.starts_with("DENIED: ") && printed.contains("No one was asked now"),
            "{agent:?}: {printed}"
        );
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(said.lines().count(), 1, "{agent:?}: {said}");
        assert!(said.contains("no one was asked"), "{agent:?}: {said}");
        assert_eq!(stored_files(&folder).len(), 1, "{agent:?}");
    };
    tokio::join!(give_up(Agent::Python), give_up(Agent::TypeScript));
}

#[tokio::test]
async fn three_calls_at_once_with_the_same_arguments_run_once() {
    for agent in AGENTS {
        let gate = TestGate::start().await;
        let submits = Arc::new(AtomicU32::new(0));
        let seen = submits.clone();
        let url = intercepting_url(
            &gate,
            |_, body| body,
            move |path, status, body| {
                if path.contains("submit") {
                    seen.fetch_add(1, Ordering::SeqCst);
                }
                (status, body)
            },
        )
        .await;
        let folder = tempfile::tempdir().unwrap();
        let mut processes = Vec::new();
        for _ in 0..3 {
            processes.push(agent.start(&url, folder.path()).await);
        }
        eventually(async || (submits.load(Ordering::SeqCst) == 3).then_some(())).await;
        let approval = gate.first_pending().await;
        assert_eq!(stored_files(&folder).len(), 1, "{agent:?}");
        gate.approve(&approval, ALICE).await;
        let mut refused = 0;
        for process in processes {
            let output = within(process.wait_with_output()).await.unwrap();
            let printed = printed(&output);
            if printed != format!("User {USER} deleted.\n") {
                let why = "DENIED: This call deleted no user. The request is Approved, and its execution Execut";
                assert!(printed.starts_with(why), "{agent:?}: {printed}");
                refused += 1;
            }
            assert!(output.stderr.is_empty(), "{agent:?}: {output:?}");
        }
        assert_eq!(refused, 2, "{agent:?}");
        assert_eq!((gate.stored().await.len(), gate.mails().len()), (1, 1));
        assert!(stored_files(&folder).is_empty(), "{agent:?}");
    }
}

#[tokio::test]
async fn a_paused_gate_refuses_for_now_and_the_approval_is_kept() {
    for agent in AGENTS {
        let gate = TestGate::start().await;
        // The pause begins after the submit and ends after one claim.
        let paused = Arc::new(AtomicU32::new(0));
        let url = intercepting_url(
            &gate,
            |_, body| body,
            move |path, status, body| {
                if !path.contains("/claim/") || paused.fetch_add(1, Ordering::SeqCst) > 0 {
                    return (status, body);
                }
                let problem = json!({
                    "type": "urn:human-oversight:problem:paused",
                    "detail": "The operator has paused them.",
                });
                (StatusCode::FORBIDDEN, problem.to_string().into_bytes())
            },
        )
        .await;
        let waiting = Waiting::start_at(gate, &url, agent).await;
        waiting.gate.approve(&waiting.approval, ALICE).await;
        let (_gate, folder, printed, _) = waiting.end().await;
        let why = "DENIED: This call deleted no user. The operator has paused them.\n";
        assert_eq!(printed, why, "{agent:?}");
        assert_eq!(stored_files(&folder).len(), 1, "{agent:?}");
    }
}

#[tokio::test]
async fn a_submit_that_no_retry_mends_is_made_once() {
    for (kind, status, kept) in [
        ("too-many", StatusCode::TOO_MANY_REQUESTS, 1),
        ("budget", StatusCode::TOO_MANY_REQUESTS, 1),
        ("integrity", StatusCode::INTERNAL_SERVER_ERROR, 0),
    ] {
        for agent in AGENTS {
            let gate = TestGate::start().await;
            let submits = Arc::new(AtomicU32::new(0));
            let seen = submits.clone();
            let answer = move |path: &str, passed, body| {
                if !path.ends_with("/submit") {
                    return (passed, body);
                }
                seen.fetch_add(1, Ordering::SeqCst);
                let kind = format!("urn:human-oversight:problem:{kind}");
                let problem = json!({"type": kind, "detail": "Not this one."});
                (status, problem.to_string().into_bytes())
            };
            let url = intercepting_url(&gate, |_, body| body, answer).await;
            let folder = tempfile::tempdir().unwrap();
            let process = agent.start(&url, folder.path()).await;
            let output = within(process.wait_with_output()).await.unwrap();
            let why = "DENIED: This call deleted no user. Not this one.\n";
            assert_eq!(printed(&output), why, "{agent:?} {kind}");
            assert_eq!(stored_files(&folder).len(), kept, "{agent:?} {kind}");
            assert_eq!(submits.load(Ordering::SeqCst), 1, "{agent:?} {kind}");
        }
    }
}

#[tokio::test]
async fn what_is_no_answer_of_a_gate_is_asked_again() {
    for agent in AGENTS {
        let gate = TestGate::start().await;
        let garbled = Arc::new(AtomicU32::new(0));
        let url = intercepting_url(
            &gate,
            |_, body| body,
            move |path, status, body| {
                if path.contains("/claim/") && garbled.fetch_add(1, Ordering::SeqCst) == 0 {
                    return (StatusCode::OK, b"<html>Please sign in".to_vec());
                }
                (status, body)
            },
        )
        .await;
        let waiting = Waiting::start_at(gate, &url, agent).await;
        waiting.gate.approve(&waiting.approval, ALICE).await;
        let (_, _, printed, _) = waiting.end().await;
        assert_eq!(printed, format!("User {USER} deleted.\n"), "{agent:?}");
    }
}

#[tokio::test]
async fn an_address_without_a_gate_is_a_settings_error_and_no_refusal() {
    let gate = TestGate::start().await;
    for agent in AGENTS {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("{}/elsewhere", gate.url);
        let process = agent.start(&url, folder.path()).await;
        let output = within(process.wait_with_output()).await.unwrap();
        assert!(!output.status.success(), "{agent:?}: {output:?}");
        assert!(output.stdout.is_empty(), "{agent:?}: {output:?}");
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains("404: there is no gate"), "{agent:?}: {said}");
    }
}

#[tokio::test]
async fn what_the_gate_refuses_an_agent_is_said_in_its_words() {
    let keys = format!("{}=Another Agent", hex(&sha256(KEY.as_bytes())));
    let gate = TestGate::with(&[("HO_AGENT_KEYS", &keys)]).await;
    for agent in AGENTS {
        let folder = tempfile::tempdir().unwrap();
        let process = agent.start(&gate.url, folder.path()).await;
        let output = within(process.wait_with_output()).await.unwrap();
        assert!(!output.status.success(), "{agent:?}: {output:?}");
        assert!(output.stdout.is_empty(), "{agent:?}: {output:?}");
        let said = String::from_utf8(output.stderr).unwrap();
        let words = "may not act for this agent (HO_AGENT_KEYS)";
        assert!(said.contains(words), "{agent:?}: {said}");
    }
}

#[tokio::test]
async fn an_altered_response_runs_nothing() {
    let other = "0".repeat(64);
    for (member, altered, agents) in [
        ("parametersDigest", json!(other), &[Agent::Python][..]),
        ("status", json!("approved"), &AGENTS),
        ("execution", json!({"status": "Executed"}), &AGENTS),
        ("correlationId", json!("another"), &[Agent::Python]),
        ("id", json!("YQ.b"), &[Agent::TypeScript]),
        ("receipt", json!("e30.e30.e30"), &AGENTS),
        ("receipt", Value::Null, &AGENTS),
        ("permit", json!("e30.e30.e30"), &AGENTS),
        ("permit", Value::Null, &AGENTS),
    ] {
        for agent in agents {
            let gate = TestGate::start().await;
            let altered = altered.clone();
            let url = intercepting_url(
                &gate,
                |_, body| body,
                move |path, status, body| {
                    if !path.contains("/claim/") {
                        return (status, body);
                    }
                    let mut answer: Value = serde_json::from_slice(&body).unwrap();
                    answer[member] = altered.clone();
                    (status, answer.to_string().into_bytes())
                },
            );
            let url = url.await;
            let waiting = Waiting::start_at(gate, &url, *agent).await;
            waiting.gate.approve(&waiting.approval, ALICE).await;
            let (_, _, printed, approval) = waiting.end().await;
            assert!(
                printed.starts_with("DENIED: "),
                "{member} {agent:?}: {printed}"
            );
            let execution = approval.execution.unwrap().status;
            assert_eq!(
                execution,
                ExecutionStatus::ExecutionFailed,
                "{member} {agent:?}"
            );
        }
    }
}

#[tokio::test]
async fn the_receipt_or_permit_of_another_claim_runs_nothing() {
    let cases = AGENTS.map(|agent| [(agent, "receipt"), (agent, "permit")]);
    for (agent, member) in cases.into_iter().flatten() {
        let gate = TestGate::start().await;
        let other_claim = Arc::new(OnceLock::<Value>::new());
        let other_answer = other_claim.clone();
        let url = intercepting_url(
            &gate,
            |_, body| body,
            move |path, status, body| {
                let mut answer: Value = serde_json::from_slice(&body).unwrap();
                if path.contains("/claim/") {
                    answer[member] = other_answer.get().unwrap()[member].clone();
                }
                (status, answer.to_string().into_bytes())
            },
        );
        let url = url.await;
        let waiting = Waiting::start_at(gate, &url, agent).await;
        let gate = &waiting.gate;
        let another = gate.ask().await;
        gate.approve(&another, ALICE).await;
        let nonce = claim("0123456789abcdef");
        let claimed = gate.client.claim(&another.id, &nonce).await.unwrap();
        other_claim
            .set(serde_json::to_value(claimed).unwrap())
            .unwrap();
        gate.approve(&waiting.approval, ALICE).await;
        let (_, _, printed, _) = waiting.end().await;
        assert!(
            printed.starts_with("DENIED: "),
            "{member} {agent:?}: {printed}"
        );
    }
}

#[tokio::test]
async fn recorded_answers_run_nothing_after_a_restart() {
    for agent in AGENTS {
        let gate = TestGate::start().await;
        let recorder = Recorder::default();
        let url = recorder.start(&gate).await;
        let waiting = Waiting::start_at(gate, &url, agent).await;
        let [file] = &stored_files(&waiting.folder)[..] else {
            panic!("the agent stores one file with id and secret")
        };
        let (file, stored) = (file.clone(), std::fs::read(file).unwrap());
        waiting.gate.approve(&waiting.approval, ALICE).await;
        let (gate, folder, printed, approval) = waiting.end().await;
        assert_eq!(printed, format!("User {USER} deleted.\n"), "{agent:?}");

        recorder.replay();
        std::fs::write(&file, stored).unwrap();
        let again = agent.start(&url, folder.path()).await;
        let printed = self::printed(&within(again.wait_with_output()).await.unwrap());
        assert!(
            printed.starts_with("DENIED: ") && printed.contains("jti"),
            "{agent:?}: {printed}"
        );
        assert_eq!(
            gate.status(&approval.id).await.execution,
            approval.execution
        );
    }
}

#[test]
fn the_page_contains_the_source_of_the_agents() {
    let page = include_str!("../../docs/http.md");
    for (language, source) in [
        ("python", include_str!("../../examples/http/agent.py")),
        ("ts", include_str!("../../examples/http/agent.ts")),
    ] {
        let block = format!("\n```{language}\n{source}```\n");
        assert!(
            page.contains(&block),
            "docs/http.md differs from the {language} agent"
        );
    }
}

/// Runs all calls of the page in order, while an approver decides.
#[tokio::test]
async fn every_documented_call_gets_the_documented_response() {
    let gate = TestGate::start().await;
    let page = include_str!("../../docs/http.md");
    let blocks: Vec<&str> = page
        .split("```sh\n")
        .skip(1)
        .map(|block| block.split_once("```").unwrap().0)
        .collect();
    let calls = blocks
        .concat()
        .replace("curl -sS ", "curl -sS -w '\\n%{http_code}\\n' ");
    let run = Command::new("sh")
        .args(["-euc", &calls])
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap())
        .env("HO_URL", &gate.url)
        .env("HO_KEY", KEY)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let approver = async {
        for name in ["http-1", "http-3"] {
            let id = format!("VXNlck1hbmFnZXJBZ2VudA.{name}");
            let asked = async || {
                gate.mails()
                    .iter()
                    .find(|mail| mail.text.contains(&id))
                    .map(drop)
            };
            eventually(asked).await;
            let approval = gate.status(&id).await;
            gate.approve(&approval, ALICE).await;
        }
    };
    let output = within(async { tokio::join!(run, approver).0.unwrap() }).await;
    assert!(output.status.success(), "{output:?}");
    let printed = String::from_utf8(output.stdout).unwrap();
    let mut answers = printed.lines();
    for (status, parts) in [
        (
            202,
            &[
                r#""status":"Pending""#,
                r#""id":"VXNlck1hbmFnZXJBZ2VudA.http-1""#,
            ][..],
        ),
        (200, &[r#""status":"Approved""#, r#""execution":null"#]),
        (
            200,
            &[
                r#""status":"Executing""#,
                r#""receipt":"ey"#,
                r#""permit":"ey"#,
            ],
        ),
        (
            200,
            &[r#""status":"ExecutionFailed""#, "the mailbox is on hold"],
        ),
        (202, &[r#""status":"Pending""#]),
        (200, &[r#""status":"Cancelled""#]),
        (202, &[r#""status":"Pending""#, "http-4"]),
        (200, &[r#""status":"Approved""#, r#""status":"Executing""#]),
        (422, &[]),
    ] {
        let (body, code) = (answers.next().unwrap(), answers.next().unwrap());
        assert_eq!(code, status.to_string(), "{printed}");
        for part in parts {
            assert!(body.contains(part), "{part} in {body}");
        }
        if status == 422 {
            let (_, shown) = page.split_once("```json\n").unwrap();
            let mut shown: Value =
                serde_json::from_str(shown.split_once("```").unwrap().0).unwrap();
            let problem: Value = serde_json::from_str(body).unwrap();
            shown["invocationId"] = problem["invocationId"].clone();
            assert_eq!(problem, shown);
        }
    }
}
