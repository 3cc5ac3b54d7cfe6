//! End-to-end tests: the real binary as the custom handler of the stand-in host, started, called, killed and
//! restarted.

mod stand_in;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use human_oversight_client::types::{NewApproval, Status};
use human_oversight_client::{Client, Gate, Outcome};
use serde_json::json;

use crate::deadline::eventually;
use crate::harness::{ALICE, Question, for_alice, http, mails, object, question, repository};
use crate::host::{FunctionApp, Health, Host, Invocation, KEY, Level, MASTER_KEY, Mode, tick};
use crate::process::decide_at;

const EXECUTABLE: &str = "AzureFunctionsJobHost__customHandler__description__defaultExecutablePath";

/// A host with the function files of this repository and its binary.
pub(crate) async fn host(dir: &Path, mode: Option<Mode>, more: &[(&str, &str)]) -> Host {
    let built = [(EXECUTABLE, env!("CARGO_BIN_EXE_human-oversight"))];
    host_for(repository(), dir, mode, &[&built, more].concat()).await
}

/// A host with the function app in the folder `root`, whose gate stores its data in `dir`.
async fn host_for(root: &Path, dir: &Path, mode: Option<Mode>, more: &[(&str, &str)]) -> Host {
    let store = format!("embedded:{}", dir.display());
    let mail = format!("file:{}", dir.join("mail").display());
    let settings = [
        ("HO_SWEEP_SCHEDULE", "0 * * * * *"),
        ("HO_LOCAL", "1"),
        ("HO_BASE_URL", "{url}"),
        ("HO_STORE", store.as_str()),
        ("HO_MAIL", mail.as_str()),
        ("HO_MAIL_BUDGET", "off"),
        ("HO_OWNER_BUDGET", "off"),
    ];
    let mut host = Host::start(root, &[&settings, more].concat(), true, mode)
        .await
        .unwrap();
    host.until(Health::Ready).await;
    host
}

pub(crate) fn client(host: &Host) -> Client {
    Client::new(&host.url, Some(KEY)).unwrap()
}

pub(crate) fn gate(host: &Host) -> Gate {
    Gate::new(client(host))
        .agent("UserManagerAgent")
        .approvers([ALICE])
}

/// Runs one approval from the submit to the outcome; returns the approver's email.
pub(crate) async fn run_approval(gate: &Gate, host: &Host, dir: &Path) -> Question {
    let action = gate.action("Delete");
    let params = json!({"user_id": "1"});
    let pending = action.submit(&params).await.unwrap();
    let question = question(&mails(&dir.join("mail")), &pending.handle().id, ALICE);
    assert!(
        question.link.starts_with(&host.url),
        "links have the configured base URL"
    );
    let form = format!("decision=approve&code={}&comment=Fine", question.code);
    assert_eq!(decide_at(&question.link, &form).await.unwrap(), 303);
    assert_eq!(
        pending.run(&params, async |_| "ran").await,
        Outcome::Executed("ran")
    );
    question
}

/// With this, the gate logs routine calls too, which [`count_calls`] counts.
pub(crate) const EVERY_CALL: (&str, &str) = ("HO_LOG", "debug");

/// Counts the calls of each function in the host's log, as soon as the expected ones are there.
pub(crate) async fn count_calls(
    host: &Host,
    expected: &BTreeMap<String, usize>,
) -> BTreeMap<String, usize> {
    let so_far = || {
        let mut counts = BTreeMap::new();
        for (_, line) in host.log() {
            let function = line.split_once("function=\"");
            let function = function.and_then(|(_, rest)| rest.split_once('"'));
            if let (true, Some((function, _))) = (line.contains(": answered "), function)
                && function != "ping"
            {
                *counts.entry(function.to_owned()).or_insert(0) += 1;
            }
        }
        counts
    };
    // A response may arrive before its log line.
    let all = async || {
        let so_far = so_far();
        let mut expected = expected.iter();
        let have_come = expected.all(|(function, times)| so_far.get(function) >= Some(times));
        have_come.then_some(so_far)
    };
    eventually(all).await
}

