//! The real binary as a process: how it starts, what it logs, and what a SIGKILL cannot take away.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use human_oversight::keyring;
use human_oversight_client::types::{Approval, Claim, ExecutionStatus, Report, Status};
use human_oversight_client::{Client, Gate, Outcome};
use serde_json::json;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::net::TcpListener;
use tokio::process::{Child, Command};

use crate::canary;
use crate::harness::{ALICE, http, mails, question, request};

pub(crate) fn binary() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_human-oversight"));
    command.env_clear().kill_on_drop(true).stdin(Stdio::null());
    command
}

/// A gate as a process of its own.
pub(crate) struct Process {
    pub(crate) url: String,
    child: Child,
    log: tokio::task::JoinHandle<String>,
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
            assert_ne!(
                stdout.read_line(&mut line).await.unwrap(),
                0,
                "it ended: {log}"
            );
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
        Self { url, child, log }
    }

    pub(crate) fn client(&self) -> Client {
        Client::new(&self.url, None).unwrap()
    }

    /// SIGTERM to whatever it started, or else to itself, and waits for its end.
    pub(crate) async fn terminate(mut self) {
        let id = self.child.id().unwrap();
        let started = std::fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap();
        let target = started
            .split_whitespace()
            .next()
            .map_or(id.to_string(), str::to_owned);
        let sent = std::process::Command::new("kill")
            .args(["-TERM", &target])
            .status();
        assert!(sent.unwrap().success());
        self.child.wait().await.unwrap();
    }

    /// SIGKILL, as the Functions host stops its handler; all that was logged.
    pub(crate) async fn kill(mut self) -> String {
        self.child.kill().await.unwrap();
        let log = self.log.await.unwrap();
        log.lines().for_each(canary::none_in);
        log
    }
}

/// Decides as a person does.
pub(crate) async fn decide(dir: &Path, id: &str, form: &str) -> Result<u16, reqwest::Error> {
    let question = question(&mails(&dir.join("mail")), id, ALICE);
    decide_at(&question.link, &form.replace("CODE", &question.code)).await
}

pub(crate) async fn decide_at(link: &str, form: &str) -> Result<u16, reqwest::Error> {
    let http = http().redirect(reqwest::redirect::Policy::none()).build()?;
    let page = http.get(link).send().await?.text().await?;
    let Some((_, rest)) = page.split_once("name=\"form\" value=\"") else {
        return Ok(0);
    };
    let token = rest.split_once('"').unwrap().0;
    let (address, k) = link.split_once("?k=").unwrap();
    let origin = address.split_once("/api/").unwrap().0;
    let answer = http
        .post(address)
        .header("origin", origin)
        .header("content-type", "application/x-www-form-urlencoded")
        .body(format!("k={k}&form={token}&{form}"))
        .send()
        .await?;
    Ok(answer.status().as_u16())
}

#[tokio::test]
async fn what_cannot_be_used_ends_it_with_one_clear_line_and_exit_code_1() {
    let listening = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = listening.local_addr().unwrap().port().to_string();
    let (link_key, receipt_key) = (keyring::fresh_link_key(), keyring::fresh_receipt_key());
    for (settings, words) in [
        (vec![("HO_PORT", "x")], "HO_PORT cannot be used"),
        (vec![("HO_PORT", taken.as_str())], "is in use"),
        (vec![("HO_STORE", "floppy")], "HO_STORE cannot be used"),
        (
            vec![("HO_LINK_KEYS", "a:topsecret!")],
            "HO_LINK_KEYS cannot be used",
        ),
        (
            vec![("FUNCTIONS_CUSTOMHANDLER_PORT", "4711")],
            "HO_BASE_URL is not set",
        ),
        (
            vec![("HO_STORE", "embedded:/proc/none")],
            "the keys in the folder",
        ),
        (
            vec![
                ("HO_STORE", "tables"),
                ("HO_TABLES_CONNECTION_STRING", "UseDevelopmentStorage=true"),
                ("HO_LINK_KEYS", &link_key),
                ("HO_RECEIPT_KEYS", &receipt_key),
                ("SSL_CERT_FILE", "/dev/null"),
            ],
            "No CA certificates were loaded",
        ),
        (
            vec![("HO_LOG", "topsecret=topsecret")],
            "HO_LOG cannot be used",
        ),
    ] {
        let output = binary().envs(settings).output().await.unwrap();
        assert_eq!(output.status.code(), Some(1), "{words}");
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(
            error.contains(words) && error.lines().count() == 1,
            "{error}"
        );
        canary::none_in(&error);
        assert!(output.stdout.is_empty());
    }
    let output = binary().arg("dance").output().await.unwrap();
    assert_eq!(output.status.code(), Some(2));
}

