//! The schedule by which the Functions host triggers the sweep. The host reads it too, and disables the sweep
//! without a word where it cannot.

use std::time::Duration;

use time::{Date, OffsetDateTime, Time};

use super::error::ConfigError;
use super::lookup::{Lookup, unusable};
use crate::values::Timestamp;

const SCHEDULE: &str = "HO_SWEEP_SCHEDULE";

const RULE: &str = "it must be an NCRONTAB expression of six fields (second, minute, hour, day, month, day of the \
                    week from 0 to 6) or of five (without the second), such as `0 * * * * *`, or a time span of \
                    less than a day, such as `00:01:00`";

/// The values and the names of each field, from the second on.
const FIELDS: [(u8, u8, &[&str]); 6] = [
    (0, 59, &[]),
    (0, 59, &[]),
    (0, 23, &[]),
    (1, 31, &[]),
    (
        1,
        12,
        &[
            "january",
            "february",
            "march",
            "april",
            "may",
            "june",
            "july",
            "august",
            "september",
            "october",
            "november",
            "december",
        ],
    ),
    (
        0,
        6,
        &[
            "sunday",
            "monday",
            "tuesday",
            "wednesday",
            "thursday",
            "friday",
            "saturday",
        ],
    ),
];

/// A day of the week and February 29 come together once in 28 years, or in 40 around a year such as 2100.
const DAYS_AHEAD: u32 = 41 * 366;

/// When the host triggers the sweep.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SweepSchedule {
    /// The values of each field, one bit a value.
    Fields([u64; 6]),
    Every(Duration),
}

impl SweepSchedule {
    fn parse(text: &str) -> Option<Self> {
        let fields: Vec<&str> = text.split(' ').filter(|field| !field.is_empty()).collect();
        let fields = match fields.as_slice() {
            [span] => return time_span(span).map(Self::Every),
            [_, _, _, _, _] => [&["0"], fields.as_slice()].concat(),
            _ => fields,
        };
        let fields: [&str; 6] = fields.try_into().ok()?;
        let mut values = [0; 6];
        for (values, (field, definition)) in values.iter_mut().zip(fields.into_iter().zip(FIELDS)) {
            for element in field.split(',') {
                *values |= element_values(element, definition)?;
            }
        }
        Some(Self::Fields(values))
    }

    /// The first time after `now`; none for a date that never comes, such as February 30. A time span counts
    /// from the start of the host.
    pub fn next(&self, now: Timestamp) -> Option<Timestamp> {
        let fields = match self {
            Self::Every(span) => return Some(now + *span),
            Self::Fields(fields) => fields,
        };
        let has = |field: usize, value: u8| fields[field] & (1 << value) != 0;
        let first = OffsetDateTime::from_unix_timestamp(now.unix_seconds() + 1).ok()?;
        let mut from = first.time();
        let mut date = first.date();
        for _ in 0..DAYS_AHEAD {
            let is_day = has(3, date.day())
                && has(4, date.month().into())
                && has(5, date.weekday().number_days_from_sunday());
            if let Some(time) = is_day.then(|| next_time(from, has)).flatten() {
                return timestamp(date, time);
            }
            date = date.next_day()?;
            from = Time::MIDNIGHT;
        }
        None
    }
}

/// Reads the schedule. Behind the host there must be one.
pub(super) fn sweep_schedule(
    get: &Lookup<'_>,
    behind_host: bool,
) -> Result<Option<SweepSchedule>, ConfigError> {
    let Some(text) = get(SCHEDULE) else {
        return if behind_host {
            let why = "without it the host never triggers the sweep, which sends emails again, reminds and \
                       expires: set it, such as to `0 * * * * *`";
            Err(ConfigError::Missing {
                name: SCHEDULE,
                why,
            })
        } else {
            Ok(None)
        };
    };
    let schedule = SweepSchedule::parse(&text).ok_or_else(|| unusable(SCHEDULE, RULE))?;
    let some_day = Timestamp::from_unix_millis(0).expect("1970 is a year");
    if schedule.next(some_day).is_none() {
        return Err(unusable(SCHEDULE, "its date never comes"));
    }
    Ok(Some(schedule))
}

/// The first time of a day, from `from` on, whose hour, minute and second are in the schedule.
fn next_time(from: Time, has: impl Fn(usize, u8) -> bool) -> Option<Time> {
    let first = |field: usize, from: u8| (from..=FIELDS[field].1).find(|value| has(field, *value));
    let (hour, minute, second) = from.as_hms();
    // The same minute, a later minute of the hour, or a later hour.
    let same_hour = has(2, hour).then_some(hour);
    let same_minute = same_hour.filter(|_| has(1, minute)).and_then(|hour| {
        let second = first(0, second)?;
        Some((hour, minute, second))
    });
    let same_hour = same_hour.and_then(|hour| Some((hour, first(1, minute + 1)?, first(0, 0)?)));
    let later = || Some((first(2, hour + 1)?, first(1, 0)?, first(0, 0)?));
    let (hour, minute, second) = same_minute.or(same_hour).or_else(later)?;
    Time::from_hms(hour, minute, second).ok()
}

fn timestamp(date: Date, time: Time) -> Option<Timestamp> {
    let seconds = date.with_time(time).assume_utc().unix_timestamp();
    Timestamp::from_unix_millis(seconds * 1_000)
}

