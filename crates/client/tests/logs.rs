//! What a program logs whose settings are wrong, and whose gated function returns a fixed text: each kind of
//! logger gets one line that says so.

#![cfg(feature = "macros")]

use std::env;
use std::process::{Command, Output, Stdio};

use human_oversight_client::approval_gate;

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