/// Calls every function, at a host whose gate stores its data in `dir`.
async fn call_every_function(host: &Host, dir: &Path) {
    run_approval(&gate(host), host, dir).await;
    let withdrawn = client(host).submit(&for_alice()).await.unwrap();
    client(host)
        .withdraw(&withdrawn.id, &Default::default())
        .await
        .unwrap();
    assert_eq!(client(host).keys().await.unwrap().keys.len(), 1);
    let health = http()
        .build()
        .unwrap()
        .get(format!("{}/api/health", host.url))
        .header("x-functions-key", KEY);
    assert_eq!(health.send().await.unwrap().status(), 200);
    let document = format!("{}/api/openapi.json", host.url);
    let document = http().build().unwrap().get(document).send().await.unwrap();
    assert_eq!(document.status(), 200);
    // Without sign-in, no one has a list.
    let list = format!("{}/api/requests", host.url);
    let list = http().build().unwrap().get(list).send().await.unwrap();
    assert_eq!(list.status(), 404);
    let operate = http()
        .build()
        .unwrap()
        .post(format!("{}/api/operate", host.url))
        .header("x-functions-key", MASTER_KEY)
        .header("content-type", "application/json")
        .body(r#"{"command":"executing"}"#);
    assert_eq!(operate.send().await.unwrap().status(), 200);
    let reports = http()
        .build()
        .unwrap()
        .post(format!("{}/api/delivery?code={KEY}", host.url))
        .header("content-type", "application/json")
        .body("[]");
    assert_eq!(reports.send().await.unwrap().status(), 200);
    let (status, _) = client(host)
        .status(&withdrawn.id, Duration::from_secs(5))
        .await
        .unwrap();
    assert_eq!(status.status, Status::Cancelled);
    assert!(matches!(
        tick(host.handler, "sweep").await,
        Invocation::Succeeded { .. }
    ));
    let app = FunctionApp::read(repository(), &[("HO_SWEEP_SCHEDULE", "0 * * * * *")]).unwrap();
    // `agent_identity` calls those that take an identity; without the setting they do not exist.
    let others = app.functions.into_iter();
    let others = others.filter(|function| !function.name.starts_with("agent_"));
    let all = others.map(|function| (function.name, 1)).collect();
    count_calls(host, &all).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_function_works_behind_a_proxying_and_a_forwarding_host() {
    for mode in [Mode::Proxying, Mode::Forwarding] {
        let dir = tempfile::tempdir().unwrap();
        let host = host(dir.path(), Some(mode), &[EVERY_CALL]).await;
        call_every_function(&host, dir.path()).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "scripts/package --check runs it, on what it has packed"]
async fn every_function_of_the_package_works() {
    let package = std::env::var("HO_TEST_PACKAGE").unwrap();
    let package = Path::new(&package);
    // An operator may add the policy's file to the package, and name it by its path from there.
    let policy = repository().join("examples/policies/refunds.toml");
    std::fs::copy(policy, package.join("policy.toml")).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let settings = [("HO_POLICY_FILE", "policy.toml"), EVERY_CALL];
    let host = host_for(package, dir.path(), None, &settings).await;
    call_every_function(&host, dir.path()).await;
    let refund = NewApproval {
        agent_name: "RefundAgent".to_owned(),
        action_description: "Refund an order".to_owned(),
        parameters: object(json!({"order": "123456", "amount": 20, "currency": "EUR"})),
        approver_emails: Vec::new(),
        ..for_alice()
    };
    let approved = client(&host).submit(&refund).await.unwrap();
    assert_eq!(approved.status, Status::Approved);
    assert_eq!(approved.policy.unwrap().rules, ["small-refund"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_host_enforces_routes_and_keys() {
    let dir = tempfile::tempdir().unwrap();
    let host = host(dir.path(), None, &[]).await;
    let http = http().build().unwrap();
    let body = serde_json::to_vec(&for_alice()).unwrap();
    let send = async |method: reqwest::Method, path: &str, key: Option<&str>| {
        let mut call = http.request(method, format!("{}{path}", host.url));
        call = call
            .header("content-type", "application/json")
            .body(body.clone());
        if let Some(key) = key {
            call = call.header("x-functions-key", key);
        }
        call.send().await.unwrap().status().as_u16()
    };
    use reqwest::Method as M;
    for (method, path, key, status) in [
        (M::POST, "/api/submit", None, 401),
        (M::POST, "/api/submit", Some("another-key"), 401),
        (M::POST, "/api/submit", Some(KEY), 202),
        (M::POST, &format!("/api/submit?code={KEY}"), None, 202),
        (M::POST, "/API/Submit", Some(KEY), 404), // the host's routes ignore case, ours do not
        (M::GET, "/api/submit", Some(KEY), 404),
        (M::GET, "/api/status/YQ.b", None, 401),
        (M::POST, "/api/claim/YQ.b", None, 401),
        (M::POST, "/api/outcome/YQ.b", None, 401),
        (M::POST, "/api/withdraw/YQ.b", None, 401),
        (M::GET, "/api/keys", None, 200),
        (M::GET, "/api/openapi.json", None, 200),
        (M::GET, "/api/decision/YQ.b", None, 404),
        // The path of the timer and the inbox are not reachable through the host.
        (M::POST, "/sweep", Some(KEY), 404),
        (M::POST, "/api/sweep", Some(KEY), 404),
        (M::POST, "/api/../sweep", Some(KEY), 404),
        (M::POST, "/api/status/..%2f..%2fsweep", Some(KEY), 404),
        (M::GET, "/inbox", Some(KEY), 404),
        (M::GET, "/api/inbox", Some(KEY), 404),
        (M::GET, "/api/status/..%2f..%2finbox", Some(KEY), 404),
    ] {
        assert_eq!(
            send(method.clone(), path, key).await,
            status,
            "{method} {path}"
        );
    }
    for (_, line) in host.log() {
        assert!(!line.contains(KEY) && !line.contains("code="), "{line}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn forwarding_and_principal_headers_are_ignored() {
    let ignored = ["x-original-url", "x-host"];
    // When it proxies, the host replaces these. Otherwise they reach the gate, which refuses them in local
    // development (`edge`).
    let replaced = ["x-forwarded-host", "x-forwarded-for", "forwarded"];
    for (mode, names) in [
        (Mode::Proxying, [&ignored[..], &replaced].concat()),
        (Mode::Forwarding, ignored.to_vec()),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let host = host(
            dir.path(),
            Some(mode),
            &[("HO_BASE_URL", "https://gate.example.com")],
        )
        .await;
        let http = http().build().unwrap();
        let mut headers = reqwest::header::HeaderMap::new();
        for name in names {
            headers.insert(name, "evil.example".parse().unwrap());
        }
        // A forged principal of alice@example.com.
        headers.insert(
            "x-ms-client-principal",
            "eyJhdXRoX3R5cCI6ImFhZCJ9".parse().unwrap(),
        );
        headers.insert("x-ms-client-principal-name", ALICE.parse().unwrap());
        let answer = http
            .post(format!("{}/api/submit", host.url))
            .headers(headers.clone())
            .header("x-functions-key", KEY)
            .header("content-type", "application/json")
            .body(serde_json::to_vec(&for_alice()).unwrap())
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), 202);
        let location = answer.headers()["location"].to_str().unwrap().to_owned();
        assert!(location.starts_with("/api/status/"), "{location}");
        let id = location.rsplit('/').next().unwrap();
        let emails = mails(&dir.path().join("mail"));
        let link = question(&emails, id, ALICE).link;
        assert!(
            link.starts_with("https://gate.example.com/api/decision/"),
            "{link}"
        );
        assert!(!emails[0].source.contains("evil.example"));
        let page = http
            .get(format!("{}/api/decision/{id}", host.url))
            .headers(headers);
        assert_eq!(
            page.send().await.unwrap().status(),
            404,
            "a forged principal opens nothing"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_handler_restarts_with_its_data() {
    let dir = tempfile::tempdir().unwrap();
    let mut host = host(dir.path(), None, &[]).await;
    let approval = client(&host).submit(&for_alice()).await.unwrap();
    for _ in 0..2 {
        host.kill_handler().await;
        host.until(Health::Ready).await;
        let (still, _) = client(&host)
            .status(&approval.id, Duration::ZERO)
            .await
            .unwrap();
        assert_eq!(still, approval);
    }
    host.kill_handler().await;
    host.until(Health::HostStopped).await;
    let starts = host.starts.lock().unwrap().clone();
    eprintln!("from start to first response: {starts:?}");
    assert_eq!(starts.len(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_host_retries_a_wait_that_a_kill_interrupted() {
    let dir = tempfile::tempdir().unwrap();
    let mut host = host(dir.path(), Some(Mode::Proxying), &[]).await;
    let approval = client(&host).submit(&for_alice()).await.unwrap();
    let url = format!("{}/api/status/{}?wait=60", host.url, approval.id);
    let waiting = tokio::spawn(async move {
        // One call without retries by the client.
        let answer = http()
            .build()
            .unwrap()
            .get(url)
            .header("x-functions-key", KEY)
            .send();
        answer.await.unwrap().text().await.unwrap()
    });
    tokio::time::sleep(Duration::from_millis(300)).await;
    host.kill_handler().await;
    host.until(Health::Ready).await;
    let question = question(&mails(&dir.path().join("mail")), &approval.id, ALICE);
    assert_eq!(
        decide_at(&question.link, "decision=reject").await.unwrap(),
        303
    );
    assert!(waiting.await.unwrap().contains("\"status\":\"Rejected\""));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_handlers_share_one_store() {
    let dir = tempfile::tempdir().unwrap();
    let (one, other) = (
        host(dir.path(), None, &[]).await,
        host(dir.path(), None, &[]).await,
    );
    let approval = client(&one).submit(&for_alice()).await.unwrap();
    let waiting = {
        let (client, id) = (client(&other), approval.id.clone());
        tokio::spawn(async move { client.status(&id, Duration::from_secs(60)).await.unwrap().0 })
    };
    // A sweep of one handler does not affect the wait at the other.
    assert!(matches!(
        tick(other.handler, "sweep").await,
        Invocation::Succeeded { .. }
    ));
    let question = question(&mails(&dir.path().join("mail")), &approval.id, ALICE);
    assert_eq!(
        decide_at(&question.link, "decision=reject&comment=no")
            .await
            .unwrap(),
        303
    );
    assert_eq!(
        waiting.await.unwrap().status,
        Status::Rejected,
        "the wait reads the store again"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_settings_stop_the_host_with_one_line_each() {
    let (dir, keys) = (
        tempfile::tempdir().unwrap(),
        "@Microsoft.KeyVault(SecretUri=https://v/s)",
    );
    let settings = [
        (EXECUTABLE, env!("CARGO_BIN_EXE_human-oversight")),
        ("HO_SWEEP_SCHEDULE", "0 * * * * *"),
        ("HO_BASE_URL", "https://gate.example.com"),
        ("HO_ALLOWED_APPROVERS", "alice@example.com"),
        ("HO_LINK_KEYS", keys),
        ("HO_STORE", dir.path().to_str().unwrap()),
    ];
    let mut host = Host::start(repository(), &settings, true, None)
        .await
        .unwrap();
    host.until(Health::HostStopped).await;
    let errors: Vec<_> = host
        .log()
        .into_iter()
        .filter(|(level, _)| *level == Level::Error)
        .collect();
    let wrong = [
        "HO_STORE cannot be used",
        "HO_LINK_KEYS cannot be used",
        "HO_MAIL cannot be used",
        "HO_RECEIPT_KEYS is not set",
    ];
    // At each of three starts, and one by the host.
    assert_eq!(errors.len(), 3 * wrong.len() + 1);
    for ((_, line), words) in errors.iter().zip(wrong) {
        assert!(line.contains(words), "{words}: {line}");
    }
    assert!(
        host.log().iter().all(|(level, _)| *level == Level::Error),
        "nothing else is logged"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn log_lines_have_their_levels() {
    let dir = tempfile::tempdir().unwrap();
    let host = host(dir.path(), None, &[]).await;
    // A refused email is a warning; a failed store is an error.
    let mut unreachable = for_alice();
    unreachable.approver_emails = vec!["gone@example.invalid".to_owned()];
    client(&host).submit(&unreachable).await.unwrap();
    for file in ["approvals.db", "approvals.db-wal", "approvals.db-shm"] {
        std::fs::remove_file(dir.path().join(file)).ok();
    }
    std::fs::create_dir(dir.path().join("approvals.db")).unwrap();
    let fresh = self::host(dir.path(), None, &[]).await;
    let failed = client(&fresh).status("YQ.b", Duration::ZERO).await;
    assert!(failed.is_err());
    let has = |log: Vec<(Level, String)>, level: Level, words: &str| {
        assert!(
            log.iter()
                .any(|(l, line)| *l == level && line.contains(words)),
            "{words} in {log:#?}"
        );
    };
    has(
        host.log(),
        Level::Information,
        "function=\"submit\"}: answered status=202",
    );
    has(host.log(), Level::Warning, "email not sent");
    has(
        fresh.log(),
        Level::Error,
        "function=\"status\"}: failed status=503",
    );
    for (_, line) in host.log() {
        let one_record =
            line.contains(" INFO ") || line.contains(" WARN ") || line.contains(" ERROR ");
        assert!(one_record, "one line for each record: {line}");
    }
}

// The stand-in host.
