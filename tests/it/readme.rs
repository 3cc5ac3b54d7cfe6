//! Runs the commands of the README.

use std::process::Stdio;

use tokio::process::Command;

use crate::azurite::{Table, azurite};
use crate::backing_store;
use crate::deadline::within;
use crate::harness::request;
use crate::process::Process;

/// The shell blocks of the README.
fn blocks() -> Vec<&'static str> {
    let readme = include_str!("../../README.md");
    readme
        .split("```sh\n")
        .skip(1)
        .map(|block| block.split_once("```").unwrap().0)
        .collect()
}

#[tokio::test]
async fn every_command_of_the_readme_runs() {
    let mut run = Vec::new();
    for block in blocks() {
        match block.trim() {
            // demo.rs and process.rs run the same commands of the binary.
            "cargo run -- demo" | "cargo run" | "cargo run -- keygen" => run.push("elsewhere"),
            // The tests use the same version of Azurite, installed by scripts/test.
            "npx --yes azurite@3.35.0 --silent --location .oversight/azurite" => {
                let installed = include_str!("../azurite/package.json");
                assert!(installed.contains(r#""azurite": "3.35.0""#));
                run.push("elsewhere");
            }
            "HO_STORE=tables HO_TABLES_CONNECTION_STRING=UseDevelopmentStorage=true cargo run" => {
                run_on_azurite().await;
                run.push("here");
            }
            // It runs this test.
            "./scripts/test" => run.push("elsewhere"),
            calls if calls.starts_with("curl") => {
                let dir = tempfile::tempdir().unwrap();
                let gate = Process::start(dir.path(), &[]).await;
                let calls = calls.replace("http://127.0.0.1:7071", &gate.url);
                let output = Command::new("sh")
                    .args([
                        "-euc",
                        &calls.replace("curl -sS", "curl -sS --fail-with-body"),
                    ])
                    .stdin(Stdio::null())
                    .kill_on_drop(true)
                    .output();
                let output = within(output).await.unwrap();
                let answers = String::from_utf8(output.stdout).unwrap();
                assert!(output.status.success(), "{answers}");
                for part in ["\"status\":\"Pending\"", "\"Cancelled\"", "\"OKP\""] {
                    assert!(answers.contains(part), "{part} in {answers}");
                }
                run.push("here");
            }
            other => panic!("the README has a command that no test runs: {other}"),
        }
    }
    let [there, here] = ["elsewhere", "here"];
    assert_eq!(run, [there, there, here, there, here, there, there]);
}

/// Runs the program on tables, with Azurite at the port of the tests.
async fn run_on_azurite() {
    let settings = backing_store::tables(azurite().port);
    let dir = tempfile::tempdir().unwrap();
    let table = Table::of(azurite().port, &settings[2].1);
    let gate = Process::start(dir.path(), &backing_store::borrowed(&settings)).await;
    gate.client().submit(&request()).await.unwrap();
    assert_eq!(table.rows().await.len(), 1);
    let log = gate.kill().await;
    assert!(!log.contains("ERROR"), "{log}");
}

#[test]
fn ci_runs_the_command_of_the_readme_with_every_slow_check() {
    let run = include_str!("../../.ci/run");
    assert!(run.ends_with("\nexec ./scripts/test --all\n"), "{run}");
    // Without this feature of the client, the tests of its mock gate would be empty.
    let _ = human_oversight_client::mock::Answer::Approve;
}
