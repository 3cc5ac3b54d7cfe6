//! The real binary as a process: its start, its arguments and its log.

mod banner;
mod command_line;
mod form;
mod not_text;

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Stdio;

use human_oversight::keys::keyring;
use human_oversight_client::types::Approval;
use human_oversight_client::{Client, Gate, Outcome, receipt};
use serde_json::json;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::canary;
use crate::deadline::{TestDeadline, eventually, within};
use crate::harness::{ALICE, http, mails, question, request};
use crate::host::ReservedPort;

pub(crate) use form::{OpenForm, decide_at};

pub(crate) fn binary() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_human-oversight"));
    command.env_clear().kill_on_drop(true).stdin(Stdio::null());
    command
}

/// Runs the program. Returns its output, of both streams, and its exit code.
pub(crate) async fn run(settings: &[(&str, &str)], arguments: &[&str]) -> (String, i32) {
    let mut command = binary();
    command.args(arguments).envs(settings.iter().copied());
    let output = within(command.output()).await.unwrap();
    let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    (text, output.status.code().unwrap())
}

/// A gate as a separate process.
pub(crate) struct Process {
    pub(crate) url: String,
    child: Child,
    log: tokio::task::JoinHandle<String>,
    _deadline: TestDeadline,
}

impl Process {
    pub(crate) async fn start(dir: &Path, settings: &[(&str, &str)]) -> Self {
        Self::spawn(binary(), dir, settings).await
    }

    pub(crate) async fn spawn(mut command: Command, dir: &Path, settings: &[(&str, &str)]) -> Self {
        let mut child = command
            .env("HO_PORT", "0")
            .env("HO_STORE", format!("embedded:{}", dir.display()))
            .env("HO_MAIL", format!("file:{}", dir.join("mail").display()))
            .env("HO_SWEEP_SECONDS", "1")
            .env("HO_MAIL_BUDGET", "off")
            .env("HO_OWNER_BUDGET", "off")
            .envs(settings.iter().copied())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut stderr = child.stderr.take().unwrap();
        let mut log = String::new();
        let url = loop {
            let mut line = String::new();
            let read = within(stdout.read_line(&mut line)).await.unwrap();
            assert_ne!(read, 0, "the process ended: {log}");
            log.push_str(&line);
            if let Some((_, rest)) = line.split_once("url=\"") {
                break rest.split_once('"').unwrap().0.to_owned();
            }
        };
        let log = tokio::spawn(async move {
            let mut errors = String::new();
            let (out, err) = tokio::join!(
                stdout.read_to_string(&mut log),
                stderr.read_to_string(&mut errors)
            );
            out.and(err).unwrap();
            log + &errors
        });
        Self {
            url,
            child,
            log,
            _deadline: TestDeadline::start(),
        }
    }

    /// The process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id().expect("it runs")
    }

    pub(crate) fn client(&self) -> Client {
        Client::new(&self.url, None).unwrap()
    }

    /// A request that Alice has approved.
    pub(crate) async fn approved(&self, dir: &Path) -> Approval {
        let approval = self.client().submit(&request()).await.unwrap();
        eventually(async || {
            let decided = decide(dir, &approval.id, "decision=approve&code=CODE").await;
            decided.is_ok_and(|status| status == 303).then_some(())
        })
        .await;
        approval
    }

    /// Sends SIGTERM to its child process, if it has one, or else to itself, and waits for its end.
    pub(crate) async fn terminate(mut self) {
        let id = self.child.id().unwrap();
        let started = std::fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap();
        let target = started
            .split_whitespace()
            .next()
            .map_or_else(|| id.to_string(), str::to_owned);
        let sent = std::process::Command::new("kill")
            .args(["-TERM", &target])
            .status();
        assert!(sent.unwrap().success());
        within(self.child.wait()).await.unwrap();
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, name: &str) {
        let sent = std::process::Command::new("kill")
            .args([&format!("-{name}"), &self.id().to_string()])
            .status();
        assert!(sent.unwrap().success());
    }

    /// Waits for its end. Returns its exit code, or `None` if a signal ended it, and the log.
    pub(crate) async fn end(mut self) -> (Option<i32>, String) {
        let status = within(self.child.wait()).await.unwrap();
        let log = self.log.await.unwrap();
        log.lines().for_each(canary::assert_no_secret);
        (status.code(), log)
    }

    /// Sends SIGKILL, as the Functions host stops its handler. Returns the log.
    pub(crate) async fn kill(mut self) -> String {
        self.child.kill().await.unwrap();
        let log = self.log.await.unwrap();
        log.lines().for_each(canary::assert_no_secret);
        log
    }
}