/// The values of `*`, `5`, `5-9`, each perhaps with a step: `*/2`, `5/2` (from 5 on), `5-9/2`.
fn element_values(element: &str, (least, most, names): (u8, u8, &[&str])) -> Option<u64> {
    let (range, step) = match element.split_once('/') {
        Some((range, step)) => (range, Some(digits(step).filter(|step| *step > 0)?)),
        None => (element, None),
    };
    let value = |text: &str| {
        let is_start =
            |name: &&str| !text.is_empty() && name.starts_with(&text.to_ascii_lowercase());
        let named = names.iter().position(is_start);
        let named = named.and_then(|index| Some(u8::try_from(index).ok()? + least));
        named
            .or_else(|| digits(text))
            .filter(|value| (least..=most).contains(value))
    };
    let (from, to) = match (range, range.split_once('-')) {
        ("*", _) => (least, most),
        (_, Some((from, to))) => (value(from)?, value(to)?),
        (from, None) if step.is_some() => (value(from)?, most),
        (from, None) => (value(from)?, value(from)?),
    };
    let values = from.min(to)..=from.max(to);
    Some(
        values
            .step_by(step.unwrap_or(1).into())
            .fold(0, |bits, value| bits | 1 << value),
    )
}

/// `hh:mm` or `hh:mm:ss`.
fn time_span(text: &str) -> Option<Duration> {
    let mut parts = text.split(':').map(digits);
    let (hours, minutes) = (parts.next()??, parts.next()??);
    let seconds = parts.next().unwrap_or(Some(0))?;
    let time = Time::from_hms(hours, minutes, seconds).ok()?;
    let is_over = parts.next().is_none() && time != Time::MIDNIGHT;
    is_over.then(|| (time - Time::MIDNIGHT).unsigned_abs())
}

fn digits(text: &str) -> Option<u8> {
    text.bytes()
        .all(|byte| byte.is_ascii_digit())
        .then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next(schedule: &str, now: &str) -> String {
        let schedule = SweepSchedule::parse(schedule).unwrap();
        let now = Timestamp::parse(now).unwrap();
        let next = schedule.next(now);
        next.map_or_else(|| "never".to_owned(), |next| next.to_string())
    }

    #[test]
    fn a_schedule_is_what_the_host_takes() {
        for good in [
            "0 * * * * *",
            "* * * * *",
            "0 */5 * * * *",
            "  0   0/10  8-18  * * mon-FRI ",
            "30 1,2,31-40/3 * 1 jan,dec 0",
            "0 59-0 * * * Su",
            "00:01:00",
            "00:01",
            "23:59:59",
        ] {
            assert!(SweepSchedule::parse(good).is_some(), "{good}");
        }
        for bad in [
            "",
            " ",
            "*",
            "0 *",
            "* * * *",
            "0 * * * * * *",
            "60 * * * * *",
            "0 60 * * * *",
            "0 * 24 * * *",
            "0 * * 0 * *",
            "0 * * 32 * *",
            "0 * * * 13 *",
            "0 * * * * 7",
            "0 * * * * sun-",
            "0 * * * * x",
            "0 mon * * * *",
            "0 */0 * * * *",
            "0 */x * * * *",
            "0 , * * * *",
            "0 1, * * * *",
            "0 -1 * * * *",
            "0 +1 * * * *",
            "0 * * L * *",
            "0 ? * * * *",
            "@hourly",
            "every minute",
            "00:00:00",
            "00:00",
            "24:00:00",
            "00:60",
            "1.00:00:00",
            "-00:01",
            "5",
            "60",
            "00:01:00:00",
            "0\t* * * * *",
        ] {
            assert_eq!(SweepSchedule::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn the_next_time_is_after_now() {
        for (schedule, now, expected) in [
            (
                "0 * * * * *",
                "2026-11-27T10:00:00Z",
                "2026-11-27T10:01:00.000Z",
            ),
            (
                "* * * * *",
                "2026-11-27T10:00:59.999Z",
                "2026-11-27T10:01:00.000Z",
            ),
            (
                "*/20 * * * * *",
                "2026-11-27T10:00:00Z",
                "2026-11-27T10:00:20.000Z",
            ),
            (
                "30 59 23 * * *",
                "2026-12-31T23:59:30Z",
                "2027-01-01T23:59:30.000Z",
            ),
            (
                "0 15 8-9 * * 1-5",
                "2026-11-27T09:15:00Z",
                "2026-11-30T08:15:00.000Z",
            ),
            (
                "0 0 12 29 2 *",
                "2026-11-27T10:00:00Z",
                "2028-02-29T12:00:00.000Z",
            ),
            (
                "5 10 4 * * *",
                "2026-11-27T04:10:06Z",
                "2026-11-28T04:10:05.000Z",
            ),
            (
                "5 10 4 * * *",
                "2026-11-27T04:09:06Z",
                "2026-11-27T04:10:05.000Z",
            ),
            (
                "5 10 4 * * *",
                "2026-11-27T03:59:06Z",
                "2026-11-27T04:10:05.000Z",
            ),
            (
                "00:01:30",
                "2026-11-27T10:00:00Z",
                "2026-11-27T10:01:30.000Z",
            ),
            ("0 0 0 30 2 *", "2026-11-27T10:00:00Z", "never"),
        ] {
            assert_eq!(next(schedule, now), expected, "{schedule} after {now}");
        }
    }
}
