//! `human-oversight ask`: the real program against a real gate, and an approver who decides.

mod ignored;
mod not_submitted;
mod trust;

use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use human_oversight_client::parameters::{Parameters, hex, sha256};
use human_oversight_client::types::{Approval, ExecutionStatus, Status};
use serde_json::json;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::{Child, ChildStderr, ChildStdout, Command};

use crate::deadline::within;
use crate::harness::{ALICE, BOB, mails};
use crate::process::{Process, binary, decide};

const APPROVE: &str = "decision=approve&code=CODE";

/// A gate, and a folder with a command to run.
struct Fixture {
    gate: Process,
    dir: TempDir,
    work: TempDir,
}

impl Fixture {
    async fn with(script: &str) -> Self {
        Self::under(&[], script).await
    }

    async fn under(settings: &[(&str, &str)], script: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let gate = Process::start(dir.path(), settings).await;
        let work = tempfile::tempdir().unwrap();
        write(&work.path().join("deploy.sh"), script);
        Self { gate, dir, work }
    }

    /// The command line of `human-oversight ask` in a CI job.
    fn command(&self, options: &[&str], command: &[&str]) -> Command {
        let mut ask = binary();
        ask.args(["ask", "--agent", "ci", "--action", "Deploy to production"])
            .args(options)
            .arg("--")
            .args(command)
            .current_dir(self.work.path())
            .env("PATH", "/usr/bin:/bin")
            .env("HO_URL", &self.gate.url)
            .env("APPROVER_EMAILS", ALICE)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // As in a terminal, where keys send their signals to the process group.
            .process_group(0)
            .kill_on_drop(true);
        ask
    }

    /// Starts `ask`. What runs the tests may ignore signals, which its children inherit.
    async fn start(&self, options: &[&str], command: &[&str]) -> AskProcess {
        let ask = self.command(options, command);
        let env = ["env", "--default-signal=HUP,INT,TERM"];
        AskProcess::start(launched_by(&env, &ask)).await
    }

    async fn decide(&self, ask: &AskProcess, form: &str) {
        let status = decide(self.dir.path(), &ask.id, form).await.unwrap();
        assert_eq!(status, 303);
    }

    async fn row(&self, ask: &AskProcess) -> Approval {
        let status = self.gate.client().status(&ask.id, Duration::ZERO).await;
        status.unwrap().0
    }

    async fn execution(&self, ask: &AskProcess) -> (ExecutionStatus, Option<String>) {
        let execution = self.row(ask).await.execution.unwrap();
        (execution.status, execution.error)
    }

    fn has_run(&self) -> bool {
        self.work.path().join("ran").exists()
    }
}

/// The command of `ask`, by a program that replaces itself with it.
fn launched_by(program: &[&str], ask: &Command) -> Command {
    let ask = ask.as_std();
    let mut command = Command::new(program[0]);
    command
        .args(&program[1..])
        .arg(ask.get_program())
        .args(ask.get_args())
        .current_dir(ask.get_current_dir().unwrap())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true);
    for (name, value) in ask.get_envs() {
        command.env(name, value.unwrap());
    }
    command
}

/// A process of `ask` that waits for the decision.
struct AskProcess {
    id: String,
    process: Child,
    stdout: BufReader<ChildStdout>,
    stderr: BufReader<ChildStderr>,
    said: String,
}

impl AskProcess {
    /// Starts `ask` and returns when the gate has stored the request.
    async fn start(mut command: Command) -> Self {
        let mut process = command.spawn().unwrap();
        let mut stderr = BufReader::new(process.stderr.take().unwrap());
        let mut said = String::new();
        assert_ne!(within(stderr.read_line(&mut said)).await.unwrap(), 0);
        let (_, id) = said
            .split_once("(request ")
            .unwrap_or_else(|| panic!("{said}"));
        Self {
            id: id.trim_end().trim_end_matches(')').to_owned(),
            stdout: BufReader::new(process.stdout.take().unwrap()),
            stderr,
            process,
            said,
        }
    }