/// Decides with the link and code of the email to Alice.
pub(crate) async fn decide(dir: &Path, id: &str, form: &str) -> Result<u16, reqwest::Error> {
    let question = question(&mails(&dir.join("mail")), id, ALICE);
    decide_at(&question.link, &form.replace("CODE", &question.code)).await
}

#[tokio::test]
async fn a_gate_starts_with_generated_keys() {
    let (keys, _) = run(&[], &["keygen"]).await;
    let keys: Vec<(&str, &str)> = keys
        .lines()
        .map(|line| line.split_once('=').unwrap())
        .collect();
    let [gates @ .., (agents, thumbprint)] = &keys[..] else {
        panic!("{keys:?}")
    };
    assert_eq!((gates.len(), *agents), (2, "HO_KEYS"));
    let dir = tempfile::tempdir().unwrap();
    let gate = Process::start(dir.path(), gates).await;
    let published = gate.client().keys().await.unwrap().keys;
    let thumbprints: Vec<_> = published.iter().map(receipt::thumbprint).collect();
    assert_eq!(thumbprints, [*thumbprint]);
    assert!(!dir.path().join("link.keys").exists());
}

#[tokio::test]
async fn the_log_identifies_every_call_and_contains_no_secret() {
    let dir = tempfile::tempdir().unwrap();
    let gate = Process::start(dir.path(), &[("HO_LOG", "trace")]).await;
    let params = json!({"user_id": "canary-parameter"});
    let action = Gate::new(gate.client())
        .agent("UserManagerAgent")
        .approvers([ALICE, "canary-gone@example.invalid"])
        .action("canary-action")
        .reason("canary-reason");
    let pending = action.submit(&params).await.unwrap();
    let handle = pending.handle().clone();
    let asked = question(&mails(&dir.path().join("mail")), &handle.id, ALICE);
    let wrong = "decision=approve&code=canary-code";
    assert_eq!(decide(dir.path(), &handle.id, wrong).await.unwrap(), 403);
    let right = "decision=approve&code=CODE&comment=canary-comment";
    assert_eq!(decide(dir.path(), &handle.id, right).await.unwrap(), 303);
    let outcome = pending
        .try_run(&params, async |_| Err::<(), _>("canary-error"))
        .await;
    assert_eq!(outcome, Outcome::Executed(Err("canary-error")));
    let http = http().build().unwrap();
    for (path, body) in [
        ("/api/submit?code=canary-key", "{\"canary-member\":"),
        ("/api/status/canary-id?code=canary-key", ""),
        ("/api/claim/canary-id", "canary-body"),
        ("/api/outcome/YQ.b", "canary-body"),
        ("/canary-path", ""),
    ] {
        let url = format!("{}{path}", gate.url);
        let request = http
            .post(url)
            .header("content-type", "application/json")
            .body(body);
        request
            .header("x-functions-key", "canary-key")
            .send()
            .await
            .unwrap();
    }
    let url = gate.url.clone();
    let log = gate.kill().await;
    let token = asked.link.split_once("?k=").unwrap().1;
    for secret in [
        "canary",
        ALICE,
        "alice",
        token,
        &asked.code,
        &handle.secret,
        "?k=",
        "form=",
    ] {
        assert!(!log.contains(secret), "{secret} in\n{log}");
    }
    for (function, status) in [
        ("submit", 202),
        ("decision", 403),
        ("decision", 303),
        ("claim", 200),
        ("outcome", 200),
        ("submit", 400),
        ("claim", 404),
        ("outcome", 400),
        ("none", 404),
    ] {
        let line = log.lines().find(|line| {
            line.contains(&format!("function=\"{function}\""))
                && line.contains(&format!(" status={status} "))
        });
        let line = line.unwrap_or_else(|| panic!("{function} {status} in\n{log}"));
        assert!(
            line.contains("invocation=") && line.contains(" ms="),
            "{line}"
        );
        if matches!(status, 200..400) {
            assert!(line.contains(&format!("id=\"{}\"", handle.id)), "{line}");
        }
    }
    let refused = log
        .lines()
        .find(|line| line.contains("email not sent"))
        .unwrap();
    assert!(
        refused.contains("invocation=") && refused.contains("function=\"submit\""),
        "{refused}"
    );
    assert!(log.contains(&url));
}

