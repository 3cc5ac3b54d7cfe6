//! `human-oversight ask`: runs a command only after a person has approved exactly this command line.
//!
//! stdin, stdout and stderr belong to the command; `ask` writes its own messages to stderr before the
//! command starts and after it has ended.

mod command_line;
mod messages;
mod options;
mod permit;
mod program;
mod signals;

use std::os::unix::process::ExitStatusExt;
use std::process::{ExitCode, ExitStatus};

use futures_util::FutureExt;
use human_oversight_client::types::NOT_RUN;
use human_oversight_client::{Permit, Reason, Refusal};

use command_line::CommandLine;
use messages::{print, print_approval};
use permit::{NoPermit, obtain_permit};
use signals::Signals;

pub(crate) use options::Options;

/// Not approved, or the command changed after approval.
const REFUSED: u8 = 3;
/// No request was submitted. Wrong options have the same code.
const NOT_SUBMITTED: u8 = 2;
/// The shells' code for a program that was found and cannot be started.
const NOT_STARTED: u8 = 126;

/// Ends as the command does, or with a code that says why it did not run.
pub(crate) async fn run(options: Options) -> ExitCode {
    let code = ask(options).await;
    ExitCode::from(code.unwrap_or_else(|error| {
        eprintln!("human-oversight ask: {error:#}");
        NOT_SUBMITTED
    }))
}

async fn ask(options: Options) -> anyhow::Result<u8> {
    messages::init_log();
    let action = options.action()?;
    let command_line = CommandLine::read(&options.command, &options.files)?;
    let mut signals = Signals::listen()?;
    match obtain_permit(&action, &command_line, &mut signals).await {
        Ok(permit) => Ok(run_permitted(permit, &command_line, &options, &mut signals).await),
        Err(NoPermit::Refused(refusal)) => Ok(print_refusal(&refusal)),
        Err(NoPermit::Stopped(signal)) => Ok(signal_code(signal.as_raw_value())),
    }
}

/// Runs the command if it is still what was approved, and reports the outcome.
async fn run_permitted(
    permit: Permit,
    command_line: &CommandLine,
    options: &Options,
    signals: &mut Signals,
) -> u8 {
    if let Err(change) = command_line.ensure_unchanged(&options.files) {
        print(format_args!(
            "Not run: {change:#}. This is not what was approved."
        ));
        let why = format!("{NOT_RUN}: {change:#}");
        permit.failed(why).await;
        return REFUSED;
    }
    // A signal that arrived since the claim reached this process alone.
    if let Some(signal) = signals.next().now_or_never() {
        print("Not run: stopped by a signal. The approval was already claimed.");
        let why = format!("{NOT_RUN}: stopped by a signal");
        permit.failed(why).await;
        return signal_code(signal.as_raw_value());
    }
    print_approval(permit.proof());
    let mut child = match command_line.start() {
        Ok(child) => child,
        Err(error) => {
            print(format_args!(
                "Not run: approved, but the command cannot be started: {error}"
            ));
            permit.failed(format!("not started: {error}")).await;
            return NOT_STARTED;
        }
    };
    let (code, failure) = match signals.wait(&mut child).await {
        Ok(status) => outcome(status),
        Err(error) => (1, Some(format!("the exit code is unknown: {error}"))),
    };
    match failure {
        None => permit.executed().await,
        Some(failure) => permit.failed(failure).await,
    }
    code
}

/// The exit code, and the error to report.
fn outcome(status: ExitStatus) -> (u8, Option<String>) {
    match (status.code(), status.signal()) {
        (Some(0), _) => (0, None),
        (Some(code), _) => (saturating_code(code), Some(format!("exit code {code}"))),
        (None, signal) => {
            let signal = signal.unwrap_or_default();
            let error = format!("killed by signal {signal}");
            (signal_code(signal), Some(error))
        }
    }
}

/// In one line, with its cause.
fn print_refusal(refusal: &Refusal) -> u8 {
    match (&refusal.detail, refusal.reason) {
        // The text has the detail.
        (None, _) | (_, Reason::Invalid) => print(refusal),
        (Some(detail), _) => print(format_args!("{refusal} ({detail})")),
    }
    if (refusal.detail.iter()).any(|it| it.starts_with("/approverEmails is missing")) {
        print("give --approver, or set APPROVER_EMAILS: no policy of the gate names the approvers");
    }
    match refusal.reason {
        Reason::Invalid | Reason::Misconfigured | Reason::Unreachable => NOT_SUBMITTED,
        _ => REFUSED,
    }
}

/// The shells' code for a process that a signal ended.
fn signal_code(signal: i32) -> u8 {
    saturating_code(128 + signal)
}

fn saturating_code(code: i32) -> u8 {
    u8::try_from(code).unwrap_or(u8::MAX)
}
