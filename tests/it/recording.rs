//! The stand-in host against the recording of the real one (`tests/host/README.md`).

mod handler;

use std::path::Path;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use crate::deadline::within;
use crate::harness::repository;
use crate::host::{Front, FunctionApp, KEY, MASTER_KEY, Mode, from_latin1, latin1};

use handler::Recorder;

/// The cases that the stand-in answers otherwise, and why.
const NOT_COPIED: [(&str, &str); 6] = [
    (
        "extra binding",
        "the host sends it as a JSON payload; the stand-in refuses to start with such a function",
    ),
    ("admin tick no key", HOSTS_OWN),
    ("admin status no key", HOSTS_OWN),
    ("admin status master", HOSTS_OWN),
    ("admin ping", HOSTS_OWN),
    ("runtime webhooks", HOSTS_OWN),
];
const HOSTS_OWN: &str = "the host's own interface: nothing of it reaches a handler";

/// The app of the recording, without `extra`.
fn app() -> (TempDir, FunctionApp) {
    let root = tempfile::tempdir().unwrap();
    let write = |path: &Path, content: Value| std::fs::write(path, content.to_string()).unwrap();
    write(
        &root.path().join("host.json"),
        json!({"version": "2.0", "customHandler": {
            "description": {"defaultExecutablePath": "handler"}, "enableForwardingHttpRequest": true}}),
    );
    let all = "get post put delete patch head options";
    for (name, route, methods, level) in [
        ("one", "one/{id}", "get post", "anonymous"),
        ("echo", "echo/{*rest}", all, "anonymous"),
        ("beh", "beh/{what}", "get post head put delete", "anonymous"),
        ("keyed", "keyed/{id?}", "get post", "function"),
        ("adm", "adm", "get post", "admin"),
    ] {
        let methods: Vec<&str> = methods.split(' ').collect();
        std::fs::create_dir(root.path().join(name)).unwrap();
        write(
            &root.path().join(name).join("function.json"),
            json!({"bindings": [
                {"type": "httpTrigger", "direction": "in", "name": "req", "methods": methods,
                 "route": route, "authLevel": level},
                {"type": "http", "direction": "out", "name": "res"}]}),
        );
    }
    let app = FunctionApp::read(root.path(), &[]).unwrap();
    (root, app)
}

/// Replaces what the recording masks.
fn unmask(text: &str) -> String {
    text.replace("{key}", KEY)
        .replace("{KEY}", &KEY.to_uppercase())
        .replace("{master}", MASTER_KEY)
}

/// Sends the request of an exchange to the stand-in. Returns what the recording would say.
async fn replay(app: &FunctionApp, recorded: &Value) -> Value {
    let mode = match recorded["mode"].as_str() {
        Some("proxying") => Mode::Proxying,
        _ => Mode::Forwarding,
    };
    let recorder = Recorder::start().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut client = TcpStream::connect(listener.local_addr().unwrap())
        .await
        .unwrap();
    Front::open(app.clone(), mode, listener, recorder.address, None);
    let request = from_latin1(&unmask(recorded["request"].as_str().unwrap()));
    let case = recorded["case"].as_str().unwrap();
    let mut answer = Vec::new();
    let mut sent = 0;
    if case.starts_with("Expect 100 P/F") {
        let head = request.windows(4).position(|end| end == b"\r\n\r\n");
        sent = head.unwrap() + 4;
        client.write_all(&request[..sent]).await.unwrap();
        while !answer.ends_with(b"\r\n\r\n") {
            within(client.read_buf(&mut answer)).await.unwrap();
        }
    }
    client.write_all(&request[sent..]).await.unwrap();
    if case.ends_with("then close") {
        client.shutdown().await.unwrap();
    }
    let stays_open = recorded["end"][0] == "TimeoutError";
    let end = loop {
        let is_answered = !answer.is_empty();
        let reading = client.read_buf(&mut answer);
        let read = if stays_open && is_answered {
            timeout(Duration::from_millis(200), reading).await
        } else {
            timeout(Duration::from_secs(8), reading).await
        };
        match read {
            Ok(Ok(0)) => break "EOF",
            Ok(Ok(_)) => {}
            Ok(Err(_)) => break "ConnectionResetError",
            Err(_) => break "TimeoutError",
        }
    };
    let delivered = recorder.delivered();
    let first = delivered.first().map(|first| {
        let head = recorder.mask(first["head"].as_str().unwrap());
        let mut first = first.clone();
        first["head"] = head.into();
        first
    });
    json!({
        "deliveries": delivered.len(),
        "delivered": first.into_iter().collect::<Vec<_>>(),
        "answer": masked_answer(&answer, &recorder),
        "end": [end],
    })
}

/// The answer as the recording has it.
fn masked_answer(answer: &[u8], recorder: &Recorder) -> Value {
    let text = latin1(answer);
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        assert_eq!(text, "");
        return Value::Null;
    };
    let echo = recorder.description();
    let (mut head, mut body) = (head.to_owned(), body.to_owned());
    if !body.is_empty() && body == echo {
        head = head.replace(
            &format!("Content-Length: {}", echo.len()),
            "Content-Length: {echo}",
        );
        body = "{echo}".to_owned();
    }
    let body: String = body.chars().take(600).collect();
    json!({"head": recorder.mask(&head), "body": recorder.mask(&body)})
}

/// How a replay differs from the recording, if it does.
fn difference(recorded: &Value, replayed: &Value, time: Duration) -> Option<String> {
    let mut lines = Vec::new();
    for name in ["deliveries", "delivered", "answer", "end"] {
        let (recorded, replayed) = (&recorded[name], &replayed[name]);
        if recorded != replayed {
            lines.push(format!(
                "  recorded {name} {recorded}\n  replayed {name} {replayed}"
            ));
        }
    }
    let about = recorded["about_s"].as_f64().unwrap_or_default();
    if recorded["end"][0] != "TimeoutError" && time.as_secs_f64() < about - 0.3 {
        lines.push(format!("  took {about} s, and now {time:?}"));
    }
    let title = format!("{}, {}\n", recorded["case"], recorded["mode"]);
    (!lines.is_empty()).then(|| title + &lines.join("\n"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_stand_in_delivers_and_answers_what_the_real_host_did() {
    let recording = std::fs::read_to_string(repository().join("tests/host/recorded.jsonl"));
    let recording: Vec<Value> = recording
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(recording.len(), 2 * 154);
    let (_root, app) = app();
    let replays = recording.iter().map(async |recorded| {
        let started = Instant::now();
        let replayed = replay(&app, recorded).await;
        (recorded, difference(recorded, &replayed, started.elapsed()))
    });
    let replays = futures_util::stream::iter(replays).buffer_unordered(32);
    let replays: Vec<_> = replays.collect().await;
    let mut wrong = Vec::new();
    for (recorded, difference) in replays {
        let case = &recorded["case"];
        let is_listed = NOT_COPIED.iter().any(|(listed, _)| case == listed);
        match difference {
            Some(difference) if !is_listed => wrong.push(difference),
            None if is_listed => wrong.push(format!("{case} is listed, and yet the same")),
            _ => {}
        }
    }
    let count = wrong.len();
    assert!(wrong.is_empty(), "{count} wrong:\n{}", wrong.join("\n"));
}
