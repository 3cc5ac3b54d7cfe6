//! Exact decimal numbers, for comparisons that rounding must not decide.

use std::cmp::Ordering;
use std::fmt;

/// A decimal number of any size and precision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decimal {
    is_negative: bool,
    /// Without zeros at either end; none for zero.
    digits: String,
    /// The places of the first digit before the decimal point; 0 or less if it is behind.
    places: i64,
}

/// The places up to which a number is written without an exponent.
const PLAIN_PLACES: std::ops::RangeInclusive<i64> = -5..=21;

impl Decimal {
    /// Parses a number as JSON writes it (RFC 8259): without `+`, leading zeros, separators or white space. `None` also
    /// for an exponent beyond 32 bits.
    pub fn parse(text: &str) -> Option<Self> {
        let (is_negative, unsigned) = match text.strip_prefix('-') {
            Some(unsigned) => (true, unsigned),
            None => (false, text),
        };
        let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, parse_exponent(exponent)?),
            None => (unsigned, 0),
        };
        let (whole, fraction) = match mantissa.split_once('.') {
            Some((_, "")) => return None,
            Some(parts) => parts,
            None => (mantissa, ""),
        };
        let is_digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
        let is_canonical = whole == "0" || !(whole.is_empty() || whole.starts_with('0'));
        if !is_canonical || !is_digits(whole) || !is_digits(fraction) {
            return None;
        }
        let all = [whole, fraction].concat();
        let significant = all.trim_start_matches('0');
        let leading = all.len() - significant.len();
        let digits = significant.trim_end_matches('0').to_owned();
        let shift = i64::try_from(whole.len()).ok()? - i64::try_from(leading).ok()?;
        let is_zero = digits.is_empty();
        Some(Self {
            is_negative: is_negative && !is_zero,
            digits,
            places: if is_zero {
                0
            } else {
                shift + i64::from(exponent)
            },
        })
    }

    fn cmp_magnitude(&self, other: &Self) -> Ordering {
        let is_zero = |it: &Self| it.digits.is_empty();
        match (is_zero(self), is_zero(other)) {
            (true, true) => Ordering::Equal,
            (true, false) => Ordering::Less,
            (false, true) => Ordering::Greater,
            // Digits of equal places compare as texts do: a prefix is smaller.
            (false, false) => self
                .places
                .cmp(&other.places)
                .then_with(|| self.digits.cmp(&other.digits)),
        }
    }
}

fn parse_exponent(text: &str) -> Option<i32> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let is_plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    text.parse().ok().filter(|_| is_plain)
}

impl Ord for Decimal {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self.is_negative, other.is_negative) {
            (false, false) => self.cmp_magnitude(other),
            (true, true) => other.cmp_magnitude(self),
            (false, true) => Ordering::Greater,
            (true, false) => Ordering::Less,
        }
    }
}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for Decimal {
    /// Exactly, as a number of JSON.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_negative {
            f.write_str("-")?;
        }
        if self.digits.is_empty() {
            return f.write_str("0");
        }
        let count = self.digits.len();
        if !PLAIN_PLACES.contains(&self.places) {
            let (first, rest) = self.digits.split_at(1);
            let point = if rest.is_empty() { "" } else { "." };
            return write!(f, "{first}{point}{rest}e{}", self.places - 1);
        }
        match usize::try_from(self.places) {
            Ok(places) if places >= count => write!(f, "{:0<places$}", self.digits),
            Ok(places) if places > 0 => {
                let (whole, fraction) = self.digits.split_at(places);
                write!(f, "{whole}.{fraction}")
            }
            _ => {
                let zeros = usize::try_from(self.places.unsigned_abs()).unwrap_or_default();
                write!(f, "0.{:0>zeros$}{}", "", self.digits)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decimal(text: &str) -> Decimal {
        Decimal::parse(text).unwrap_or_else(|| panic!("{text}"))
    }

    #[test]
    fn numbers_compare_by_value_however_they_are_written() {
        let ascending = [
            "-1e400",
            "-1e300",
            "-18000.01",
            "-18000",
            "-12",
            "-1.5",
            "-1",
            "-0.5",
            "-1e-7",
            "-1e-400",
            "0",
            "1e-400",
            "1e-7",
            "0.1",
            "0.3",
            "0.30000000000000001",
            "0.30000000000000004",
            "1",
            "1.000000000000000000000001",
            "9",
            "10",
            "9400",
            "9400.5",
            "18000",
            "9007199254740992",
            "9007199254740993",
            "1e21",
            "1.5e21",
            "1e300",
            "1e400",
            "1e401",
        ];
        for (at, one) in ascending.iter().enumerate() {
            for (beside, other) in ascending.iter().enumerate() {
                let order = decimal(one).cmp(&decimal(other));
                assert_eq!(order, at.cmp(&beside), "{one} {other}");
            }
        }
        for [one, other] in [
            ["18000", "1.8e4"],
            ["18000", "18000.00"],
            ["-0", "0"],
            ["0", "0.000e99"],
            ["100", "1.00E+2"],
            ["1e+21", "1E21"],
            ["0.05", "5e-2"],
            ["-1.50", "-15e-1"],
            ["1e2147483647", "10e2147483646"],
        ] {
            assert_eq!(decimal(one), decimal(other));
        }
    }

    #[test]
    fn a_number_is_written_exactly_and_read_back() {
        for (text, written) in [
            ("18000", "18000"),
            ("-18000.50", "-18000.5"),
            ("0.05", "0.05"),
            ("1e-3", "0.001"),
            ("-0", "0"),
            ("1e20", "100000000000000000000"),
            ("0.5", "0.5"),
            ("0.000001234", "0.000001234"),
            ("1.25e-9", "1.25e-9"),
            ("3e40", "3e40"),
            ("10e2147483647", "1e2147483648"),
            ("0.1e-2147483648", "1e-2147483649"),
        ] {
            assert_eq!(decimal(text).to_string(), written);
            let exponent = written
                .split_once('e')
                .map_or(0, |(_, it)| it.parse::<i64>().unwrap());
            if i32::try_from(exponent).is_ok() {
                assert_eq!(decimal(written), decimal(text));
            }
        }
    }

    #[test]
    fn what_is_no_number_of_json_is_refused() {
        for text in [
            "",
            "-",
            "+1",
            "01",
            "-01",
            "1.",
            ".5",
            "1,5",
            "1_000",
            "1 000",
            " 1",
            "1 ",
            "0x10",
            "1e",
            "1e+",
            "1e1.5",
            "1e++1",
            "--1",
            "NaN",
            "Infinity",
            "\u{ff11}\u{ff10}\u{ff10}",
            "\u{661}",
            "1e2147483648",
            "1e-2147483649",
            "1e99999999999999999999",
        ] {
            assert_eq!(Decimal::parse(text), None, "{text}");
        }
    }
}