    /// Waits for the end. Returns the exit status, stdout, and stderr.
    async fn wait(&mut self) -> (ExitStatus, String, String) {
        let mut printed = String::new();
        let both = async {
            tokio::join!(
                self.stdout.read_to_string(&mut printed),
                self.stderr.read_to_string(&mut self.said)
            )
        };
        let (out, err) = within(both).await;
        out.and(err).unwrap();
        let ended = within(self.process.wait()).await.unwrap();
        (ended, printed, self.said.clone())
    }

    async fn signal(&self, name: &str, group: bool) {
        let id = self.process.id().unwrap();
        let to = format!("{}{id}", if group { "-" } else { "" });
        let kill = format!("kill -{name} {to}");
        let sent = Command::new("sh").args(["-c", &kill]).status().await;
        assert!(sent.unwrap().success(), "{kill}");
    }
}

fn write(file: &Path, script: &str) {
    std::fs::write(file, format!("#!/bin/sh\n{script}\n")).unwrap();
    std::fs::set_permissions(file, PermissionsExt::from_mode(0o755)).unwrap();
}

#[tokio::test]
async fn an_approved_command_runs_as_shown_with_its_streams() {
    let script = "cat; echo \"$0|$#|$1|$2\"; echo oops >&2; touch ran; exit 0";
    let fixture = Fixture::with(script).await;
    let mut ask = fixture.command(
        &[
            "--approver",
            BOB,
            "--approver",
            ALICE,
            "--reason",
            "Because.",
        ],
        &["./deploy.sh", "two words", "--force"],
    );
    let mut process = ask.stdin(Stdio::piped()).spawn().unwrap();
    let mut stdin = process.stdin.take().unwrap();
    tokio::io::AsyncWriteExt::write_all(&mut stdin, b"from stdin\n")
        .await
        .unwrap();
    drop(stdin);
    let mut stderr = BufReader::new(process.stderr.take().unwrap());
    let mut said = String::new();
    within(stderr.read_line(&mut said)).await.unwrap();
    let people = format!("{BOB}, {ALICE} may approve until ");
    assert!(said.contains(&people), "{said}");
    let id = said
        .split_once("(request ")
        .unwrap()
        .1
        .trim_end()
        .trim_end_matches(')');
    let (waiting, _) = fixture
        .gate
        .client()
        .status(id, Duration::ZERO)
        .await
        .unwrap();
    let work = fixture.work.path().canonicalize().unwrap();
    let file = work.join("deploy.sh");
    let shown = json!({
        "command": ["./deploy.sh", "two words", "--force"],
        "directory": work,
        "sha256": {(file.to_str().unwrap()): hex(&sha256(&std::fs::read(&file).unwrap()))},
    });
    let digest = Parameters::new(&shown).unwrap().digest();
    assert_eq!(waiting.parameters_digest, hex(&digest));
    assert!(!fixture.has_run());

    assert_eq!(decide(fixture.dir.path(), id, APPROVE).await.unwrap(), 303);
    let mut ask = AskProcess {
        id: id.to_owned(),
        stdout: BufReader::new(process.stdout.take().unwrap()),
        stderr,
        process,
        said: String::new(),
    };
    let (ended, printed, said) = ask.wait().await;
    let streams = format!("human-oversight: approved by {ALICE}\noops\n");
    assert_eq!((ended.code(), said), (Some(0), streams));
    assert_eq!(printed, "from stdin\n./deploy.sh|2|two words|--force\n");
    assert!(fixture.has_run());
    assert_eq!(
        fixture.execution(&ask).await,
        (ExecutionStatus::Executed, None)
    );
}

