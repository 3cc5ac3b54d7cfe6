//! How far the clock of this machine is off that of the table service.

use std::fmt;

use crate::values::MAX_CLOCK_ERROR;

/// The difference of the clocks, in seconds: the service tells its time to the second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockDifference {
    /// The seconds by which this machine is ahead.
    ahead: i64,
}

impl ClockDifference {
    /// A difference of more seconds is a warning.
    pub const NOTICED_ABOVE: u64 = 30;

    /// With a difference of this number of seconds, or more, this machine dates no request, decision, revocation by an
    /// approver, hand-over or claim, and ends none by the time.
    const WRONG_FROM: u64 = MAX_CLOCK_ERROR.as_secs();

    /// The difference of a machine that is ahead by this number of seconds.
    pub fn new(ahead: i64) -> Self {
        Self { ahead }
    }

    /// The seconds by which this machine is ahead.
    pub fn ahead(self) -> i64 {
        self.ahead
    }

    pub fn is_noticeable(self) -> bool {
        self.ahead.unsigned_abs() > Self::NOTICED_ABOVE
    }

    pub fn is_wrong(self) -> bool {
        self.ahead.unsigned_abs() >= Self::WRONG_FROM
    }
}

impl fmt::Display for ClockDifference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.ahead.unsigned_abs();
        let direction = if self.ahead < 0 { "behind" } else { "ahead of" };
        write!(f, "{seconds} s {direction} the store's clock")
    }
}
