//! The README's commands, unattended, against a real gate, with decisions by the forms of the emails' links.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use human_oversight_agents::model::Provider;
use human_oversight_agents::offline::{self, Answer, Conversation};
use human_oversight_client::Client;
use human_oversight_client::types::{Approval, ExecutionStatus, Status};
use mail_parser::MessageParser;
use serde_json::json;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::timeout;

/// The README's blocks of commands.
fn blocks() -> Vec<&'static str> {
    let blocks = include_str!("../README.md").split("```sh\n").skip(1);
    blocks
        .map(|block| block.split_once("```").unwrap().0)
        .collect()
}

/// The gate as a process.
struct Gate {
    url: String,
    client: Client,
    dir: TempDir,
    _process: Child,
}

impl Gate {
    async fn start(decide_within: &str) -> Self {
        let built =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/debug/human-oversight");
        let program = std::env::var_os("HO_GATE").map_or(built, PathBuf::from);
        let dir = tempfile::tempdir().unwrap();
        let mut process = Command::new(&program)
            .env_clear()
            .env("HO_PORT", "0")
            .env("HO_STORE", format!("embedded:{}", dir.path().display()))
            .env("HO_MAIL", format!("file:{}", mailbox(&dir).display()))
            .env("HO_DEFAULT_TIMEOUT", decide_within)
            .kill_on_drop(true)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| {
                let program = program.display();
                panic!("{program}: {error}; build the gate, or set HO_GATE to where it is")
            });
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let url = loop {
            let line = lines.next_line().await.unwrap().expect("the gate opens");
            if let Some((_, rest)) = line.split_once("url=\"") {
                break rest.split_once('"').unwrap().0.to_owned();
            }
        };
        // Drained, or the gate would block on its log.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Self {
            client: Client::new(&url, None).unwrap(),
            url,
            dir,
            _process: process,
        }
    }

    /// Waits for the request, then decides as an approver does: reads the email, opens its link, posts the form.
    async fn decide(&self, demo: &mut Demo, form: &str) {
        demo.wait_until_pending().await;
        let email = request_emails(&self.dir)
            .pop()
            .expect("an email of the request");
        let mut lines = email.lines().map(str::trim);
        let link = lines.find(|line| line.contains("/api/decision/")).unwrap();
        let (_, code) = email.split_once("type this code there:").unwrap();
        let code = &code.trim()[..6];
        let http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .unwrap();
        let page = http.get(link).send().await.unwrap().text().await.unwrap();
        let (_, token) = page.split_once("name=\"form\" value=\"").unwrap();
        let token = token.split_once('"').unwrap().0;
        let (address, k) = link.split_once("?k=").unwrap();
        let answer = http
            .post(address)
            .header("origin", &self.url)
            .header("content-type", "application/x-www-form-urlencoded")
            .body(format!("k={k}&form={token}&{}", form.replace("CODE", code)))
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), 303);
    }

    /// The email of the only request, and its approval.
    async fn request(&self) -> (String, Approval) {
        let mut emails = request_emails(&self.dir);
        let email = emails.pop().unwrap();
        assert!(emails.is_empty(), "{emails:?}");
        let (_, id) = email.split_once("/api/decision/").unwrap();
        let (id, _) = id.split_once('?').unwrap();
        let (approval, _) = self.client.status(id, Duration::ZERO).await.unwrap();
        (email, approval)
    }
}

fn mailbox(dir: &TempDir) -> PathBuf {
    dir.path().join("mail")
}

/// The texts of the emails that ask for a decision.
fn request_emails(dir: &TempDir) -> Vec<String> {
    let Ok(folder) = std::fs::read_dir(mailbox(dir)) else {
        return Vec::new();
    };
    folder
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "eml"))
        .filter_map(|path| {
            let source = std::fs::read(path).unwrap();
            let mail = MessageParser::default().parse(&source).unwrap();
            let is_request = mail.in_reply_to().as_text().is_none();
            is_request.then(|| mail.body_text(0).unwrap().into_owned())
        })
        .collect()
}

/// Runs commands of the README, with the built programs instead of `cargo run`, and `replacements`.
fn run(commands: &str, gate: &Gate, replacements: &[(&str, &str)]) -> Demo {
    let mut commands = commands
        .replace("http://127.0.0.1:7071", &gate.url)
        .replace(
            "cargo run --bin openai_client",
            env!("CARGO_BIN_EXE_openai_client"),
        )
        .replace(
            "cargo run --bin research_group",
            env!("CARGO_BIN_EXE_research_group"),
        )
        .replace(" -- ", " ");
    assert!(!commands.contains("cargo"), "{commands}");
    for (readme, here) in replacements {
        commands = commands.replace(readme, here);
    }
    let mut shell = Command::new("sh");
    shell
        .args(["-euc", &commands])
        .env_clear()
        .kill_on_drop(true)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = shell.spawn().unwrap();
    Demo {
        stdout: BufReader::new(child.stdout.take().unwrap()),
        printed: String::new(),
        child,
    }
}

