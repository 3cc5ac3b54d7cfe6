//! What the start says to a person at a terminal.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Stdio;

use rustix::fs::{Mode, OFlags, open};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

use super::{Process, binary};
use crate::deadline::within;

#[tokio::test]
async fn in_a_terminal_the_start_says_where_the_gate_and_its_inbox_are_and_what_to_try() {
    let controller = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&controller).unwrap();
    unlockpt(&controller).unwrap();
    let name = ptsname(&controller, Vec::new()).unwrap();
    let flags = OFlags::RDWR | OFlags::NOCTTY;
    let terminal = open(name.as_c_str(), flags, Mode::empty()).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let _gate = with_files_in(dir.path())
        .stdout(Stdio::null())
        .stderr(terminal)
        .spawn()
        .unwrap();
    let banner = tokio::task::spawn_blocking(move || {
        let mut said = String::new();
        for line in BufReader::new(File::from(controller)).lines() {
            let line = line.unwrap();
            said.push_str(&line);
            said.push('\n');
            if line.contains("Ctrl-C") {
                break;
            }
        }
        said
    });
    let banner = within(banner).await.unwrap();
    let (_, rest) = banner.split_once("listening at ").unwrap();
    let (url, _) = rest.split_once('\n').unwrap();
    let url = url.trim_end();
    for words in [
        format!(" {url}/inbox"),
        // After `cargo run` the program is in no directory of PATH.
        format!(
            "HO_URL={url} {} ask ",
            env!("CARGO_BIN_EXE_human-oversight")
        ),
        "--approver approver@example.com -- echo hello".to_owned(),
        "docs/command-line.md".to_owned(),
    ] {
        assert!(banner.contains(&words), "{words} in {banner}");
    }
}

#[tokio::test]
async fn without_a_terminal_the_start_writes_log_lines_alone() {
    let dir = tempfile::tempdir().unwrap();
    let log = Process::start(dir.path(), &[]).await.kill().await;
    assert_eq!(log.lines().count(), 1, "{log}");
}

fn with_files_in(dir: &Path) -> tokio::process::Command {
    let mut gate = binary();
    gate.env("HO_PORT", "0")
        .env("HO_STORE", format!("embedded:{}", dir.display()))
        .env("HO_MAIL", format!("file:{}", dir.join("mail").display()));
    gate
}
