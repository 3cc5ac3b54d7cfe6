//! What a check found, for operators.

use crate::values::Timestamp;

/// How a check ended; the worst one counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Grade {
    Ok,
    Warning,
    Failed,
}

/// What a check found. The text is for operators, in one line, without a secret or an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    pub grade: Grade,
    pub detail: String,
}

impl Grade {
    /// The worst of these findings.
    pub fn worst<'a>(findings: impl IntoIterator<Item = &'a Finding>) -> Self {
        let grades = findings.into_iter().map(|finding| finding.grade);
        grades.max().unwrap_or(Self::Ok)
    }

    pub fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Failed => "failed",
        }
    }
}

impl Finding {
    pub fn ok(detail: impl Into<String>) -> Self {
        Self::new(Grade::Ok, detail)
    }

    pub fn warning(detail: impl Into<String>) -> Self {
        Self::new(Grade::Warning, detail)
    }

    pub fn failed(detail: impl Into<String>) -> Self {
        Self::new(Grade::Failed, detail)
    }

    fn new(grade: Grade, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        Self { grade, detail }
    }
}

/// The differences of two clocks, in seconds, from which one is a warning and a failure. A service tells its time
/// to the second.
const CLOCK_WARNING: u64 = 5;
const CLOCK_FAILURE: u64 = 60;

/// Compares a clock with that of the store's service.
pub fn check_clock(now: Timestamp, service_time: Option<Timestamp>) -> Finding {
    let Some(service_time) = service_time else {
        return Finding::ok("not compared: the store has not told its time");
    };
    let seconds = now.unix_seconds() - service_time.unix_seconds();
    let direction = if seconds < 0 { "behind" } else { "ahead of" };
    let apart = seconds.unsigned_abs();
    let detail = format!("{apart} s {direction} the store's clock");
    match apart {
        0..=CLOCK_WARNING => Finding::ok(detail),
        _ if apart <= CLOCK_FAILURE => Finding::warning(detail),
        _ => Finding::failed(format!("{detail}: deadlines count wrongly on this machine")),
    }
}