/// A gate in production. All settings are valid, and no service that they name is reachable.
async fn start_production(dir: &Path, port: &str, more: &[(&str, &str)]) -> Process {
    let (link_key, receipt_key) = (
        keyring::generate_link_key(),
        keyring::generate_receipt_key(),
    );
    let settings = [
        ("FUNCTIONS_CUSTOMHANDLER_PORT", port),
        ("HO_SWEEP_SCHEDULE", "0 * * * * *"),
        ("HO_BASE_URL", "https://gate.example.com"),
        ("HO_ALLOWED_APPROVERS", "alice@example.com"),
        ("HO_LINK_KEYS", &link_key),
        ("HO_RECEIPT_KEYS", &receipt_key),
        ("HO_STORE", "tables"),
        ("HO_TABLES_ENDPOINT", "https://127.0.0.1:1/none"),
        ("IDENTITY_ENDPOINT", "http://127.0.0.1:1/msi"),
        ("IDENTITY_HEADER", "x"),
        ("HO_MAIL", "smtp"),
        ("HO_SMTP_URL", "smtps://gate:secret@127.0.0.1:1"),
        ("HO_MAIL_FROM", "gate@example.com"),
    ];
    Process::start(dir, &[&settings, more].concat()).await
}

/// A host that forwards decodes the path after it has checked the key, which may then be of no function.
#[tokio::test]
async fn what_a_host_forwards_in_production_needs_a_key_that_the_gate_knows() {
    let http = http().build().unwrap();
    let keys = format!("{}=*", "07".repeat(32));
    for is_listed in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let reserved = ReservedPort::new();
        let port = reserved.number.to_string();
        let more = [("HO_AGENT_KEYS", keys.as_str())];
        let gate = start_production(dir.path(), &port, &more[..usize::from(is_listed)]).await;
        let send = async |path: &str, host: &str| {
            let call = http.post(format!("http://127.0.0.1:{port}{path}"));
            let call = call
                .header("content-type", "application/json")
                .header("x-functions-key", "invented")
                .header("user-agent", host);
            let answer = call.body("{}").send().await.unwrap();
            (answer.status().as_u16(), answer.text().await.unwrap())
        };
        let forwarded = "x/1 Azure-Functions-Host/4.1037.0.0";
        for path in [
            "/api/operate",
            "/api/delivery",
            "/api/submit",
            "/api/claim/YQ.b",
            "/api/outcome/YQ.b",
        ] {
            let (status, text) = send(path, forwarded).await;
            // Event Grid gets no other answer for what cannot be read.
            let unreadable = if path == "/api/delivery" { 400 } else { 422 };
            let is_refused = ["/api/operate", "/api/delivery"].contains(&path) || !is_listed;
            // The body is judged after that.
            assert_eq!(status, if is_refused { 403 } else { 422 }, "{path}: {text}");
            if is_refused {
                assert!(text.contains("a host that proxies"), "{path}: {text}");
            }
            assert_eq!(send(path, "x/1").await.0, unreadable, "{path}");
        }
        gate.kill().await;
    }
}

