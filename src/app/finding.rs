//! What a check found, for operators.

use std::time::Duration;

use crate::keys::ReceiptKeys;
use crate::store::ClockDifference;
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

/// How long before the last receipt key ends operators are warned.
const WARN_BEFORE: Duration = Duration::from_secs(30 * 86_400);

/// Judges whether decisions can be signed, now and in the days to come.
pub fn check_receipt_keys(keys: &ReceiptKeys, now: Timestamp) -> Finding {
    let kid = match keys.signing_kid(now) {
        Ok(kid) => kid,
        Err(error) => return Finding::failed(error.to_string()),
    };
    let end = keys.lapses_at(now).and_then(|end| {
        let end = Timestamp::from_unix_millis(end.saturating_mul(1_000))?;
        (end <= now + WARN_BEFORE).then_some(end)
    });
    match end {
        Some(end) => Finding::warning(format!(
            "HO_RECEIPT_KEYS: from {end} on no key is in force, and the gate signs nothing: add a key"
        )),
        None => Finding::ok(format!("HO_RECEIPT_KEYS: {kid} signs")),
    }
}

/// Judges the clock of this machine by that of the store's service.
pub fn check_clock(difference: Option<ClockDifference>) -> Finding {
    match difference {
        None => Finding::ok("not compared: the store has not told its time"),
        Some(it) if it.is_wrong() => Finding::failed(format!(
            "{it}: this machine decides, claims and ends nothing until its clock is right"
        )),
        Some(it) if it.is_noticeable() => Finding::warning(it.to_string()),
        Some(it) => Finding::ok(it.to_string()),
    }
}
