//! Times as people read them: in the operator's time zone and in UTC.

use askama::Template;
use jiff::tz::{TimeZone, TimeZoneDatabase};

use crate::values::Timestamp;

/// The time zone of the people who read pages and emails (`HO_TIME_ZONE`); without one, UTC alone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Zone(Option<TimeZone>);

/// A point in time in a page or in the HTML of an email.
#[derive(Clone, Debug, PartialEq, Eq, Template)]
#[template(
    ext = "html",
    source = "<time datetime=\"{{ at }}\">{{ words }}</time>"
)]
pub(super) struct Time {
    at: Timestamp,
    words: String,
}

/// A sentence with times in it, in a page or in the HTML of an email.
#[derive(Clone, Debug, Default, PartialEq, Eq, Template)]
#[template(
    ext = "html",
    source = "{% for part in parts %}{% match part %}{% when Part::Words(words) %}{{ words }}\
              {% when Part::Time(time) %}{{ time|safe }}{% endmatch %}{% endfor %}"
)]
pub(super) struct Sentence {
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Words(String),
    Time(Time),
}

impl Zone {
    /// Parses the name of a zone in the IANA database, which is part of the program.
    ///
    /// # Errors
    /// The rule, if there is no such zone.
    pub fn parse(name: &str) -> Result<Self, String> {
        let zone = TimeZoneDatabase::bundled().get(name);
        // `Etc/Unknown` and `Factory` stand for a zone that is not known.
        let known = zone
            .ok()
            .filter(|zone| !zone.is_unknown() && abbreviation_at_epoch(zone) != "-00");
        match known {
            Some(zone) if abbreviation_at_epoch(&zone) == "UTC" => Ok(Self(None)),
            Some(zone) => Ok(Self(Some(zone))),
            None => Err(
                "it must be the name of a time zone in the IANA database, such as `Europe/Berlin`, \
                 or `UTC`"
                    .to_owned(),
            ),
        }
    }

    pub(super) fn time(&self, at: Timestamp) -> Time {
        Time {
            at,
            words: self.in_words(at),
        }
    }

    /// Such as `Fri 27 Nov 2026, 14:30 CET (13:30 UTC)`; with both dates where they differ.
    pub fn in_words(&self, at: Timestamp) -> String {
        let utc = at.in_words();
        let local = jiff::Timestamp::from_millisecond(at.unix_millis()).ok();
        let Some((local, zone)) = local.zip(self.0.clone()) else {
            return utc;
        };
        let local = local.to_zoned(zone);
        let date = local.strftime("%a %-d %b %Y, ").to_string();
        let abbreviation = local.strftime("%Z").to_string();
        // Zones without letters have their offset as the abbreviation.
        let abbreviation = if abbreviation.starts_with(['+', '-']) {
            local.strftime("UTC%:z").to_string()
        } else {
            abbreviation
        };
        let time = local.strftime("%H:%M");
        let utc = utc.strip_prefix(&date).unwrap_or(&utc);
        format!("{date}{time} {abbreviation} ({utc})")
    }
}

fn abbreviation_at_epoch(zone: &TimeZone) -> String {
    let epoch = jiff::Timestamp::UNIX_EPOCH.to_zoned(zone.clone());
    epoch.strftime("%Z").to_string()
}

impl Time {
    pub(super) fn in_plain_text(&self) -> &str {
        &self.words
    }
}

impl Sentence {
    pub(super) fn new(words: impl Into<String>) -> Self {
        Self {
            parts: vec![Part::Words(words.into())],
        }
    }

    pub(super) fn words(mut self, words: impl Into<String>) -> Self {
        self.parts.push(Part::Words(words.into()));
        self
    }

    pub(super) fn time(mut self, time: Time) -> Self {
        self.parts.push(Part::Time(time));
        self
    }

    /// One sentence after another.
    pub(super) fn and(mut self, other: Self) -> Self {
        self.parts.push(Part::Words(" ".to_owned()));
        self.parts.extend(other.parts);
        self
    }

