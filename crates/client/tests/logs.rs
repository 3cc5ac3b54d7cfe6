//! What a program logs whose settings are wrong, and whose gated function returns a fixed text: each kind of
//! logger gets one line that says so.

#![cfg(feature = "macros")]

use std::env;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Output, Stdio};
use std::thread;

use human_oversight_client::{approval_gate, flush_blocking};

const DENIED: &str = "DENIED: User deletion was not approved.";

#[approval_gate(
    agent_name = "UserManagerAgent",
    action_description = "Delete User Account",
    refusal_return_value = DENIED,
)]
fn delete_user(user_id: &str) -> &'static str {
    panic!("{user_id} was deleted without an approval")
}

struct StderrLogger;

impl log::Log for StderrLogger {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        eprintln!("a record of {}: {}", record.level(), record.args());
    }

    fn flush(&self) {}
}

/// Runs in a process of its own.
#[test]
#[ignore = "a_wrong_setting_is_logged_once_by_any_logger runs it"]
fn call_without_settings() {
    match env::var("LOGGER").unwrap().as_str() {
        "tracing" => tracing_subscriber::fmt()
            .with_writer(std::io::stderr)
            .with_ansi(false)
            .init(),
        "log" => {
            log::set_logger(&StderrLogger).unwrap();
            log::set_max_level(log::LevelFilter::Warn);
        }
        _ => {}
    }
    assert_eq!(delete_user("1"), DENIED);
    flush_blocking();
}

fn call_with(logger: &str, settings: &[(&str, &str)]) -> Output {
    let mut child = Command::new(env::current_exe().unwrap());
    child
        .args([
            "--exact",
            "--ignored",
            "--nocapture",
            "call_without_settings",
        ])
        .env_clear()
        .env("LOGGER", logger)
        .envs(settings.iter().copied())
        .stdin(Stdio::null());
    child.output().unwrap()
}

#[test]
fn a_wrong_setting_is_logged_once_by_any_logger() {
    for (logger, start) in [
        ("none", "human-oversight: not run, and no one was asked: "),
        ("tracing", "ERROR "),
        ("log", "a record of ERROR: "),
    ] {
        let output = call_with(logger, &[]);
        let logged = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{logged}");
        let lines: Vec<&str> = logged.lines().collect();
        let [line] = lines[..] else {
            panic!("{logger}: {logged}")
        };
        assert!(line.contains(start), "{logger}: {line}");
        assert!(line.contains("no one was asked"), "{logger}: {line}");
        assert!(line.contains("HO_URL is not set"), "{logger}: {line}");
    }
}

#[test]
fn a_claim_key_that_is_none_is_logged_without_its_text() {
    let short = "0".repeat(63);
    for wrong in [
        "hunter2",
        &short,
        &format!("{short}g"),
        &format!("{short}00"),
        &"é".repeat(32),
    ] {
        let settings = [
            ("HO_URL", "https://gate.example.com"),
            ("HO_CLAIM_KEY", wrong),
        ];
        let logged = String::from_utf8(call_with("none", &settings).stderr).unwrap();
        let why = "HO_CLAIM_KEY must be 64 hexadecimal digits";
        assert!(logged.contains(why), "{logged}");
        assert!(!logged.contains(wrong), "{logged}");
    }
}

/// Answers one call as a front might that has a page in the place of the gate's answer to a submit, and refuses the
/// withdrawal.
fn answer(stream: TcpStream) -> Option<()> {
    let mut reader = BufReader::new(&stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        (reader.read_line(&mut head).ok()? > 0).then_some(())?;
    }
    let lengths = head.lines().filter_map(|line| line.split_once(": "));
    let mut lengths = lengths.filter(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    let length = lengths
        .next()
        .map_or(0, |(_, length)| length.parse().unwrap());
    reader.read_exact(&mut vec![0; length]).ok()?;
    let key = r#"{"kty":"OKP","crv":"Ed25519","kid":"a","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
    let (status, body) = match head.split(['/', ' ']).nth(3)? {
        "keys" => (200, format!(r#"{{"keys":[{key}],"issuers":["https://gate.example.com"]}}"#)),
        "submit" => (200, "<html>".to_owned()),
        _ => (
            409,
            r#"{"type":"urn:human-oversight:problem:conflict","title":"No","status":409,"detail":"alice@example.com decided","invocationId":""}"#
                .to_owned(),
        ),
    };
    let length = body.len();
    let head =
        format!("HTTP/1.1 {status} X\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n");
    (&stream).write_all((head + &body).as_bytes()).ok()
}

#[test]
fn a_withdrawal_that_is_refused_is_logged_without_an_address() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || listener.incoming().flatten().map(answer).for_each(drop));
    let settings = [("HO_URL", &*url), ("APPROVER_EMAILS", "alice@example.com")];
    let output = call_with("tracing", &settings);
    let logged = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{logged}");
    let mut lines = logged.lines();
    let line = lines.find(|line| line.contains("the request could not be withdrawn"));
    let line = line.expect(&logged);
    assert!(line.contains("No: … decided (409)"), "{line}");
    assert!(!logged.contains("alice@"), "{logged}");
}
