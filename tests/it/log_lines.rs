//! What the log says to operators: of which agent and why a call was refused, in which words, and in which form.

use std::time::Duration;

use human_oversight_client::parameters::{hex, sha256};
use human_oversight_client::types::NewApproval;
use serde_json::{Value, json};

use tokio::io::{AsyncBufReadExt, BufReader};

use crate::claim::claim;
use crate::deadline::within;
use crate::harness::{AGENT, ALICE, Log, TestGate, http, mails, question, repository, request};
use crate::host::{KEY, OTHER_KEY};
use crate::process::{Process, decide_at};

#[tokio::test]
async fn every_refused_call_says_of_which_agent_and_why() {
    let keys = format!("{}={AGENT}", hex(&sha256(KEY.as_bytes())));
    let gate = TestGate::with(&[("HO_AGENT_KEYS", &keys)]).await;
    let approval = gate.ask().await;
    let question = gate.question(&approval, ALICE);
    let log = Log::default();
    let collecting = log.collect();

    let status = |id: &str| format!("{}/api/status/{id}", gate.url);
    let unknown = format!("{}.unknown", approval.id.split_once('.').unwrap().0);
    gate.get(&status(&unknown)).await;
    let stranger = http().build().unwrap().get(status(&approval.id));
    stranger
        .header("x-functions-key", OTHER_KEY)
        .send()
        .await
        .unwrap();
    gate.client
        .claim(&approval.id, &claim("0123456789abcdef"))
        .await
        .unwrap_err();
    let submit = async |new: Value| gate.post("/api/submit", new.to_string()).await.status;
    let mut new = json!(request());
    new["agentName"] = json!("PaymentsAgent");
    assert_eq!(submit(new.clone()).await, 403);
    new["correlationId"] = json!("run-42");
    new["timeoutSeconds"] = json!(5);
    assert_eq!(submit(new).await, 422);
    gate.post("/api/submit", "{").await;
    gate.get(&gate.direct("/api/nothing")).await;
    // As with a wrong HO_BASE_URL.
    let wrong = if question.code == "271828" {
        "314159"
    } else {
        "271828"
    };
    let form = [("decision", "approve"), ("code", wrong)];
    let page = gate.get(&crate::harness::with_forms(&question.link)).await;
    gate.send_form(&page, &form).await;
    let elsewhere = gate.http.post(format!("{}{}", gate.url, page.action()));
    elsewhere.send().await.unwrap();
    gate.get(&question.link[..question.link.len() - 1]).await;
    drop(collecting);

    let agent = format!("agent=\"{AGENT}\"");
    for (start, end) in [
        (format!("answered status=404 id=\"{unknown}\""), format!("{agent} cause=\"there is no such request\"")),
        (
            format!("answered status=404 id=\"{}\"", approval.id),
            format!(
                "{agent} cause=\"the request is not this caller's: another key, or a link or sign-in of no approver\""
            ),
        ),
        (
            format!("answered status=409 id=\"{}\"", approval.id),
            format!("{agent} cause=\"The request is Pending.\""),
        ),
        (
            "answered status=403 id=\"\"".to_owned(),
            "agent=\"PaymentsAgent\" cause=\"This function key or identity may not act for this agent (HO_AGENT_KEYS).\"".to_owned(),
        ),
        (
            "answered status=422 id=\"UGF5bWVudHNBZ2VudA.run-42\"".to_owned(),
            "agent=\"PaymentsAgent\" cause=\"timeoutSeconds must be a whole number from 10 to 2592000\"".to_owned(),
        ),
        (
            "answered status=400 id=\"\"".to_owned(),
            "cause=\"The body is not valid JSON: error at line 1, column 1.\"".to_owned(),
        ),
        ("answered status=404 id=\"\"".to_owned(), "cause=\"there is no such address\"".to_owned()),
        (
            format!("answered status=303 id=\"{}\"", approval.id),
            format!("{agent} cause=\"the code is wrong\""),
        ),
        (
            format!("answered status=403 id=\"{}\"", approval.id),
            format!("{agent} cause=\"the code is wrong\""),
        ),
        (
            format!("answered status=403 id=\"{}\"", approval.id),
            format!("{agent} cause=\"The form must be sent from the gate's own page.\""),
        ),
    ] {
        let lines = log.lines();
        let is_it = |line: &String| line.contains(&start) && line.ends_with(&end);
        assert!(lines.iter().any(is_it), "{start} … {end} in\n{}", lines.join("\n"));
    }
    for line in log.lines() {
        let refused = ["status=40", "status=42"]
            .iter()
            .any(|it| line.contains(it));
        assert!(!refused || line.contains(" cause="), "{line}");
    }
}

#[tokio::test]
async fn a_name_that_a_line_cannot_hold_is_in_the_id_alone() {
    let gate = TestGate::start().await;
    let log = Log::default();
    let collecting = log.collect();
    for agent in ["x\" cause=\"forged", "bot@example.com", "=", "Ärzte 東京"] {
        let new = NewApproval {
            agent_name: agent.to_owned(),
            timeout_seconds: Some(5),
            ..request()
        };
        gate.client.submit(&new).await.unwrap_err();
    }
    drop(collecting);
    assert_eq!(log.count("answered status=422"), 4);
    assert_eq!(log.count(" agent="), 1);
    assert_eq!(log.count(" agent=\"Ärzte 東京\""), 1);
}