#[tokio::test]
async fn the_exit_code_and_signal_of_the_command_are_returned_and_reported() {
    let fixture = Fixture::with("[ $1 = code ] && exit 7; kill -KILL $$").await;
    for (argument, code, error) in [
        ("code", 7, "exit code 7"),
        ("signal", 128 + 9, "killed by signal 9"),
    ] {
        let mut ask = fixture.start(&[], &["./deploy.sh", argument]).await;
        fixture.decide(&ask, APPROVE).await;
        assert_eq!(ask.wait().await.0.code(), Some(code));
        let failed = (ExecutionStatus::ExecutionFailed, Some(error.to_owned()));
        assert_eq!(fixture.execution(&ask).await, failed);
    }
    // An executable file may still not start; a bare name is resolved through PATH.
    let data = fixture.work.path().join("data");
    std::fs::write(&data, "\x7fELF").unwrap();
    std::fs::set_permissions(&data, std::fs::Permissions::from_mode(0o755)).unwrap();
    let mut ask = fixture.start(&[], &["./data"]).await;
    fixture.decide(&ask, APPROVE).await;
    assert_eq!(ask.wait().await.0.code(), Some(126));
    let (status, error) = fixture.execution(&ask).await;
    assert_eq!(status, ExecutionStatus::ExecutionFailed);
    assert!(error.unwrap().starts_with("not started: "));
    let mut ask = fixture.start(&[], &["sh", "-c", "echo $0; exit 3"]).await;
    fixture.decide(&ask, APPROVE).await;
    let (ended, printed, _) = ask.wait().await;
    assert_eq!((ended.code(), printed.as_str()), (Some(3), "sh\n"));
}

#[tokio::test]
async fn the_approver_and_the_comment_are_printed_in_one_line_before_the_command_runs() {
    let fixture = Fixture::with("echo ran >&2").await;
    let mut ask = fixture.start(&[], &["./deploy.sh"]).await;
    let comment = "After%201%20pm,%0Aplease.%1B%5B2J";
    fixture
        .decide(&ask, &format!("{APPROVE}&comment={comment}"))
        .await;
    let (ended, _, said) = ask.wait().await;
    assert_eq!(ended.code(), Some(0), "{said}");
    let (_, after) = said.split_once('\n').unwrap();
    let (line, rest) = after.split_once('\n').unwrap();
    let begin = format!("human-oversight: approved by {ALICE}. Their comment: After 1 pm, please.");
    assert!(line.starts_with(&begin) && !line.contains('\x1b'), "{said}");
    assert_eq!(rest, "ran\n");
}

#[tokio::test]
async fn a_gate_that_goes_away_during_the_wait_is_named_at_once() {
    let fixture = Fixture::with("touch ran").await;
    let mut ask = fixture.start(&[], &["./deploy.sh"]).await;
    fixture.gate.kill().await;
    let mut said = String::new();
    within(ask.stderr.read_line(&mut said)).await.unwrap();
    assert!(
        said.starts_with("human-oversight: the gate does not answer: ")
            && said.ends_with("; trying again\n"),
        "{said}"
    );
}

#[tokio::test]
async fn a_rejected_command_does_not_run_and_the_reason_is_printed() {
    let fixture = Fixture::with("touch ran").await;
    let mut ask = fixture.start(&[], &["./deploy.sh"]).await;
    fixture
        .decide(&ask, "decision=reject&code=CODE&comment=Not+on+a+Friday")
        .await;
    let (ended, printed, said) = ask.wait().await;
    assert_eq!((ended.code(), printed.as_str()), (Some(3), ""));
    let why = format!("Not run: rejected by {ALICE}. Their reason: Not on a Friday\n");
    assert!(said.ends_with(&why), "{said}");
    assert!(!fixture.has_run());
}

#[tokio::test]
async fn the_approver_asks_for_changes_and_the_next_command_supersedes_the_request() {
    let fixture = Fixture::with("touch ran").await;
    let mut ask = fixture.start(&[], &["./deploy.sh"]).await;
    let form = "decision=reject&code=CODE&revise=Use+the+canary+first.";
    fixture.decide(&ask, form).await;
    let (ended, _, said) = ask.wait().await;
    assert_eq!(ended.code(), Some(3));
    assert!(said.contains("try again: Use the canary first."), "{said}");

    let earlier = ask.id;
    let options = ["--supersedes", earlier.as_str()];
    let mut ask = fixture.start(&options, &["./deploy.sh", "--canary"]).await;
    let sent = mails(&fixture.dir.path().join("mail"));
    let is_it = |text: &str| text.contains("Use the canary first.") && text.contains("--canary");
    assert!(sent.iter().any(|mail| is_it(&mail.text)), "{sent:?}");
    fixture.decide(&ask, APPROVE).await;
    let (ended, _, said) = ask.wait().await;
    assert!(ended.success(), "{said}");
    assert!(fixture.has_run());
}