#[tokio::test]
async fn fresh_keys_open_a_gate() {
    let output = binary().arg("keygen").output().await.unwrap();
    let keys = String::from_utf8(output.stdout).unwrap();
    let keys: Vec<(&str, &str)> = keys
        .lines()
        .map(|line| line.split_once('=').unwrap())
        .collect();
    assert_eq!(keys.len(), 2);
    let dir = tempfile::tempdir().unwrap();
    let gate = Process::start(dir.path(), &keys).await;
    assert_eq!(gate.client().keys().await.unwrap().keys.len(), 1);
    assert!(!dir.path().join("link.keys").exists());
}

#[tokio::test]
async fn the_log_tells_the_operator_everything_and_an_attacker_nothing() {
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
        .find(|line| line.contains("a mail was not sent"))
        .unwrap();
    assert!(
        refused.contains("invocation=") && refused.contains("function=\"submit\""),
        "{refused}"
    );
    assert!(log.contains(&url));
}

#[tokio::test]
async fn a_full_disk_is_a_clear_503_and_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().display();
    // A disk of its own, as small as can be, in a name space of its own.
    let script = format!("mount -t tmpfs -o size=600k tmpfs {path} && exec \"$0\"",);
    let mut probe = Command::new("unshare");
    probe.args(["-rm", "sh", "-c", &format!("mount -t tmpfs tmpfs {path}")]);
    if !probe.status().await.is_ok_and(|status| status.success()) {
        assert!(
            std::env::var_os("CI").is_none(),
            "CI must try the full disk"
        );
        eprintln!("\n!! SKIPPED, as this machine gives no disk of its own: the full disk\n");
        return;
    }
    let mut command = Command::new("unshare");
    command.args([
        "-rm",
        "sh",
        "-c",
        &script,
        env!("CARGO_BIN_EXE_human-oversight"),
    ]);
    command
        .env_clear()
        .env("PATH", "/usr/bin:/bin:/usr/sbin:/sbin")
        .kill_on_drop(true);
    let gate = Process::spawn(command, dir.path(), &[]).await;
    let mut accepted = Vec::new();
    let mut refused = 0;
    for number in 0..200 {
        let mut new = request();
        new.approver_emails = vec![ALICE.to_owned()];
        new.correlation_id = Some(format!("full-{number}"));
        new.parameters
            .insert("text".to_owned(), json!("x".repeat(20_000)));
        match gate.client().submit(&new).await {
            Ok(approval) => accepted.push(approval.id),
            Err(human_oversight_client::Error::Unavailable { status: 503, .. }) => refused += 1,
            Err(other) => panic!("{other:?}"),
        }
        if refused >= 5 {
            break;
        }
    }
    assert!(
        !accepted.is_empty() && refused >= 5,
        "{} accepted, {refused} refused",
        accepted.len()
    );
    for id in &accepted {
        gate.client()
            .status(id, Duration::ZERO)
            .await
            .expect("what was acknowledged is there");
    }
}

