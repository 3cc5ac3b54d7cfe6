//! The README's commands, as they stand there.

use std::process::Stdio;

use tokio::process::Command;

use crate::process::Process;

/// The contents of the README's blocks of commands.
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
            // tests/it/demo.rs, process.rs: the same program, run by its name.
            "cargo run -- demo" | "cargo run" | "cargo run -- keygen" => run.push("elsewhere"),
            // What runs this very test.
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
                    .output()
                    .await
                    .unwrap();
                let answers = String::from_utf8(output.stdout).unwrap();
                assert!(output.status.success(), "{answers}");
                for part in [
                    "\"status\":\"Pending\"",
                    "Approval needed",
                    "\"Cancelled\"",
                    "\"OKP\"",
                ] {
                    assert!(answers.contains(part), "{part} in {answers}");
                }
                run.push("here");
            }
            other => panic!("the README has a command that no test runs: {other}"),
        }
    }
    assert_eq!(
        run,
        ["elsewhere", "elsewhere", "here", "elsewhere", "elsewhere"]
    );
}
