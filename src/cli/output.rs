//! What the commands print.

use std::io::{self, ErrorKind, Write};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};

use human_oversight::reveal;

/// The exit code of a command that has done its work, and whose output is lost.
const LOST: u8 = 3;

static IS_LOST: AtomicBool = AtomicBool::new(false);

/// Prints a line. A command that writes goes on where its output cannot be written, as on a full disk or behind a pipe
/// that its reader has closed: [`end`] says so.
pub(crate) fn say(line: &str) {
    if writeln!(io::stdout(), "{line}").is_err() {
        IS_LOST.store(true, Ordering::Relaxed);
    }
}

/// Prints a line of a command that only reads. It ends where that cannot be written: without a word behind a pipe that
/// its reader has closed, as `| head` does.
pub(crate) fn show(line: &str) {
    if let Err(error) = writeln!(io::stdout(), "{line}") {
        if error.kind() != ErrorKind::BrokenPipe {
            complain(&format!(
                "human-oversight: its output cannot be written: {error}"
            ));
        }
        std::process::exit(2);
    }
}

/// A text of a table or of another system, as a part of a line: what is not seen, or ends a line, is escaped.
pub(crate) fn plain(text: &str) -> String {
    reveal::part_of_line(text)
}

/// The keys of a row, in the same way.
pub(crate) fn plain_keys((partition, row): &(String, String)) -> String {
    format!("{}/{}", plain(partition), plain(row))
}

/// Prints a line to stderr. What cannot be written is lost.
pub(crate) fn complain(line: &str) {
    io::stderr().write_fmt(format_args!("{line}\n")).ok();
}

/// The exit code of a command that ended with `code`, once it has said whether its output is lost.
pub(crate) fn end(code: ExitCode) -> ExitCode {
    if code == ExitCode::from(2) || !IS_LOST.load(Ordering::Relaxed) {
        return code;
    }
    if code != ExitCode::SUCCESS {
        complain("human-oversight: its output could not be written");
        return code;
    }
    complain("human-oversight: it was done, but its output could not be written");
    ExitCode::from(LOST)
}
