//! The log line of a refusal that neither a person, the policy nor the deadline decided.

use std::io::Write;

use crate::error::loggable;
use crate::outcome::{Outcome, Reason, Refusal};

impl<T> Outcome<T> {
    pub(crate) fn logged(self) -> Self {
        if let Self::Refused(refusal) = &self {
            refusal.log();
        }
        self
    }
}

impl Refusal {
    /// [`Refusal::detail`] in one line, for a log: without email addresses, of which the gate's words name some.
    pub fn loggable_detail(&self) -> String {
        self.detail.as_deref().map(loggable).unwrap_or_default()
    }

    /// Writes one line, unless a person, the policy or the deadline decided: the caller may get nothing but a value that
    /// looks like a rejection.
    pub(crate) fn log(&self) {
        let reason = self.reason;
        let detail = self.loggable_detail();
        match reason {
            Reason::Rejected | Reason::Denied | Reason::Timeout | Reason::Cancelled => {}
            _ if self.no_one_was_asked() && nothing_is_logged() => {
                // What cannot be written is lost.
                let line =
                    format_args!("human-oversight: not run, and no one was asked: {detail}\n");
                std::io::stderr().write_fmt(line).ok();
            }
            _ if self.no_one_was_asked() => {
                tracing::error!(?reason, detail, "not run, and no one was asked");
            }
            _ => tracing::warn!(?reason, detail, "not run"),
        }
    }
}

/// Whether the program has neither a `tracing` subscriber nor a `log` logger, or has silenced them.
fn nothing_is_logged() -> bool {
    let tracing = tracing::level_filters::LevelFilter::current();
    tracing == tracing::level_filters::LevelFilter::OFF && log::max_level() == log::LevelFilter::Off
}
