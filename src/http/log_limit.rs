//! Limits the log lines of anonymous calls, so that they cannot fill the log.

use std::sync::{Mutex, PoisonError};

use crate::values::Timestamp;

/// The maximum number of lines in a minute.
const LINES: u64 = 60;

/// Counts the lines of one minute.
#[derive(Default)]
pub(super) struct LogLimit(Mutex<Minute>);

#[derive(Default)]
struct Minute {
    number: i64,
    calls: u64,
}

/// What to log about an anonymous call.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Admission {
    /// The number of calls of an earlier minute that were not logged, once.
    pub(super) omitted: u64,
    pub(super) is_logged: bool,
}

impl LogLimit {
    /// Counts a call, if it is anonymous.
    pub(super) fn count(&self, is_anonymous: bool, now: Timestamp) -> Admission {
        let mut minute = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let number = now.unix_seconds() / 60;
        let mut omitted = 0;
        if minute.number != number {
            omitted = minute.calls.saturating_sub(LINES);
            *minute = Minute { number, calls: 0 };
        }
        minute.calls += u64::from(is_anonymous);
        Admission {
            omitted,
            is_logged: !is_anonymous || minute.calls <= LINES,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minute_has_a_number_of_lines_and_the_next_says_how_many_it_had_not() {
        let limit = LogLimit::default();
        let at = |seconds: i64| Timestamp::from_unix_millis(seconds * 1_000).unwrap();
        let logged = |omitted, is_logged| Admission { omitted, is_logged };
        for _ in 0..LINES {
            assert_eq!(limit.count(true, at(60)), logged(0, true));
        }
        for _ in 0..5 {
            assert_eq!(limit.count(true, at(119)), logged(0, false));
        }
        assert_eq!(limit.count(false, at(119)), logged(0, true), "others are");
        assert_eq!(limit.count(false, at(300)), logged(5, true));
        assert_eq!(limit.count(true, at(301)), logged(0, true));
        assert_eq!(limit.count(true, at(361)), logged(0, true));
        // A clock that is put back starts another minute.
        assert_eq!(limit.count(true, at(60)), logged(0, true));
    }
}