#[tokio::test]
async fn production_starts_before_its_services_are_reachable_and_has_no_inbox() {
    let dir = tempfile::tempdir().unwrap();
    let reserved = ReservedPort::new();
    let port = reserved.number.to_string();
    let gate = start_production(dir.path(), &port, &[]).await;
    assert_eq!(gate.url, "https://gate.example.com");
    let http = http().build().unwrap();
    let here = |path: &str| http.get(format!("http://127.0.0.1:{port}{path}")).send();
    let home = here("/").await.unwrap();
    assert_eq!(home.headers()["content-type"], "text/plain; charset=utf-8");
    let home = home.text().await.unwrap();
    assert_eq!(home, "The gate is open for requests.\n");
    assert_eq!(here("/inbox").await.unwrap().status(), 404);
    let log = gate.kill().await;
    assert!(!log.contains("secret"), "{log}");
    let next = log.split_once("the host triggers the sweep next=\"");
    let (_, next) = next.expect(&log);
    assert_eq!(&next[16..24], ":00.000Z", "the next minute: {next}");
}

/// Such as on a disk that is full, or behind a pipe whose reader has ended.
#[tokio::test]
async fn a_log_that_cannot_be_written_stops_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let reserved = ReservedPort::new();
    let full = || {
        Stdio::from(
            std::fs::File::options()
                .write(true)
                .open("/dev/full")
                .unwrap(),
        )
    };
    let mut gate = binary()
        .env("HO_PORT", reserved.number.to_string())
        .env("HO_STORE", format!("embedded:{}", dir.path().display()))
        .env(
            "HO_MAIL",
            format!("file:{}", dir.path().join("mail").display()),
        )
        .env("HO_UNKNOWN", "1")
        .stdout(full())
        .stderr(full())
        .spawn()
        .unwrap();
    let client = Client::new(&format!("http://127.0.0.1:{}", reserved.number), None).unwrap();
    let submit = async || client.submit(&request()).await.ok();
    let asked = eventually(submit).await;
    assert!(
        client
            .status(&asked.id, std::time::Duration::ZERO)
            .await
            .is_ok()
    );
    assert!(gate.try_wait().unwrap().is_none(), "it ended");
}

/// Local development makes no TLS connection, so it needs no CA certificates.
#[tokio::test]
async fn local_development_needs_no_certificates() {
    let dir = tempfile::tempdir().unwrap();
    let gate = Process::start(dir.path(), &[("SSL_CERT_FILE", "/dev/null")]).await;
    gate.client().submit(&request()).await.unwrap();
    assert_eq!(mails(&dir.path().join("mail")).len(), 2);
}

/// Keys, requests and emails of local development are for this user alone, whatever the umask says.
#[tokio::test]
async fn the_files_of_local_development_are_private() {
    let parent = tempfile::tempdir().unwrap();
    let home = parent.path().join("work");
    std::fs::create_dir(&home).unwrap();
    let mut command = Command::new("sh");
    command
        .args(["-c", "umask 000 && exec \"$GATE\""])
        .env("GATE", env!("CARGO_BIN_EXE_human-oversight"))
        .current_dir(&home)
        .kill_on_drop(true)
        .stdin(Stdio::null());
    let dir = home.join("new/store");
    let gate = Process::spawn(command, &dir, &[]).await;
    gate.client().submit(&request()).await.unwrap();
    let mut seen = Vec::new();
    let mut folders = vec![home.join("new")];
    while let Some(folder) = folders.pop() {
        assert_eq!(mode(&folder), 0o700, "{}", folder.display());
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                assert_eq!(mode(&path), 0o600, "{}", path.display());
                seen.push(path.extension().unwrap().to_owned());
            }
        }
    }
    seen.sort();
    seen.dedup();
    assert_eq!(seen, ["db", "db-shm", "db-wal", "eml", "keys"]);
    let log = gate.kill().await;
    assert!(!log.contains("other users of this machine"), "{log}");

    // An existing file keeps its permissions, and the log says so.
    let keys = dir.join("link.keys");
    std::fs::set_permissions(&keys, PermissionsExt::from_mode(0o644)).unwrap();
    let mut again = binary();
    again.current_dir(&home);
    let gate = Process::spawn(again, &dir, &[]).await;
    let log = gate.kill().await;
    assert_eq!(
        log.matches("other users of this machine").count(),
        1,
        "{log}"
    );
    assert_eq!(mode(&keys), 0o644);
}

fn mode(path: &Path) -> u32 {
    path.metadata().unwrap().permissions().mode() & 0o777
}