/// A running demo, and its output so far.
struct Demo {
    child: Child,
    stdout: BufReader<ChildStdout>,
    printed: String,
}

impl Demo {
    async fn wait_until_pending(&mut self) {
        while !self
            .printed
            .contains("Waiting for approver@example.com to decide, until ")
        {
            let read = self.stdout.read_line(&mut self.printed).await.unwrap();
            assert_ne!(read, 0, "it ended: {}", self.printed);
        }
    }

    /// Waits for its success and returns its output.
    async fn end(mut self) -> String {
        self.stdout.read_to_string(&mut self.printed).await.unwrap();
        let output = self.child.wait_with_output().await.unwrap();
        let errors = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{}\n{errors}", self.printed);
        self.printed
    }
}

/// A demo's output and request, after its end.
struct Run {
    printed: String,
    email: String,
    approval: Approval,
}

/// Runs a demo offline to its end, with this decision or none.
async fn offline(demo: &str, form: Option<&str>) -> Run {
    let command = format!("--bin {demo} -- --offline");
    let command = blocks().into_iter().find(|block| block.contains(&command));
    let all = async {
        let gate = Gate::start(if form.is_some() { "600" } else { "10" }).await;
        let mut demo = run(command.unwrap(), &gate, &[]);
        if let Some(form) = form {
            gate.decide(&mut demo, form).await;
        }
        let printed = demo.end().await;
        let (email, approval) = gate.request().await;
        Run {
            printed,
            email,
            approval,
        }
    };
    timeout(Duration::from_secs(120), all).await.unwrap()
}

fn assert_has(printed: &str, lines: &[&str]) {
    for line in lines {
        assert!(printed.contains(line), "{line}\n{printed}");
    }
}

const APPROVE: &str = "decision=approve&code=CODE";
const REJECT: &str = "decision=reject&code=CODE&comment=Ask+Legal+first";
const REJECTED: &str = "Not run: rejected by approver@example.com. Their reason: Ask Legal first";
const EXPIRED: &str =
    "Not run: not approved, or not used, in time. Try again only if it is still needed.";

const USERS: &str = r#"Users: {"1":"former-contractor@example.com","2":"accounting@example.com","3":"support@example.com"}"#;

#[tokio::test]
async fn the_client_deletes_the_user_after_an_approval() {
    let demo = offline("openai_client", Some(APPROVE)).await;
    assert_has(
        &demo.printed,
        &[
            USERS,
            "Agent calls list_users({})",
            "Agent calls delete_user(",
            "Agent: I asked for the deletion. User 1 (former-contractor@example.com) deleted.",
            r#"Users: {"2":"accounting@example.com","3":"support@example.com"}"#,
        ],
    );
    assert_eq!(
        demo.approval.execution.unwrap().status,
        ExecutionStatus::Executed
    );
}

#[tokio::test]
async fn the_client_passes_the_comment_of_a_rejection_to_the_model() {
    let demo = offline("openai_client", Some(REJECT)).await;
    let answer = format!("Agent: I asked for the deletion. {REJECTED}\n{USERS}\n");
    assert!(demo.printed.ends_with(&answer), "{}", demo.printed);
    assert_eq!(demo.approval.status, Status::Rejected);
}

#[tokio::test]
async fn the_client_deletes_no_user_without_a_decision() {
    let demo = offline("openai_client", None).await;
    let answer = format!("Agent: I asked for the deletion. {EXPIRED}\n{USERS}\n");
    assert!(demo.printed.ends_with(&answer), "{}", demo.printed);
    assert_eq!(demo.approval.status, Status::Timeout);
}

const PUBLISHED: &str = "GitHub (stand-in): published";

#[tokio::test]
async fn the_group_publishes_after_an_approval() {
    let demo = offline("research_group", Some(APPROVE)).await;
    assert_has(
        &demo.printed,
        &[
            "Researcher calls search_code(graceful shutdown language:rust)",
            "Researcher calls file_content(example/server, src/main.rs)",
            "Critic: The report does not say what signal() waits for.",
            "Researcher calls file_content(example/server, src/signal.rs)",
            "Critic: The report is ready to be published.",
            "Publisher calls publish_gist(How do Rust services shut down gracefully?)",
            PUBLISHED,
            "Publisher: Published: https://gist.github.com/example/1",
        ],
    );
    assert_eq!(
        demo.approval.execution.unwrap().status,
        ExecutionStatus::Executed
    );
    assert_has(&demo.email, &["public:  false", "tokio::signal::ctrl_c()"]);
}