    pub(super) fn in_plain_text(&self) -> String {
        let parts = self.parts.iter().map(|part| match part {
            Part::Words(words) => words.as_str(),
            Part::Time(time) => time.in_plain_text(),
        });
        parts.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(zone: &str, at: &str) -> String {
        let at = Timestamp::parse(at).unwrap();
        Zone::parse(zone).unwrap().in_words(at)
    }

    #[test]
    fn a_time_is_given_in_the_zone_and_in_utc() {
        for (zone, at, expected) in [
            ("UTC", "2026-11-27T13:30:59Z", "Fri 27 Nov 2026, 13:30 UTC"),
            (
                "Etc/UTC",
                "2026-11-27T13:30:00Z",
                "Fri 27 Nov 2026, 13:30 UTC",
            ),
            (
                "Europe/Berlin",
                "2026-11-27T13:30:00Z",
                "Fri 27 Nov 2026, 14:30 CET (13:30 UTC)",
            ),
            (
                "Europe/Berlin",
                "2026-11-27T23:30:00Z",
                "Sat 28 Nov 2026, 00:30 CET (Fri 27 Nov 2026, 23:30 UTC)",
            ),
            (
                "America/Los_Angeles",
                "2027-01-01T02:05:00Z",
                "Thu 31 Dec 2026, 18:05 PST (Fri 1 Jan 2027, 02:05 UTC)",
            ),
            (
                "Europe/London",
                "2026-11-27T13:30:00Z",
                "Fri 27 Nov 2026, 13:30 GMT (13:30 UTC)",
            ),
            (
                "Asia/Kathmandu",
                "2026-11-27T13:30:00Z",
                "Fri 27 Nov 2026, 19:15 UTC+05:45 (13:30 UTC)",
            ),
            (
                "America/Sao_Paulo",
                "2026-11-27T13:30:00Z",
                "Fri 27 Nov 2026, 10:30 UTC-03:00 (13:30 UTC)",
            ),
            // Not in the zone's range: UTC alone.
            (
                "Europe/Berlin",
                "9999-12-31T23:59:59Z",
                "Fri 31 Dec 9999, 23:59 UTC",
            ),
        ] {
            assert_eq!(words(zone, at), expected, "{zone}");
        }
    }

    /// The hour that is skipped in spring, and the one that occurs twice in autumn.
    #[test]
    fn a_time_near_a_change_of_the_clocks_is_unambiguous() {
        for (zone, at, expected) in [
            (
                "Europe/Berlin",
                "2026-03-29T00:59:59Z",
                "Sun 29 Mar 2026, 01:59 CET (00:59 UTC)",
            ),
            (
                "Europe/Berlin",
                "2026-03-29T01:00:00Z",
                "Sun 29 Mar 2026, 03:00 CEST (01:00 UTC)",
            ),
            (
                "Europe/Berlin",
                "2026-10-25T00:30:00Z",
                "Sun 25 Oct 2026, 02:30 CEST (00:30 UTC)",
            ),
            (
                "Europe/Berlin",
                "2026-10-25T01:30:00Z",
                "Sun 25 Oct 2026, 02:30 CET (01:30 UTC)",
            ),
            (
                "America/New_York",
                "2026-11-01T05:30:00Z",
                "Sun 1 Nov 2026, 01:30 EDT (05:30 UTC)",
            ),
            (
                "America/New_York",
                "2026-11-01T06:30:00Z",
                "Sun 1 Nov 2026, 01:30 EST (06:30 UTC)",
            ),
            // Half an hour.
            (
                "Australia/Lord_Howe",
                "2026-10-03T15:30:00Z",
                "Sun 4 Oct 2026, 02:30 UTC+11:00 (Sat 3 Oct 2026, 15:30 UTC)",
            ),
            (
                "Australia/Lord_Howe",
                "2026-10-03T15:29:00Z",
                "Sun 4 Oct 2026, 01:59 UTC+10:30 (Sat 3 Oct 2026, 15:29 UTC)",
            ),
            // Ten years on, by the rule at the end of the zone's data.
            (
                "Europe/Berlin",
                "2046-07-01T12:00:00Z",
                "Sun 1 Jul 2046, 14:00 CEST (12:00 UTC)",
            ),
        ] {
            assert_eq!(words(zone, at), expected, "{zone}");
        }
    }

    #[test]
    fn a_zone_is_one_of_the_iana_database() {
        for name in [
            "Europe/Berlin",
            "america/new_york",
            "UTC",
            "Asia/Calcutta",
            "EST5EDT",
        ] {
            assert!(Zone::parse(name).is_ok(), "{name}");
        }
        for name in [
            "",
            "Berlin",
            "CEST",
            "W. Europe Standard Time",
            "+01:00",
            "Europe/Berlin ",
            "../../etc/passwd",
            "/usr/share/zoneinfo/Europe/Berlin",
            "posix/Europe/Berlin",
            "Etc/Unknown",
            "Factory",
            "CET-1CEST",
        ] {
            assert!(Zone::parse(name).is_err(), "{name}");
        }
    }

    #[test]
    fn a_sentence_escapes_its_words_and_marks_its_times() {
        let at = Timestamp::parse("2026-11-27T13:30:00.000Z").unwrap();
        let sentence = Sentence::new("By <b> on ")
            .time(Zone::default().time(at))
            .words(".")
            .and(Sentence::new("So it is."));
        assert_eq!(
            sentence.to_string(),
            "By &#60;b&#62; on <time datetime=\"2026-11-27T13:30:00.000Z\">Fri 27 Nov 2026, 13:30 UTC</time>. \
             So it is."
        );
        assert_eq!(
            sentence.in_plain_text(),
            "By <b> on Fri 27 Nov 2026, 13:30 UTC. So it is."
        );
    }
}