/// What somebody was told had happened.
#[derive(Clone, Debug, Default)]
struct Told {
    decision: Option<Status>,
    claimed: Option<String>,
    reported: bool,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sigkill_at_any_moment_takes_nothing_away_that_was_acknowledged() {
    let dir = tempfile::tempdir().unwrap();
    let told: Arc<Mutex<BTreeMap<String, Told>>> = Arc::default();
    // A fixed sequence of moments, so that a failure can be looked for again.
    let mut moment: u64 = 20_261_122;
    let mut kills = 0;
    while kills < 40 || !enough(&told.lock().unwrap()) {
        assert!(kills < 200, "too little happens between the kills");
        let gate = Process::start(dir.path(), &[]).await;
        let agents: Vec<_> = (0..4)
            .map(|number| {
                let (told, client, dir) = (told.clone(), gate.client(), dir.path().to_owned());
                let round = kills;
                tokio::spawn(async move { live(round, number, &client, &dir, &told).await })
            })
            .collect();
        moment = moment
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        // On a slow machine more time is given until enough has happened.
        let window = 60 + 20 * u64::from(kills.saturating_sub(40_u32));
        tokio::time::sleep(Duration::from_millis(2 + (moment >> 33) % window)).await;
        gate.kill().await;
        kills += 1;
        for agent in agents {
            agent.abort();
            agent.await.ok();
        }
    }

    let gate = Process::start(dir.path(), &[]).await;
    let client = gate.client();
    let told = told.lock().unwrap().clone();
    let (mut decided, mut claimed, mut reported) = (0, 0, 0);
    for (id, told) in &told {
        let (now, _) = client
            .status(id, Duration::ZERO)
            .await
            .expect("what was acknowledged is there");
        if let Some(decision) = told.decision {
            assert_eq!(now.status, decision);
            decided += 1;
        }
        if let Some(nonce) = &told.claimed {
            let execution = now.execution.as_ref().expect("it was claimed");
            if execution.status == ExecutionStatus::Executing {
                let claim = Claim {
                    nonce: nonce.clone(),
                    secret: None,
                };
                client
                    .claim(id, &claim)
                    .await
                    .expect("the lost answer can be had again");
            }
            claimed += 1;
        }
        if told.reported {
            assert_eq!(now.execution.unwrap().status, ExecutionStatus::Executed);
            reported += 1;
        }
    }
    let submits = told.len();

    // Every question that was stored, acknowledged or not, is in its approver's mailbox in the end.
    let stored = stored_ids(dir.path());
    eprintln!(
        "{kills} kills; acknowledged: {submits} submits, {decided} decisions, {claimed} claims, \
              {reported} reports; stored without an answer: {}",
        stored.len() - submits
    );
    let all_mailed = async {
        loop {
            let mailed = mails(&dir.path().join("mail"));
            let questions = |id: &String| {
                mailed
                    .iter()
                    .filter(|m| m.answers.is_none() && m.text.contains(id))
                    .count()
            };
            if stored.iter().all(|id| questions(id) >= 1) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(150), all_mailed)
        .await
        .expect("every mail is sent in the end");
}

/// Whether every kind of acknowledgement was lost sight of often enough to mean something.
fn enough(told: &BTreeMap<String, Told>) -> bool {
    let count = |happened: fn(&Told) -> bool| told.values().filter(|told| happened(told)).count();
    count(|told| told.decision.is_some()) >= 20
        && count(|told| told.claimed.is_some()) >= 15
        && count(|told| told.reported) >= 10
}

fn stored_ids(dir: &Path) -> Vec<String> {
    let connection = rusqlite::Connection::open(dir.join("approvals.db")).unwrap();
    let mut rows = connection.prepare("SELECT RowKey FROM approvals").unwrap();
    let agent = human_oversight::id::ApprovalId::new("UserManagerAgent", "x")
        .unwrap()
        .to_string();
    let rows = rows.query_map([], |row| row.get::<_, String>(0)).unwrap();
    rows.map(|correlation| format!("{}{}?", agent.trim_end_matches('x'), correlation.unwrap()))
        .collect()
}

/// The life of one request, as far as it gets; keeps what it was told.
async fn live(
    round: u32,
    number: u32,
    client: &Client,
    dir: &Path,
    told: &Mutex<BTreeMap<String, Told>>,
) -> Option<()> {
    for count in 0.. {
        let mut new = request();
        new.approver_emails = vec![ALICE.to_owned()];
        new.correlation_id = Some(format!("{round}-{number}-{count}"));
        let asked: Approval = client.submit(&new).await.ok()?;
        let id = asked.id;
        let tell =
            |tell: &dyn Fn(&mut Told)| tell(told.lock().unwrap().entry(id.clone()).or_default());
        tell(&|_| {});
        let (form, decision) = match count % 4 {
            3 => ("decision=reject", Status::Rejected),
            _ => ("decision=approve&code=CODE", Status::Approved),
        };
        let mail = mails(&dir.join("mail"))
            .into_iter()
            .any(|mail| mail.text.contains(&id));
        if !mail || decide(dir, &id, form).await.ok()? != 303 {
            continue;
        }
        tell(&|told| told.decision = Some(decision));
        if decision == Status::Rejected {
            continue;
        }
        let nonce = format!("nonce-of-{id}")
            .chars()
            .rev()
            .take(40)
            .collect::<String>();
        client
            .claim(
                &id,
                &Claim {
                    nonce: nonce.clone(),
                    secret: None,
                },
            )
            .await
            .ok()?;
        tell(&|told| told.claimed = Some(nonce.clone()));
        let report = Report {
            status: ExecutionStatus::Executed,
            error: None,
            secret: None,
        };
        client.outcome(&id, &report).await.ok()?;
        tell(&|told| told.reported = true);
    }
    None
}

/// With everything set, and nothing there yet that it needs: it opens at once, without an inbox.
#[tokio::test]
async fn production_opens_at_once_and_has_no_inbox() {
    let dir = tempfile::tempdir().unwrap();
    let (link_key, receipt_key) = (keyring::fresh_link_key(), keyring::fresh_receipt_key());
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = free.local_addr().unwrap().port().to_string();
    drop(free);
    let gate = Process::start(
        dir.path(),
        &[
            ("FUNCTIONS_CUSTOMHANDLER_PORT", &port),
            ("HO_BASE_URL", "https://gate.example.com"),
            ("HO_ALLOWED_APPROVERS", "*@example.com"),
            ("HO_LINK_KEYS", &link_key),
            ("HO_RECEIPT_KEYS", &receipt_key),
            ("HO_STORE", "tables"),
            ("HO_TABLES_ENDPOINT", "https://127.0.0.1:1/nobody"),
            ("IDENTITY_ENDPOINT", "http://127.0.0.1:1/msi"),
            ("IDENTITY_HEADER", "x"),
            ("HO_MAIL", "smtp"),
            ("HO_SMTP_URL", "smtps://gate:secret@127.0.0.1:1"),
            ("HO_MAIL_FROM", "gate@example.com"),
        ],
    )
    .await;
    assert_eq!(gate.url, "https://gate.example.com");
    let http = http().build().unwrap();
    let here = |path: &str| http.get(format!("http://127.0.0.1:{port}{path}")).send();
    assert_eq!(here("/").await.unwrap().status(), 200);
    assert_eq!(here("/inbox").await.unwrap().status(), 404);
    let log = gate.kill().await;
    assert!(!log.contains("secret"), "{log}");
}

/// A developer's gate connects to nobody, so it needs nobody's certificates.
#[tokio::test]
async fn a_developers_gate_needs_no_certificates() {
    let dir = tempfile::tempdir().unwrap();
    let gate = Process::start(dir.path(), &[("SSL_CERT_FILE", "/dev/null")]).await;
    gate.client().submit(&request()).await.unwrap();
    assert_eq!(mails(&dir.path().join("mail")).len(), 2);
}
