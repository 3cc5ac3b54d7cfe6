//! `docs/http.md`: its agents and its calls, before a real gate.

use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use human_oversight_client::types::{Approval, ExecutionStatus, Status};
use reqwest::StatusCode;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio::sync::OnceCell;

use crate::client::door_in_the_middle;
use crate::deadline::{eventually, within};
use crate::harness::{ALICE, TestGate, repository};
use crate::host::KEY;

/// Characters that languages write in different ways.
const USER: &str = "1 é€😀 \"\\/\u{7f}\u{2028}\n\t";

#[derive(Clone, Copy, Debug, PartialEq)]
enum Agent {
    Python,
    TypeScript,
}

const AGENTS: [Agent; 2] = [Agent::Python, Agent::TypeScript];

impl Agent {
    /// With a folder to keep its request in.
    async fn start(self, gate: &str, folder: &Path) -> Child {
        let mut command = match self {
            Self::Python => Command::new("python3"),
            Self::TypeScript => Command::new("node"),
        };
        command
            .arg(match self {
                Self::Python => repository().join("examples/http/agent.py"),
                Self::TypeScript => compiled().await.join("agent.js"),
            })
            .arg(USER)
            .current_dir(folder)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("HO_URL", gate)
            .env("HO_KEY", KEY)
            .env("APPROVER_EMAILS", ALICE)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap()
    }
}

/// The agent in TypeScript, checked and without its types, as Node 20 runs it.
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
            // Newer versions of Node run the file as it is.
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

/// An agent that has asked.
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
        Self::before(gate, &url, agent).await
    }

    /// It asks at another door than the gate's own.
    async fn before(gate: TestGate, url: &str, agent: Agent) -> Self {
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

    /// What it printed, and how the request stands.
    async fn end(self) -> (TestGate, TempDir, String, Approval) {
        let output = within(self.process.wait_with_output()).await.unwrap();
        let printed = printed(&output);
        let stands = self.gate.status(&self.approval.id).await;
        (self.gate, self.folder, printed, stands)
    }
}

fn printed(output: &Output) -> String {
    let printed = String::from_utf8(output.stdout.clone()).unwrap();
    assert!(output.status.success(), "{output:?}");
    printed
}

/// What it keeps for the time of a request.
fn kept(folder: &TempDir) -> Vec<PathBuf> {
    let files = std::fs::read_dir(folder.path()).unwrap();
    files.map(|file| file.unwrap().path()).collect()
}