#[tokio::test]
async fn the_group_gets_the_comment_of_a_rejection() {
    let demo = offline("research_group", Some(REJECT)).await;
    assert!(
        demo.printed.ends_with(&format!("Publisher: {REJECTED}\n")),
        "{}",
        demo.printed
    );
    assert!(!demo.printed.contains(PUBLISHED), "{}", demo.printed);
    assert_eq!(demo.approval.status, Status::Rejected);
}

#[tokio::test]
async fn the_group_publishes_nothing_without_a_decision() {
    let demo = offline("research_group", None).await;
    assert!(
        demo.printed.ends_with(&format!("Publisher: {EXPIRED}\n")),
        "{}",
        demo.printed
    );
    assert!(!demo.printed.contains(PUBLISHED), "{}", demo.printed);
    assert_eq!(demo.approval.status, Status::Timeout);
}

/// Starts the commands for a real model of this provider, with a scripted model.
async fn for_real(provider: Provider, script: fn(&Conversation) -> Answer, gate: &Gate) -> Demo {
    let [variable, url, name] = match provider {
        Provider::AzureOpenAi => [
            "AZURE_OPENAI_ENDPOINT",
            "https://name.openai.azure.com",
            "your-deployment",
        ],
        Provider::OpenAi => ["OPENAI_BASE_URL", "https://api.openai.com/v1", "gpt-4o"],
    };
    let block = blocks().into_iter().find(|block| block.contains(variable));
    let model = offline::model(provider, script).await.unwrap();
    let here = [
        (url, &*model.url),
        ("your-key", &model.key),
        (name, &model.name),
    ];
    run(block.unwrap(), gate, &here)
}

/// Ends the conversation at once.
fn nothing_to_do(conversation: &Conversation) -> Answer {
    let chair = conversation.instructions().contains("You chair");
    let text = if chair {
        r#"{"next":"Finished"}"#
    } else {
        "There is nothing to do."
    };
    Answer::Text(text.to_owned())
}

async fn test_environment(provider: Provider) {
    let all = async {
        let gate = Gate::start("600").await;
        for_real(provider, nothing_to_do, &gate).await.end().await
    };
    let printed = timeout(Duration::from_secs(60), all).await.unwrap();
    let both = [
        "Agent: There is nothing to do.\n",
        "User: How do Rust services shut down gracefully?\n",
    ];
    assert_has(&printed, &both);
}

#[tokio::test]
async fn azure_openai_is_called_as_the_environment_says() {
    test_environment(Provider::AzureOpenAi).await;
}

#[tokio::test]
async fn openai_is_called_as_the_environment_says() {
    test_environment(Provider::OpenAi).await;
}

/// A model's mistakes: an unknown function, invalid arguments, another user's address.
fn blunder(conversation: &Conversation) -> Answer {
    let results = conversation.results();
    match results.len() {
        _ if conversation.instructions().contains("You chair") => nothing_to_do(conversation),
        0 => Answer::Call("delete_all", json!({})),
        1 => Answer::Call("delete_user", json!({"user_id": 1})),
        2 => {
            let user = json!({"user_id": "2", "email": "former-contractor@example.com"});
            Answer::Call("delete_user", user)
        }
        _ => Answer::Text(results.join(" | ")),
    }
}

#[tokio::test]
async fn the_model_and_the_gate_get_the_error_of_a_mistake() {
    let all = async {
        let gate = Gate::start("600").await;
        let mut demo = for_real(Provider::AzureOpenAi, blunder, &gate).await;
        gate.decide(&mut demo, APPROVE).await;
        (demo.end().await, gate.request().await.1)
    };
    let (printed, approval) = timeout(Duration::from_secs(60), all).await.unwrap();
    assert_has(
        &printed,
        &[
            "Agent: Error: there is no function delete_all | Error: invalid type: ",
            "| Error: there is no user 2 with this address\nUsers: {\"1\":",
        ],
    );
    let execution = approval.execution.unwrap();
    assert_eq!(execution.status, ExecutionStatus::ExecutionFailed);
}

/// The tests above run each command of the README.
#[test]
fn the_readme_has_no_other_commands() {
    let is_run = |block: &&str| {
        ["-- --offline", "AZURE_OPENAI_ENDPOINT", "OPENAI_BASE_URL"]
            .iter()
            .any(|run| block.contains(run))
    };
    assert_eq!(blocks().iter().filter(|block| is_run(block)).count(), 4);
    assert_eq!(blocks().len(), 4);
}
