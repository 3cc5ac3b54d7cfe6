//! When a receipt key counts: `nbf=DATE`, `exp=DATE` and `revoked`, behind its kid.

use human_oversight_protocol::types::KeyLife;

use crate::values::Timestamp;

/// Why a life is invalid. The text never repeats it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LifeFault {
    #[error(
        "behind the kid, separated by `;`, may stand nbf=DATE, exp=DATE and revoked, and nothing else"
    )]
    Unknown,
    #[error("{0} stands there twice")]
    Twice(&'static str),
    #[error("{0} is no date such as 2027-01-31, nor a time such as 2027-01-31T18:00:00Z")]
    NoDate(&'static str),
    #[error("exp must be later than nbf")]
    Never,
}

/// Parses the parts that stand between the first `;` and the key.
pub(super) fn parse(parts: Option<&str>) -> Result<KeyLife, LifeFault> {
    let mut life = KeyLife::default();
    for part in parts.into_iter().flat_map(|parts| parts.split(';')) {
        match part.split_once('=') {
            Some(("nbf", date)) => set("nbf", &mut life.nbf, date)?,
            Some(("exp", date)) => set("exp", &mut life.exp, date)?,
            None if part == "revoked" && life.revoked => return Err(LifeFault::Twice("revoked")),
            None if part == "revoked" => life.revoked = true,
            _ => return Err(LifeFault::Unknown),
        }
    }
    let is_empty = life.nbf.zip(life.exp).is_some_and(|(nbf, exp)| nbf >= exp);
    if is_empty {
        return Err(LifeFault::Never);
    }
    Ok(life)
}

fn set(name: &'static str, bound: &mut Option<i64>, date: &str) -> Result<(), LifeFault> {
    if bound.is_some() {
        return Err(LifeFault::Twice(name));
    }
    *bound = Some(seconds(date).ok_or(LifeFault::NoDate(name))?);
    Ok(())
}

/// The beginning of a day in UTC, or a time in UTC to the second.
fn seconds(date: &str) -> Option<i64> {
    let time = match date.len() {
        10 => format!("{date}T00:00:00Z"),
        20 => date.to_owned(),
        _ => return None,
    };
    let parsed = Timestamp::parse(&time)?;
    // The one way to write it.
    (parsed.to_string() == time.replace('Z', ".000Z")).then(|| parsed.unix_seconds())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_life_is_read_in_any_order() {
        let life = |nbf, exp, revoked| KeyLife { nbf, exp, revoked };
        let day = 86_400;
        for (text, expected) in [
            (None, life(None, None, false)),
            (Some("revoked"), life(None, None, true)),
            (Some("nbf=1970-01-02"), life(Some(day), None, false)),
            (
                Some("exp=1970-01-02T00:00:01Z"),
                life(None, Some(day + 1), false),
            ),
            (
                Some("revoked;exp=1970-01-03;nbf=1970-01-02"),
                life(Some(day), Some(2 * day), true),
            ),
        ] {
            assert_eq!(parse(text), Ok(expected), "{text:?}");
        }
    }

    #[test]
    fn another_text_is_refused() {
        for (text, fault) in [
            ("", LifeFault::Unknown),
            ("revoked;", LifeFault::Unknown),
            ("Revoked", LifeFault::Unknown),
            ("revoked=1", LifeFault::Unknown),
            ("nbf", LifeFault::Unknown),
            (" nbf=2027-01-01", LifeFault::Unknown),
            ("NBF=2027-01-01", LifeFault::Unknown),
            ("iat=2027-01-01", LifeFault::Unknown),
            ("revoked;revoked", LifeFault::Twice("revoked")),
            ("nbf=2027-01-01;nbf=2027-01-01", LifeFault::Twice("nbf")),
            ("nbf=", LifeFault::NoDate("nbf")),
            ("exp=2027-02-29", LifeFault::NoDate("exp")),
            ("exp=2027-1-1", LifeFault::NoDate("exp")),
            ("exp=1800000000", LifeFault::NoDate("exp")),
            ("exp=2027-01-01T00:00Z", LifeFault::NoDate("exp")),
            ("exp=2027-01-01t00:00:00z", LifeFault::NoDate("exp")),
            ("exp=2027-01-01 00:00:00Z", LifeFault::NoDate("exp")),
            ("exp=2027-01-01T24:00:00Z", LifeFault::NoDate("exp")),
            ("exp=2027-01-01T00:00:00+01:00", LifeFault::NoDate("exp")),
            ("nbf=2027-01-01;exp=2027-01-01", LifeFault::Never),
            ("exp=2027-01-01;nbf=2027-01-02", LifeFault::Never),
        ] {
            assert_eq!(parse(Some(text)), Err(fault), "{text}");
        }
    }
}
