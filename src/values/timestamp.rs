//! Points in time: UTC, whole milliseconds.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use time::OffsetDateTime;
use time::format_description::well_known::{Rfc2822, Rfc3339};
use time::macros::format_description;

/// Returns the current time; a function, so that tests can control it.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// From this difference to the store's clock on, an instance dates nothing.
pub const MAX_CLOCK_ERROR: Duration = Duration::from_secs(300);

/// How far the clocks of two instances may be apart: one ahead, the other behind.
pub const MAX_CLOCK_SKEW: Duration = Duration::from_secs(2 * MAX_CLOCK_ERROR.as_secs());

/// A point in time, to the millisecond: the precision that JSON and the store preserve.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(OffsetDateTime);

impl Timestamp {
    /// `millis` after 1970-01-01T00:00:00Z; `None` outside the years ±9999.
    pub fn from_unix_millis(millis: i64) -> Option<Self> {
        OffsetDateTime::from_unix_timestamp_nanos(i128::from(millis) * 1_000_000)
            .ok()
            .map(Self)
    }

    /// Milliseconds since 1970-01-01T00:00:00Z.
    pub fn unix_millis(self) -> i64 {
        i64::try_from(self.0.unix_timestamp_nanos() / 1_000_000).expect("years ±9999 fit")
    }

    /// Whole seconds since 1970-01-01T00:00:00Z, as JSON Web Tokens count.
    pub fn unix_seconds(self) -> i64 {
        self.unix_millis().div_euclid(1_000)
    }

    /// Parses RFC 3339; truncates to the millisecond.
    pub fn parse(text: &str) -> Option<Self> {
        let time = OffsetDateTime::parse(text, &Rfc3339).ok()?;
        Self::from_unix_millis(i64::try_from(time.unix_timestamp_nanos() / 1_000_000).ok()?)
    }

    /// Parses the date of an HTTP header: `Sun, 22 Nov 2026 17:30:00 GMT`.
    pub fn parse_http(text: &str) -> Option<Self> {
        let time = OffsetDateTime::parse(text, &Rfc2822).ok()?;
        Self::from_unix_millis(time.unix_timestamp().checked_mul(1_000)?)
    }

    /// Formats the time for people: `Sun 22 Nov 2026, 17:30 UTC`.
    pub fn in_words(self) -> String {
        let format = format_description!(
            "[weekday repr:short] [day padding:none] [month repr:short] [year], [hour]:[minute] UTC"
        );
        self.0.format(format).expect("a date can be written")
    }

    /// This time, rounded up to a whole minute, for a text that says from when on something works.
    #[must_use]
    pub fn up_to_minute(self) -> Self {
        match self.unix_millis().rem_euclid(60_000) {
            0 => self,
            over => self + Duration::from_millis(60_000 - over.unsigned_abs()),
        }
    }

    /// The time since `earlier`; zero if this is before it.
    pub fn since(self, earlier: Self) -> Duration {
        (self.0 - earlier.0).try_into().unwrap_or(Duration::ZERO)
    }
}

impl std::ops::Add<Duration> for Timestamp {
    type Output = Self;

    /// Saturates at the end of the year 9999.
    fn add(self, duration: Duration) -> Self {
        let later = i64::try_from(duration.as_millis())
            .ok()
            .and_then(|millis| Self::from_unix_millis(self.unix_millis().checked_add(millis)?));
        later.unwrap_or(Self(time::macros::datetime!(9999-12-31 23:59:59 UTC)))
    }
}

impl std::ops::Sub<Duration> for Timestamp {
    type Output = Self;

    /// Saturates at 1970.
    fn sub(self, duration: Duration) -> Self {
        let earlier = i64::try_from(duration.as_millis())
            .ok()
            .and_then(|millis| Self::from_unix_millis(self.unix_millis().checked_sub(millis)?));
        earlier.unwrap_or(Self(OffsetDateTime::UNIX_EPOCH))
    }
}

impl fmt::Display for Timestamp {
    /// RFC 3339 in UTC with milliseconds.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let format = format_description!(
            "[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z"
        );
        f.write_str(&self.0.format(format).map_err(|_| fmt::Error)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_survives_writing_and_parsing() {
        for text in [
            "2026-11-22T17:30:00.000Z",
            "2024-02-29T23:59:59.999Z",
            "1969-12-31T23:59:59.001Z",
        ] {
            assert_eq!(Timestamp::parse(text).unwrap().to_string(), text);
        }
        // The seven digits of the legacy Logic App, and an offset.
        let time = Timestamp::parse("2025-04-13T17:57:40.8435119+02:00").unwrap();
        assert_eq!(time.to_string(), "2025-04-13T15:57:40.843Z");
        assert_eq!(time.in_words(), "Sun 13 Apr 2025, 15:57 UTC");
    }

    #[test]
    fn addition_saturates() {
        let time = Timestamp::parse("2026-11-22T17:30:00.000Z").unwrap();
        assert_eq!(
            (time + Duration::from_millis(1_500)).since(time),
            Duration::from_millis(1_500)
        );
        assert_eq!(time.since(time + Duration::from_secs(1)), Duration::ZERO);
        assert_eq!(
            (time + Duration::MAX).to_string(),
            "9999-12-31T23:59:59.000Z"
        );
    }
}