#[tokio::test]
async fn an_expired_command_does_not_run() {
    let fixture = Fixture::with("touch ran").await;
    let mut ask = fixture.start(&["--timeout", "10"], &["./deploy.sh"]).await;
    let (ended, _, said) = ask.wait().await;
    assert_eq!(ended.code(), Some(3));
    assert!(
        said.ends_with(
            "not approved, or not used, in time. Try again only if it is still needed.\n"
        ),
        "{said}"
    );
    assert_eq!(fixture.row(&ask).await.status, Status::Timeout);
    assert!(!fixture.has_run());
}

#[tokio::test]
async fn a_command_changed_before_the_decision_does_not_run() {
    let fixture = Fixture::with("exit 0").await;
    let config = fixture.work.path().join("config");
    let ask: [(&[&str], &str); 2] = [(&[], "deploy.sh"), (&["--file", "config"], "config")];
    for (options, swapped) in ask {
        std::fs::write(&config, "replicas: 2").unwrap();
        let mut ask = fixture.start(options, &["./deploy.sh"]).await;
        write(&fixture.work.path().join(swapped), "touch ran");
        fixture.decide(&ask, APPROVE).await;
        let (ended, _, said) = ask.wait().await;
        assert_eq!(ended.code(), Some(3));
        let why = format!("/{swapped} has changed. This is not what was approved.\n");
        assert!(
            said.contains("Not run: /") && said.ends_with(&why),
            "{said}"
        );
        let (status, error) = fixture.execution(&ask).await;
        assert_eq!(status, ExecutionStatus::ExecutionFailed);
        assert!(error.unwrap().ends_with(" has changed"));
        assert!(!fixture.has_run());
    }
}

#[tokio::test]
async fn a_signal_during_the_wait_withdraws_the_request() {
    let fixture = Fixture::with("touch ran").await;
    for (name, number, group) in [("INT", 2, true), ("TERM", 15, false), ("HUP", 1, true)] {
        let mut ask = fixture.start(&[], &["./deploy.sh"]).await;
        ask.signal(name, group).await;
        let (ended, _, said) = ask.wait().await;
        assert_eq!(ended.code(), Some(128 + number), "{said}");
        assert!(
            said.ends_with("Not run: stopped by a signal. The request is withdrawn.\n"),
            "{said}"
        );
        assert_eq!(fixture.row(&ask).await.status, Status::Cancelled);
    }
    assert!(!fixture.has_run());
}

#[tokio::test]
async fn a_signal_during_the_run_stops_the_command_and_its_end_is_reported() {
    // A shell can miss a signal that arrives just before it sleeps, so it sleeps in a loop.
    let script = "trap 'exit 5' INT TERM; echo started; while :; do sleep 0.1; done";
    let fixture = Fixture::with(script).await;
    for (name, group) in [("INT", true), ("TERM", false)] {
        let mut ask = fixture.start(&[], &["./deploy.sh"]).await;
        fixture.decide(&ask, APPROVE).await;
        let mut started = String::new();
        let line = ask.stdout.read_line(&mut started);
        within(line).await.unwrap();
        assert_eq!(started, "started\n");
        ask.signal(name, group).await;
        let (ended, ..) = ask.wait().await;
        assert_eq!((ended.code(), ended.signal()), (Some(5), None), "{name}");
        let failed = (
            ExecutionStatus::ExecutionFailed,
            Some("exit code 5".to_owned()),
        );
        assert_eq!(fixture.execution(&ask).await, failed);
    }
}
