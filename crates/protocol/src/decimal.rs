//! Numbers by their decimal text: which of them every JSON parser reads as the same.

use crate::MAX_INTEGER;

/// Whether a decimal number, however it is spelt, has the same value in every parser: at most [`MAX_INTEGER`]
/// without its sign, and not changed by conversion to a double. `0.1` and `1e2` have, `9007199254740992`,
/// `1e21` and `0.12345678901234567890` have not.
pub(crate) fn is_exact(text: &str) -> bool {
    let Ok(double) = text.parse::<f64>() else {
        return false;
    };
    // Compared with what serde_json writes, which is what people see. `f64::to_string` may choose the
    // other of two shortest texts that are equally near.
    let shown = serde_json::to_string(&double).expect("a number is JSON");
    double.abs() <= MAX_INTEGER as f64 && decimal(text) == decimal(&shown)
}

/// Whether a number that [`is_exact`] is zero, whatever its sign.
pub(crate) fn is_zero(text: &str) -> bool {
    decimal(text).1.is_empty()
}

/// A decimal number as its sign, its digits without zeros at either end, and the power of ten behind
/// them.
fn decimal(text: &str) -> (bool, String, i64) {
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        // An exponent beyond i64 is no double either way.
        Some((mantissa, exponent)) => (mantissa, exponent.parse().unwrap_or(i64::MAX / 2)),
        None => (text, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{}{fraction}", whole.trim_start_matches('-'));
    let significant = digits.trim_end_matches('0');
    let dropped = (digits.len() - significant.len()) as i64;
    let significant = significant.trim_start_matches('0');
    if significant.is_empty() {
        return (false, String::new(), 0);
    }
    let exponent = exponent
        .saturating_sub(fraction.len() as i64)
        .saturating_add(dropped);
    (whole.starts_with('-'), significant.to_owned(), exponent)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_a_parser_could_change_are_recognized() {
        for same in [
            "0",
            "-0",
            "0.0",
            "0.1",
            "1.0",
            "1e2",
            "100",
            "-1.50e-3",
            "9007199254740991",
            "-9007199254740991.0",
            "9.007199254740991e15",
            "900719925474099100e-2",
            "1E2",
            "5e-324",
            "900719925474099.2",
        ] {
            assert!(is_exact(same), "{same}");
        }
        for changed in [
            "12345678901234567890",
            "9007199254740992",
            "-9007199254740992",
            "9007199254740992.0",
            "9.007199254740992e15",
            "9007199254740993",
            "100000000000000000000",
            "1e21",
            "1e400",
            "-1e400",
            "1e-400",
            "0.12345678901234567890123",
            "1e99999999999999999999",
            "1.5e-9223372036854775808",
            "15e9223372036854775807",
            "900719925474099.3",
            "900719925474099.25",
        ] {
            assert!(!is_exact(changed), "{changed}");
        }
    }
}
