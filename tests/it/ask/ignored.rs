//! Signals that are ignored when `ask` starts, as under `nohup` or in the background of a script.

use std::process::Stdio;

use human_oversight_client::types::{ExecutionStatus, Status};
use tokio::process::Command;

use super::{APPROVE, AskProcess, Fixture};

/// The command of `ask` in a shell that ignores these signals.
fn ignoring(signals: &str, ask: &Command) -> Command {
    let ask = ask.as_std();
    let mut shell = Command::new("sh");
    shell
        .arg("-c")
        .arg(format!("trap '' {signals}; exec \"$@\""))
        .arg("sh")
        .arg(ask.get_program())
        .args(ask.get_args())
        .current_dir(ask.get_current_dir().unwrap())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    for (name, value) in ask.get_envs() {
        shell.env(name, value.unwrap());
    }
    shell
}

#[tokio::test]
async fn signals_that_were_ignored_stop_neither_ask_nor_the_command() {
    let fixture = Fixture::with("kill -HUP $$; kill -INT $$; echo alive").await;
    let ask = fixture.command(&[], &["./deploy.sh"]);
    let mut ask = AskProcess::start(ignoring("HUP INT", &ask)).await;
    ask.signal("HUP", false).await;
    ask.signal("INT", false).await;
    fixture.decide(&ask, APPROVE).await;
    let (ended, printed, said) = ask.wait().await;
    assert_eq!(ended.code(), Some(0), "{said}");
    assert_eq!(printed, "alive\n");
    let (status, _) = fixture.execution(&ask).await;
    assert_eq!(status, ExecutionStatus::Executed);
}

#[tokio::test]
async fn another_signal_withdraws_the_request_all_the_same() {
    let fixture = Fixture::with("touch ran").await;
    let ask = fixture.command(&[], &["./deploy.sh"]);
    let mut ask = AskProcess::start(ignoring("HUP INT", &ask)).await;
    ask.signal("TERM", false).await;
    let (ended, _, said) = ask.wait().await;
    assert_eq!(ended.code(), Some(128 + 15), "{said}");
    assert_eq!(fixture.row(&ask).await.status, Status::Cancelled);
}
