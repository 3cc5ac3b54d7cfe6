//! Signals that are ignored when `ask` starts, as under `nohup` or in the background of a script.

use human_oversight_client::types::{ExecutionStatus, Status};
use tokio::process::Command;

use super::{APPROVE, AskProcess, Fixture, launched_by};

/// The command of `ask` by a shell that ignores two signals.
fn ignoring(ask: &Command) -> Command {
    let shell = ["sh", "-c", "trap '' HUP INT; exec \"$@\"", "sh"];
    launched_by(&shell, ask)
}

#[tokio::test]
async fn signals_that_were_ignored_stop_neither_ask_nor_the_command() {
    let fixture = Fixture::with("kill -HUP $$; kill -INT $$; echo alive").await;
    let ask = fixture.command(&[], &["./deploy.sh"]);
    let mut ask = AskProcess::start(ignoring(&ask)).await;
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
    let mut ask = AskProcess::start(ignoring(&ask)).await;
    ask.signal("TERM", false).await;
    let (ended, _, said) = ask.wait().await;
    assert_eq!(ended.code(), Some(128 + 15), "{said}");
    assert_eq!(fixture.row(&ask).await.status, Status::Cancelled);
}
