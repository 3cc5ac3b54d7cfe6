//! Spans of time as people write them: `45s`, `10m`, `1h`, `7d`.

use std::time::Duration;

#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("must be a whole number with a unit: 45s, 10m, 1h or 7d")]
pub(crate) struct NotASpan;

/// Reads a span.
pub(crate) fn parse(text: &str) -> Result<Duration, NotASpan> {
    let unit = text.chars().next_back().ok_or(NotASpan)?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        _ => return Err(NotASpan),
    };
    let digits = &text[..text.len() - 1];
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(NotASpan);
    }
    let count: u64 = digits.parse().map_err(|_| NotASpan)?;
    count
        .checked_mul(seconds)
        .map(Duration::from_secs)
        .ok_or(NotASpan)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_a_whole_number_and_a_unit() {
        assert_eq!(parse("45s"), Ok(Duration::from_secs(45)));
        assert_eq!(parse("10m"), Ok(Duration::from_secs(600)));
        assert_eq!(parse("1h"), Ok(Duration::from_secs(3_600)));
        assert_eq!(parse("30d"), Ok(Duration::from_secs(2_592_000)));
        for wrong in [
            "",
            "s",
            "45",
            "+1s",
            "1.5h",
            "-1s",
            "1 s",
            "1w",
            "1µ",
            "99999999999999999999s",
            "999999999999999999d",
        ] {
            assert_eq!(parse(wrong), Err(NotASpan), "{wrong}");
        }
    }
}
