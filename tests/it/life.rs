//! The handler's life as the host lives it: the real binary, started, fed, killed and started again.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use human_oversight_client::types::Status;
use human_oversight_client::{Client, Gate, Outcome};
use serde_json::json;
use tempfile::TempDir;

use crate::deadline::eventually;
use crate::harness::{ALICE, Question, for_alice, http, mails, question, repository};
use crate::host::{FunctionApp, Health, Host, Invocation, KEY, Level, Mode, Trigger, tick};
use crate::process::decide_at;

const EXECUTABLE: &str = "AzureFunctionsJobHost__customHandler__description__defaultExecutablePath";

/// A host over the checkout's own files and the binary that was built from it.
pub(crate) async fn host(dir: &Path, mode: Option<Mode>, more: &[(&str, &str)]) -> Host {
    let built = [(EXECUTABLE, env!("CARGO_BIN_EXE_human-oversight"))];
    host_of(repository(), dir, mode, &[&built, more].concat()).await
}

/// A host over the function app in the folder `root`, which keeps its data in `dir`.
async fn host_of(root: &Path, dir: &Path, mode: Option<Mode>, more: &[(&str, &str)]) -> Host {
    let store = format!("embedded:{}", dir.display());
    let mail = format!("file:{}", dir.join("mail").display());
    let settings = [
        ("HO_SWEEP_SCHEDULE", "0 * * * * *"),
        ("HO_LOCAL", "1"),
        ("HO_BASE_URL", "{url}"),
        ("HO_STORE", store.as_str()),
        ("HO_MAIL", mail.as_str()),
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

/// One approval, from the request to the outcome; and what the approver was mailed.
pub(crate) async fn approved(gate: &Gate, host: &Host, dir: &Path) -> Question {
    let action = gate.action("Delete");
    let params = json!({"user_id": "1"});
    let pending = action.submit(&params).await.unwrap();
    let asked = question(&mails(&dir.join("mail")), &pending.handle().id, ALICE);
    assert!(
        asked.link.starts_with(&host.url),
        "links go to the configured address"
    );
    let form = format!("decision=approve&code={}&comment=Fine", asked.code);
    assert_eq!(decide_at(&asked.link, &form).await.unwrap(), 303);
    assert_eq!(
        pending.run(&params, async |_| "ran").await,
        Outcome::Executed("ran")
    );
    asked
}

/// How often each function has answered, as the host hears it: as soon as all have that are expected.
pub(crate) async fn answered(
    host: &Host,
    expected: &BTreeMap<String, usize>,
) -> BTreeMap<String, usize> {
    let so_far = || {
        let mut answered = BTreeMap::new();
        for (_, line) in host.log() {
            let function = line.split_once("function=\"");
            let function = function.and_then(|(_, rest)| rest.split_once('"'));
            if let (true, Some((function, _))) = (line.contains(": answered "), function) {
                *answered.entry(function.to_owned()).or_insert(0) += 1;
            }
        }
        answered
    };
    // An answer may be here before the line about it.
    let all = async || {
        let so_far = so_far();
        let mut expected = expected.iter();
        let have_come = expected.all(|(function, times)| so_far.get(function) >= Some(times));
        have_come.then_some(so_far)
    };
    eventually(all).await
}

/// Everything that agents and approvers do, over a host whose gate keeps its data in `dir`.
async fn whole_life(host: &Host, dir: &Path) {
    approved(&gate(host), host, dir).await;
    let withdrawn = client(host).submit(&for_alice()).await.unwrap();
    client(host)
        .withdraw(&withdrawn.id, &Default::default())
        .await
        .unwrap();
    assert_eq!(client(host).keys().await.unwrap().keys.len(), 1);
    let document = format!("{}/api/openapi.json", host.url);
    let document = http().build().unwrap().get(document).send().await.unwrap();
    assert_eq!(document.status(), 200);
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
    let all = app
        .functions
        .into_iter()
        .map(|function| (function.name, 1))
        .collect();
    answered(host, &all).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_whole_life_over_a_host_that_proxies_and_one_that_forwards() {
    for mode in [Mode::Proxying, Mode::Forwarding] {
        let dir = tempfile::tempdir().unwrap();
        let host = host(dir.path(), Some(mode), &[]).await;
        whole_life(&host, dir.path()).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "scripts/package --check runs it, on what it has packed"]
async fn a_whole_life_of_the_package() {
    let package = std::env::var("HO_TEST_PACKAGE").unwrap();
    let dir = tempfile::tempdir().unwrap();
    let host = host_of(Path::new(&package), dir.path(), None, &[]).await;
    whole_life(&host, dir.path()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn routes_and_keys_are_the_hosts() {
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
        // The timer's path and the inbox are for the host and the developer alone.
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
async fn links_trust_no_header_and_principals_are_nobody() {
    for mode in [Mode::Proxying, Mode::Forwarding] {
        let dir = tempfile::tempdir().unwrap();
        let host = host(
            dir.path(),
            Some(mode),
            &[("HO_BASE_URL", "https://gate.example.com")],
        )
        .await;
        let http = http().build().unwrap();
        let mut headers = reqwest::header::HeaderMap::new();
        for name in [
            "x-forwarded-host",
            "x-original-host",
            "forwarded",
            "x-original-url",
            "x-host",
        ] {
            headers.insert(name, "evil.example".parse().unwrap());
        }
        // "alice@example.com is signed in", as anybody could send it.
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
        let mails = mails(&dir.path().join("mail"));
        let link = question(&mails, id, ALICE).link;
        assert!(
            link.starts_with("https://gate.example.com/api/decision/"),
            "{link}"
        );
        assert!(!mails[0].source.contains("evil.example"));
        let page = http
            .get(format!("{}/api/decision/{id}", host.url))
            .headers(headers);
        assert_eq!(
            page.send().await.unwrap().status(),
            404,
            "a principal opens nothing"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_it_comes_back_on_its_port_with_everything() {
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
    eprintln!("from its start to its first answer: {starts:?}");
    assert_eq!(starts.len(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wait_that_a_kill_cut_off_is_asked_again_by_the_host_and_answered() {
    let dir = tempfile::tempdir().unwrap();
    let mut host = host(dir.path(), Some(Mode::Proxying), &[]).await;
    let approval = client(&host).submit(&for_alice()).await.unwrap();
    let url = format!("{}/api/status/{}?wait=60", host.url, approval.id);
    let waiting = tokio::spawn(async move {
        // One call, which knows nothing of retries.
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
    let asked = question(&mails(&dir.path().join("mail")), &approval.id, ALICE);
    assert_eq!(
        decide_at(&asked.link, "decision=reject").await.unwrap(),
        303
    );
    assert!(waiting.await.unwrap().contains("\"status\":\"Rejected\""));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_handlers_share_one_store() {
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
    // The sweep of one does not disturb the other's requests.
    assert!(matches!(
        tick(other.handler, "sweep").await,
        Invocation::Succeeded { .. }
    ));
    let asked = question(&mails(&dir.path().join("mail")), &approval.id, ALICE);
    assert_eq!(
        decide_at(&asked.link, "decision=reject&comment=no")
            .await
            .unwrap(),
        303
    );
    assert_eq!(
        waiting.await.unwrap().status,
        Status::Rejected,
        "seen when the store is read again"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_setting_that_cannot_be_used_stops_the_host_with_a_clear_line() {
    let (dir, keys) = (
        tempfile::tempdir().unwrap(),
        "@Microsoft.KeyVault(SecretUri=https://v/s)",
    );
    let settings = [
        (EXECUTABLE, env!("CARGO_BIN_EXE_human-oversight")),
        ("HO_SWEEP_SCHEDULE", "0 * * * * *"),
        ("HO_BASE_URL", "https://gate.example.com"),
        ("HO_ALLOWED_APPROVERS", "*@example.com"),
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
    assert_eq!(errors.len(), 4, "one line each time, and the host's own");
    assert!(
        errors[0].1.contains("HO_STORE cannot be used"),
        "{}",
        errors[0].1
    );
    assert!(
        host.log().iter().all(|(level, _)| *level == Level::Error),
        "nothing else is said"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_is_read_at_its_levels() {
    let dir = tempfile::tempdir().unwrap();
    let host = host(dir.path(), None, &[]).await;
    // A mail that is refused is a warning; a store that fails is an error.
    let mut nobody = for_alice();
    nobody.approver_emails = vec!["gone@example.invalid".to_owned()];
    client(&host).submit(&nobody).await.unwrap();
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
    has(host.log(), Level::Warning, "a mail was not sent");
    has(
        fresh.log(),
        Level::Error,
        "function=\"status\"}: failed status=503",
    );
    for (_, line) in host.log() {
        let one_record =
            line.contains(" INFO ") || line.contains(" WARN ") || line.contains(" ERROR ");
        assert!(one_record, "one line a record: {line}");
    }
}

// The stand-in itself.

/// A function app whose handler is a shell script.
fn script(text: &str) -> TempDir {
    let root = tempfile::tempdir().unwrap();
    let handler = root.path().join("handler");
    std::fs::write(&handler, format!("#!/bin/sh\n{text}\n")).unwrap();
    std::fs::set_permissions(&handler, std::fs::Permissions::from_mode(0o755)).unwrap();
    let host = json!({"version": "2.0", "customHandler": {
        "description": {"defaultExecutablePath": "handler"}, "enableForwardingHttpRequest": true}});
    std::fs::write(root.path().join("host.json"), host.to_string()).unwrap();
    std::fs::create_dir(root.path().join("ping")).unwrap();
    let function = json!({"bindings": [
        {"type": "httpTrigger", "direction": "in", "name": "req", "methods": ["get"], "authLevel": "anonymous"},
        {"type": "http", "direction": "out", "name": "res"}]});
    std::fs::write(root.path().join("ping/function.json"), function.to_string()).unwrap();
    root
}

#[tokio::test]
async fn the_stand_in_follows_the_exit_table() {
    for (code, restart_on_zero, end, starts) in [
        (1, true, Health::HostStopped, 3),
        (134, true, Health::HostStopped, 3),
        (0, false, Health::Abandoned, 1),
    ] {
        let root = script(&format!("echo started; echo 'forewarned' >&2; exit {code}"));
        let mut host = Host::start(root.path(), &[], restart_on_zero, None)
            .await
            .unwrap();
        host.until(end).await;
        let log = host.log();
        let count = |level| log.iter().filter(|(l, _)| *l == level).count();
        assert_eq!(count(Level::Information), starts, "{code}");
        assert_eq!(
            count(Level::Warning),
            starts,
            "a line with warn in it is one"
        );
    }
    for (code, restart_on_zero) in [(200, false), (0, true)] {
        let root = script(&format!(
            "echo started; [ -e again ] && sleep 60; touch again; exit {code}"
        ));
        let host = Host::start(root.path(), &[], restart_on_zero, None)
            .await
            .unwrap();
        eventually(async || (host.log().len() >= 2).then_some(())).await;
        assert_ne!(*host.health.borrow(), Health::HostStopped);
    }
}

#[test]
fn the_stand_in_is_as_strict_as_the_host() {
    let root = script("");
    assert_eq!(
        FunctionApp::read(root.path(), &[]).unwrap().mode,
        Mode::Forwarding
    );
    let function = root.path().join("ping/function.json");
    let good = std::fs::read_to_string(&function).unwrap();
    let parsed = FunctionApp::read(root.path(), &[]).unwrap();
    assert!(
        matches!(&parsed.functions[0].trigger, Trigger::Http { route, .. } if route == &["ping"])
    );
    for bad in [
        good.replace(
            "[{\"auth",
            "[{\"type\":\"queue\",\"direction\":\"out\"},{\"auth",
        ),
        good.replace("anonymous", "everybody"),
        good.replace("httpTrigger", "smokeSignal"),
        "{".to_owned(),
    ] {
        assert_ne!(bad, good);
        std::fs::write(&function, bad).unwrap();
        assert!(FunctionApp::read(root.path(), &[]).is_err());
    }
}

#[tokio::test]
async fn the_stand_in_knows_a_hang_when_it_sees_one() {
    let answer = async |kind: &'static str, body: &'static str, status: u16| {
        let router = axum::Router::new().fallback(move || async move {
            (
                axum::http::StatusCode::from_u16(status).unwrap(),
                [("content-type", kind)],
                body,
            )
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async { axum::serve(listener, router).await });
        tick(address, "sweep").await
    };
    let json = "application/json";
    assert_eq!(answer(json, "", 200).await, Invocation::Hang);
    assert_eq!(answer(json, "null", 200).await, Invocation::Hang);
    assert!(matches!(
        answer("text/plain", "{}", 200).await,
        Invocation::Failed(_)
    ));
    assert!(matches!(
        answer(json, "{}", 503).await,
        Invocation::Failed(_)
    ));
    let logs = vec!["a".to_owned()];
    assert_eq!(
        answer(json, r#"{"Logs":["a"]}"#, 200).await,
        Invocation::Succeeded { logs }
    );
}