#[tokio::test]
async fn approved_they_run_once_and_report() {
    for agent in AGENTS {
        let mut waiting = Waiting::start(agent).await;
        let [file] = &kept(&waiting.folder)[..] else {
            panic!("it keeps its name and its secret")
        };
        let secret = std::fs::read(file).unwrap();
        let mode = std::os::unix::fs::PermissionsExt::mode(&file.metadata().unwrap().permissions());
        assert_eq!(mode & 0o777, 0o600);
        // The process ends, and another one goes on.
        waiting.process.kill().await.unwrap();
        let (url, folder) = (waiting.gate.url.clone(), waiting.folder.path());
        waiting.process = agent.start(&url, folder).await;
        let (file, id) = (file.clone(), waiting.approval.id.clone());
        waiting.gate.approve(&waiting.approval, ALICE).await;
        let (gate, folder, printed, stands) = waiting.end().await;
        assert_eq!(printed, format!("User {USER} deleted.\n"), "{agent:?}");
        let execution = stands.execution.unwrap();
        assert_eq!(execution.status, ExecutionStatus::Executed);
        assert_eq!((gate.stored().await.len(), gate.mails().len()), (1, 1));
        assert!(kept(&folder).is_empty());

        // As if it had died after it ran: the same approval runs nothing again.
        std::fs::write(&file, secret).unwrap();
        let again = agent.start(&gate.url, folder.path()).await;
        let printed = self::printed(&again.wait_with_output().await.unwrap());
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

#[tokio::test]
async fn rejected_they_do_not_run_and_say_why() {
    for agent in AGENTS {
        let waiting = Waiting::start(agent).await;
        waiting
            .gate
            .reject(&waiting.approval, ALICE, "Ask Legal first")
            .await;
        let (_, folder, printed, stands) = waiting.end().await;
        let why = format!("Rejected by {ALICE}: Ask Legal first\n");
        assert!(
            printed.starts_with("DENIED: ") && printed.ends_with(&why),
            "{printed}"
        );
        assert_eq!(stands.status, Status::Rejected);
        assert!(kept(&folder).is_empty());
    }
}

#[tokio::test]
async fn expired_they_do_not_run_and_settle_it() {
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
async fn a_gate_that_stumbles_is_asked_again() {
    for agent in AGENTS {
        let gate = TestGate::start().await;
        // Loses the first answer to each kind of call after the gate has given it.
        let lost = Arc::new([const { AtomicU32::new(0) }; 4]);
        let url = door_in_the_middle(
            &gate,
            |_, body| body,
            move |path, status, body| {
                let calls = ["submit", "status", "claim", "outcome"];
                let call = calls.iter().position(|call| path.contains(call));
                match call.is_some_and(|call| lost[call].fetch_add(1, Ordering::SeqCst) == 0) {
                    true => (StatusCode::BAD_GATEWAY, Vec::new()),
                    false => (status, body),
                }
            },
        );
        let url = url.await;
        let waiting = Waiting::before(gate, &url, agent).await;
        waiting.gate.approve(&waiting.approval, ALICE).await;
        let (gate, _, printed, stands) = waiting.end().await;
        assert_eq!(printed, format!("User {USER} deleted.\n"), "{agent:?}");
        assert_eq!(stands.execution.unwrap().status, ExecutionStatus::Executed);
        assert_eq!((gate.stored().await.len(), gate.mails().len()), (1, 1));
    }
}

#[tokio::test]
async fn an_answer_that_is_no_yes_to_this_runs_nothing() {
    let other = "0".repeat(64);
    for (member, lie, sees_it) in [
        ("parametersDigest", json!(other), &[Agent::Python][..]),
        ("status", json!("approved"), &AGENTS),
        ("execution", json!({"status": "Executed"}), &AGENTS),
        ("correlationId", json!("another"), &[Agent::Python]),
        ("id", json!("YQ.b"), &[Agent::TypeScript]),
        // Only who checks the signature sees these.
        ("receipt", json!("e30.e30.e30"), &[Agent::TypeScript]),
        ("receipt", Value::Null, &[Agent::TypeScript]),
    ] {
        for agent in sees_it {
            let gate = TestGate::start().await;
            let lie = lie.clone();
            let url = door_in_the_middle(
                &gate,
                |_, body| body,
                move |path, status, body| {
                    if !path.contains("/claim/") {
                        return (status, body);
                    }
                    let mut answer: Value = serde_json::from_slice(&body).unwrap();
                    answer[member] = lie.clone();
                    (status, answer.to_string().into_bytes())
                },
            );
            let url = url.await;
            let waiting = Waiting::before(gate, &url, *agent).await;
            waiting.gate.approve(&waiting.approval, ALICE).await;
            let (_, _, printed, stands) = waiting.end().await;
            assert!(
                printed.starts_with("DENIED: "),
                "{member} {agent:?}: {printed}"
            );
            let execution = stands.execution.unwrap().status;
            assert_eq!(
                execution,
                ExecutionStatus::ExecutionFailed,
                "{member} {agent:?}"
            );
        }
    }
}

#[tokio::test]
async fn the_receipt_of_another_decision_runs_nothing() {
    let gate = TestGate::start().await;
    let receipt = Arc::new(OnceLock::new());
    let genuine = receipt.clone();
    let url = door_in_the_middle(
        &gate,
        |_, body| body,
        move |path, status, body| {
            let mut answer: Value = serde_json::from_slice(&body).unwrap();
            if path.contains("/claim/") {
                answer["receipt"] = json!(genuine.get());
            }
            (status, answer.to_string().into_bytes())
        },
    );
    let url = url.await;
    let waiting = Waiting::before(gate, &url, Agent::TypeScript).await;
    let gate = &waiting.gate;
    let another = gate.ask().await;
    gate.approve(&another, ALICE).await;
    let another = gate.status(&another.id).await;
    receipt.set(another.receipt.unwrap()).unwrap();
    gate.approve(&waiting.approval, ALICE).await;
    let (_, _, printed, _) = waiting.end().await;
    assert!(printed.starts_with("DENIED: "), "{printed}");
}

#[test]
fn the_page_shows_the_agents_as_they_are() {
    let page = include_str!("../../docs/http.md");
    for (language, source) in [
        ("python", include_str!("../../examples/http/agent.py")),
        ("ts", include_str!("../../examples/http/agent.ts")),
    ] {
        let block = format!("\n```{language}\n{source}```\n");
        assert!(
            page.contains(&block),
            "docs/http.md has another agent in {language}"
        );
    }
}

/// All of the page's calls, one after the other, and a person who answers.
#[tokio::test]
async fn every_call_of_the_page_is_answered_as_it_says() {
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
    let people = async {
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
    let output = within(async { tokio::join!(run, people).0.unwrap() }).await;
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
        (200, &[r#""status":"Executing""#, r#""receipt":"ey"#]),
        (
            200,
            &[r#""status":"ExecutionFailed""#, "the mailbox is on hold"],
        ),
        (202, &[r#""status":"Pending""#]),
        (200, &[r#""status":"Cancelled""#]),
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
