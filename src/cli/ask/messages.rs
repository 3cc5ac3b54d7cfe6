//! What `ask` writes to stderr.

use std::convert::Infallible;
use std::fmt::{self, Display};
use std::io::{IsTerminal, Write, stderr};
use std::time::Duration;

use human_oversight::render::format_duration;
use human_oversight::reveal;
use human_oversight::values::Timestamp;
use human_oversight_client::Proof;
use human_oversight_protocol::types::{Approval, Deliverable};
use tracing::Level;

use super::super::clock::now;

/// How often the remaining time is written to a log. A terminal shows it every second.
const LOG_INTERVAL: Duration = Duration::from_secs(300);

const PREFIX: &str = "human-oversight: ";

/// The longest comment of an approver that is shown in one line.
const COMMENT_CHARS: usize = 2_000;

/// Writes the warnings of the client, such as that the gate does not answer, as messages of `ask`.
pub(crate) fn init_log() {
    let writer = || {
        clear_line();
        write(format_args!("{PREFIX}"));
        stderr()
    };
    tracing_subscriber::fmt()
        .with_max_level(Level::WARN)
        .without_time()
        .with_level(false)
        .with_target(false)
        .with_ansi(false)
        .with_writer(writer)
        .log_internal_errors(false)
        .init();
}

pub(crate) fn print(message: impl Display) {
    write(format_args!("{PREFIX}{message}\n"));
}

/// What cannot be written is lost: the disk may be full, or the reader of a pipe gone.
fn write(text: fmt::Arguments<'_>) {
    stderr().write_fmt(text).ok();
}

/// Says who is asked. A policy may have decided without people.
pub(crate) fn print_request(approval: &Approval, expires_at: Timestamp) {
    if approval.notifications.is_empty() {
        return;
    }
    let deliveries = approval.notifications.iter();
    let approvers: Vec<&str> = deliveries.map(|it| it.approver.as_str()).collect();
    print(format_args!(
        "{} may approve until {} (request {})",
        approvers.join(", "),
        expires_at.in_words(),
        approval.id
    ));
    match approval.deliverable {
        Deliverable::Ok => {}
        Deliverable::None => print("no email could be sent yet; the gate keeps trying"),
        _ => print("not all of the emails could be sent yet"),
    }
}

/// Says who approved, in one line.
pub(crate) fn print_approval(proof: &Proof) {
    let approver = &proof.approver;
    match &proof.comment {
        Some(comment) => print(format_args!(
            "approved by {approver}. Their comment: {}",
            reveal::line(comment, COMMENT_CHARS)
        )),
        None => print(format_args!("approved by {approver}")),
    }
}

/// Shows the time that remains, until it is cancelled.
pub(crate) async fn show_remaining_time(expires_at: Timestamp) -> Infallible {
    let is_terminal = stderr().is_terminal();
    let interval = if is_terminal {
        Duration::from_secs(1)
    } else {
        LOG_INTERVAL
    };
    loop {
        tokio::time::sleep(interval).await;
        let left = format_duration(expires_at.since(now()));
        if is_terminal {
            write(format_args!(
                "\r\x1b[2K{PREFIX}waiting for a decision ({left} left)"
            ));
        } else {
            print(format_args!("waiting for a decision ({left} left)"));
        }
    }
}

/// Removes the line of [`show_remaining_time`] from a terminal.
pub(crate) fn clear_line() {
    if stderr().is_terminal() {
        write(format_args!("\r\x1b[2K"));
    }
}