/// The same words as in the other form, which alerts look for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_in_json_has_one_object_a_line_with_the_same_words() {
    let dir = tempfile::tempdir().unwrap();
    let settings = [("HO_LOG_FORMAT", "json"), ("HO_SWEEP_SECONDS", "3600")];
    // Its address is in another place of the line.
    let port = crate::host::ReservedPort::new();
    let number = port.number.to_string();
    drop(port);
    let mut command = crate::process::binary();
    command
        .envs(settings)
        .env("HO_PORT", &number)
        .env("HO_STORE", format!("embedded:{}", dir.path().display()))
        .env(
            "HO_MAIL",
            format!("file:{}", dir.path().join("mail").display()),
        )
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped());
    let mut gate = command.spawn().unwrap();
    let url = format!("http://127.0.0.1:{number}");
    let client = human_oversight_client::Client::new(&url, None).unwrap();
    let approval = crate::deadline::eventually(async || client.submit(&request()).await.ok()).await;
    let unreachable = NewApproval {
        approver_emails: vec!["gone@example.invalid".to_owned()],
        ..request()
    };
    client.submit(&unreachable).await.unwrap();
    let asked = question(&mails(&dir.path().join("mail")), &approval.id, ALICE);
    let form = format!("decision=approve&code={}", asked.code);
    assert_eq!(decide_at(&asked.link, &form).await.unwrap(), 303);
    client.status("YQ.b", Duration::ZERO).await.unwrap_err();
    gate.start_kill().unwrap();
    let output = within(gate.wait_with_output()).await.unwrap();
    let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    let lines: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}")))
        .collect();
    for (message, member, value) in [
        ("stored", "event", "Approved"),
        ("stored", "event", "Undeliverable"),
        ("email not sent", "kind", "Question"),
        ("answered", "cause", "there is no such request"),
    ] {
        let is_it = |line: &&Value| line["message"] == message && line[member] == value;
        let line = lines.iter().find(is_it);
        let line = line.unwrap_or_else(|| panic!("{message} {value} in\n{text}"));
        assert_eq!(line["span"]["name"], "call", "{line}");
        assert!(line["span"]["function"].is_string() && line["level"].is_string());
        assert!(message != "answered" || line["ms"].is_u64(), "{line}");
    }
    let started = lines.iter().find(|line| line["url"] == url.as_str());
    assert_eq!(started.unwrap()["store"], "embedded");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_start_says_version_store_transport_and_the_ids_of_the_keys() {
    let dir = tempfile::tempdir().unwrap();
    let log = Process::start(dir.path(), &[]).await.kill().await;
    let kid = |file: &str| {
        let keys = std::fs::read_to_string(dir.path().join(file)).unwrap();
        keys.split_once(':').unwrap().0.to_owned()
    };
    let (link, receipt) = (kid("link.keys"), kid("receipt.keys"));
    let words = format!(
        " version=\"{} (debug build)\" store=\"embedded\" mail=\"file\" keys=\"link {link}, receipt {receipt}\"",
        env!("CARGO_PKG_VERSION")
    );
    assert!(log.contains("listening") && log.contains(&words), "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_start_says_that_the_setting_pauses_everything() {
    let dir = tempfile::tempdir().unwrap();
    let words = "HO_PAUSED is set: every operation is paused";
    for (paused, settings) in [(false, &[][..]), (true, &[("HO_PAUSED", "1")])] {
        let log = Process::start(dir.path(), settings).await.kill().await;
        assert_eq!(log.contains(words), paused, "{log}");
    }
}

/// At the start, and in `check`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_level_that_hides_what_alerts_look_for_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let store = format!("embedded:{}", dir.path().display());
    for level in [
        "warn",
        "error",
        "warn,human_oversight=error",
        "trace,human_oversight=error",
    ] {
        let mut gate = crate::process::binary()
            .envs([
                ("HO_STORE", store.as_str()),
                ("HO_LOG", level),
                ("HO_PORT", "0"),
            ])
            .stderr(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(gate.stderr.take().unwrap()).lines();
        let words = "HO_LOG leaves out lines that alerts and saved queries look for";
        let said = within(async {
            while let Some(line) = lines.next_line().await.unwrap() {
                if line.contains(words) {
                    return true;
                }
            }
            false
        });
        assert!(said.await, "{level}");
        gate.start_kill().unwrap();
        gate.wait().await.unwrap();
    }
    for (level, is_said) in [
        ("warn", true),
        ("off", true),
        ("human_oversight::app=warn", true),
        ("warn,human_oversight=info", false),
        ("hyper=trace", false),
        ("debug", false),
    ] {
        let settings = [("HO_STORE", store.as_str()), ("HO_LOG", level)];
        let (said, _) = crate::process::run(&settings, &["check"]).await;
        let words = "HO_LOG: it leaves out lines that alerts and saved queries look for";
        assert_eq!(said.contains(words), is_said, "{level}: {said}");
    }
}

/// The words of every warning and error that the gate can log.
fn words_of_faults() -> Vec<String> {
    let mut words = Vec::new();
    let mut folders = vec![repository().join("src")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let source = std::fs::read_to_string(&path).unwrap();
            let source = source.split("#[cfg(test)]").next().unwrap();
            let calls = [
                "tracing::warn!(",
                "tracing::error!(",
                "log!(warn,",
                "log!(error,",
            ]
            .iter()
            .flat_map(|start| source.split(start).skip(1));
            for call in calls {
                // The words are the last argument.
                let ends = [call.find("\")"), call.find("\"\n")];
                let end = ends.into_iter().flatten().min().unwrap();
                let start = call[..end].rfind('"').unwrap();
                words.push(call[start + 1..end].to_owned());
            }
        }
    }
    words.sort();
    words.dedup();
    words
}

#[test]
fn every_warning_and_error_is_explained_to_operators() {
    let docs = include_str!("../../docs/log.md");
    let words = words_of_faults();
    assert!(words.len() > 25, "{words:#?}");
    let missing: Vec<&String> = words
        .iter()
        .filter(|words| !docs.contains(words.as_str()))
        .collect();
    assert!(missing.is_empty(), "{missing:#?}");
}
